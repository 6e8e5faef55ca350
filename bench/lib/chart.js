/** Bars for what one call costs the main thread, as SVG that needs nothing around it. */
const WIDTH = 800;
const LABELS = 300;
const ROW = 22;
const BAR = WIDTH - LABELS - 90;
const COLOURS = { ours: '#2f7d5b', others: '#8a94a3', text: '#5d6673' };

const CHARTS = [
  ['peers-bearer', 'The same token again and again: one verification'],
  ['peers-proof', 'A new proof with each request, 16 at once: one verification'],
  ['duel-bearer', 'The same token again and again: a whole request to Nest on Fastify'],
  ['duel-proof', 'A new proof with each request: a whole request to Nest on Fastify'],
];

/** @param results tables by name, of one version of Node. */
export function drawChart(results) {
  const parts = [];
  let top = 10;
  for (const [name, title] of CHARTS) {
    const rows = results[name]?.rows.filter((row) => !row.name.startsWith('A/A'));
    if (rows === undefined) continue;
    parts.push(text(0, top + 16, title, 'font-weight="600"'));
    top += 28;
    const longest = Math.max(...rows.map(({ median }) => median.main));
    for (const { name: label, median } of rows.toSorted((a, b) => a.median.main - b.median.main)) {
      const length = Math.max(1, (median.main / longest) * BAR);
      const colour = label.startsWith('authplane') ? COLOURS.ours : COLOURS.others;
      parts.push(
        text(LABELS - 10, top + 14, label, 'text-anchor="end"'),
        `<rect x="${LABELS}" y="${top + 3}" width="${length.toFixed(1)}" height="${ROW - 8}" rx="2" fill="${colour}"/>`,
        text(LABELS + length + 8, top + 14, `${digits(median.main)} µs`),
      );
      top += ROW;
    }
    top += 16;
  }
  const about = 'Main-thread CPU by library, shorter is better';
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" ` +
    `role="img" aria-label="${about}" font-family="system-ui, sans-serif" font-size="13">\n` +
    `<title>${about}</title>\n${parts.join('\n')}\n</svg>\n`
  );
}

function text(x, y, content, more = '') {
  return `<text x="${x.toFixed(1)}" y="${y}" fill="${COLOURS.text}" ${more}>${content}</text>`;
}

function digits(value) {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}
