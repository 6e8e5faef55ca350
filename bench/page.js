/**
 * Writes what has been measured into `docs/performance.md`: each table stands between two comments,
 * `<!-- bench: NAME -->` and `<!-- end -->`, and is made from `bench/results`. Only the prose is by hand.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { drawChart } from './lib/chart.js';
import { countedGoals, MEASURED } from './lib/goals.js';

const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url));
const CHART = fileURLToPath(new URL('../docs/images/performance.svg', import.meta.url));
const RESULTS = new URL('results/', import.meta.url);

/** By version of Node, then by name. */
const results = new Map();
for (const file of readdirSync(RESULTS)) {
  const [, name, major] = /^(.+)-node(\d+)\.json$/.exec(file) ?? [];
  if (name === undefined) continue;
  const ofVersion = results.get(major) ?? {};
  ofVersion[name] = JSON.parse(readFileSync(new URL(file, RESULTS), 'utf8'));
  results.set(major, ofVersion);
}
const versions = [...results.keys()].sort();
/** Tables of one version: of the oldest that is supported, which all targets are about. */
const first = results.get(versions[0]) ?? {};

const TABLES = {
  conditions,
  goals: goalsTable,
  missed: missedList,
  requests: () => rowsOf(['http-request'], ['µs', 'added', 'rate']),
  mcp: () => rowsOf(['http-mcp', 'http-batch', 'http-list'], ['µs', 'added', 'rate']),
  streams: () => rowsOf(['http-stream-200', 'http-stream-1000000'], ['µs', 'added', 'ratio']),
  verify: () => rowsOf(['verify-ES256'], ['µs', 'ratio']),
  peers: () => rowsOf(['peers-bearer', 'peers-proof'], ['µs', 'ratio']),
  duel: () => rowsOf(['duel-bearer', 'duel-proof'], ['µs', 'ratio', 'rate']),
  bystander: () => rowsOf(['duel-bystander'], ['wall ms', 'µs']),
  gateway: () => rowsOf(['gateway', 'gateway-list'], ['µs', 'ratio', 'rate']),
  faults: () => rowsOf(['gateway-faults'], ['wall ms', 'tail']),
  scale: () => rowsOf(['scale-tokens', 'scale-keys', 'exchange', 'import'], ['µs', 'ratio']),
};

function conditions() {
  const of = (major) => {
    const machines = Object.values(results.get(major)).map(({ machine }) => machine);
    const loads = machines.map(({ load }) => load[0]).sort((a, b) => a - b);
    const [{ node, cores, cpu }] = machines;
    return `Node ${node} (${cores} cores, ${cpu}, load ${loads[0]} to ${loads.at(-1)})`;
  };
  return `Measured with ${versions.map(of).join('; ')}.`;
}

/** What was measured and has a goal: of each version of Node, where it was. */
function goals() {
  return MEASURED.flatMap(({ table, row, what, why }) => {
    const of = (major) =>
      results.get(major)[table]?.rows?.find(({ name }) => name === row)?.goals ?? [];
    const [longest = []] = versions.map(of).sort((a, b) => b.length - a.length);
    return longest.map((goal, i) => ({
      what: typeof what === 'string' ? what : what[i],
      goal: limitOf(goal),
      found: versions.map((major) => foundOf(of(major)[i])),
      isMissed: versions.some((major) => of(major)[i]?.verdict === 'missed'),
      why,
    }));
  });
}

function counted() {
  return countedGoals.map(({ what, goal, find, why }) => {
    const found = versions.map((major) => find(results.get(major)));
    const isMissed = found.some((one) => one !== undefined && !one.isMet);
    const texts = found.map((one) =>
      one === undefined ? '' : `${one.text}${one.isMet ? ', met' : ', **missed**'}`,
    );
    return { what, goal, found: texts, isMissed, why };
  });
}

function goalsTable() {
  const rows = [...goals(), ...counted()].map(({ what, goal, found }) => [what, goal, ...found]);
  return table(['what', 'goal', ...versions.map((major) => `Node ${major}`)], rows);
}

/** One line for each reason. */
function missedList() {
  const byReason = new Map();
  for (const { what, goal, why, isMissed } of [...goals(), ...counted()]) {
    if (isMissed) byReason.set(why, [...(byReason.get(why) ?? []), `${what}, ${goal}`]);
  }
  if (byReason.size === 0) return 'Nothing.';
  return [...byReason].map(([why, missed]) => `- **${missed.join('; ')}.** ${why}`).join('\n');
}

const UNITS = { ratio: 'x', added: 'µs', rate: 'x requests' };

function limitOf({ most, least, of }) {
  return `${most === undefined ? `≥ ${least}` : `≤ ${most}`} ${UNITS[of]}`;
}

function foundOf(goal) {
  if (goal === undefined) return '';
  const { median, interval, most, least, verdict, isQuiet } = goal;
  const digits = Math.abs(median) < 1 && goal.of !== 'added' ? 3 : median < 10 ? 2 : 1;
  const by = most === undefined ? least - median : median - most;
  const said = { met: 'met', missed: `**missed** by ${by.toFixed(digits)}`, open: 'open' };
  const found = `${median.toFixed(digits)} [${interval.map((end) => end.toFixed(digits)).join(', ')}]`;
  return `${found}, ${said[verdict]}${isQuiet ? '' : ' (A/A too wide)'}`;
}

const spread = ({ median, interval }, digits) =>
  `${median.toFixed(digits)} [${interval.map((end) => end.toFixed(digits)).join(', ')}]`;
const COLUMNS = {
  µs: { head: 'main thread, µs', cell: ({ median }) => median.main.toFixed(1) },
  'wall ms': {
    head: '99 of 100 within, ms',
    cell: ({ median }) => (median.wall / 1000).toFixed(1),
  },
  added: { head: 'added µs', cell: ({ added }) => spread(added.main, 1) },
  ratio: { head: 'to the first row', cell: ({ ratio }) => spread(ratio.main, 2) },
  tail: { head: 'to the first row', cell: ({ ratio }) => spread(ratio.wall, 2) },
  rate: { head: 'requests, to the first row', cell: ({ rate }) => spread(rate, 2) },
};

function rowsOf(names, columns) {
  const heads = columns.map((column) => COLUMNS[column].head);
  return names
    .filter((name) => first[name] !== undefined)
    .map((name) => {
      const { title, rows } = first[name];
      const cells = rows.map((row) => [row.name, ...columns.map((one) => COLUMNS[one].cell(row))]);
      return table([title, ...heads], cells);
    })
    .join('\n\n');
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

let page = readFileSync(PAGE, 'utf8');
page = page.replace(/(<!-- bench: (\w+) -->\n)[^]*?(<!-- end -->)/g, (_all, begin, name, end) => {
  if (TABLES[name] === undefined) throw new Error(`there is no table ${name}`);
  return `${begin}\n${TABLES[name]()}\n\n${end}`;
});
const options = await resolveConfig(PAGE);
writeFileSync(PAGE, await format(page, { ...options, parser: 'markdown' }));
writeFileSync(CHART, drawChart(first));
