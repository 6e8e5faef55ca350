import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { interval, median } from './statistics.js';

/** Wider than so, the interval of the same thing measured twice tells that the machine was too busy. */
const WIDEST_AA = 0.08;
const AA = 'A/A';
const RESULTS = fileURLToPath(new URL('../results/', import.meta.url));

/** @param base name of a case; put it in twice, the second time under {@link again}. */
export function again(base) {
  return `${AA}: ${base}`;
}

/**
 * What each case costs against the base, in pairs of one round. `goals` are `{ name: goal }` or a list of them for one
 * case: `{ metric, most }` or `{ least }`, for the ratio or, with `of: 'added'`, for the microseconds that are added, or,
 * with `of: 'rate'`, for the ratio of requests a second; `to` compares with another case than the base.
 *
 * @param steady what has to be the same when the base is measured twice, and within what part of it.
 */
export function compare(slices, { base, goals = {}, steady = 'main', within = WIDEST_AA }) {
  const isQuiet = isSteady(slices, base, steady, within);
  return Object.entries(slices).map(([name, own]) => ({
    name,
    median: per((metric) => median(own.map((slice) => slice[metric]))),
    ratio: per((metric) => spread(own.map((slice, i) => slice[metric] / slices[base][i][metric]))),
    added: per((metric) => spread(own.map((slice, i) => slice[metric] - slices[base][i][metric]))),
    rate: spread(own.map((slice, i) => slices[base][i].wall / slice.wall)),
    goals: [goals[name] ?? []].flat().map((goal) => judged(goal, own, slices, { base, isQuiet })),
  }));
}

function per(value) {
  return { wall: value('wall'), main: value('main') };
}

function spread(values) {
  return { median: median(values), interval: interval(values) };
}

function isSteady(slices, base, metric, within) {
  const pairs = slices[again(base)]?.map((slice, i) => slice[metric] / slices[base][i][metric]);
  if (pairs === undefined) return false;
  const [low, high] = interval(pairs);
  return low >= 1 - within && high <= 1 + within;
}

const MEASURES = {
  ratio: (own, other) => own / other,
  added: (own, other) => own - other,
  rate: (own, other) => other / own,
};

/** Met when the median is, missed when all of the interval is on the wrong side, and none in between. */
function judged(goal, own, slices, { base, isQuiet }) {
  const { of = 'ratio', to = base, most = Infinity, least = -Infinity } = goal;
  const { metric = of === 'rate' ? 'wall' : 'main' } = goal;
  const values = own.map((slice, i) => MEASURES[of](slice[metric], slices[to][i][metric]));
  const found = spread(values);
  const [low, high] = found.interval;
  const isMet = found.median <= most && found.median >= least;
  const isMissed = low > most || high < least;
  const verdict = isMet ? 'met' : isMissed ? 'missed' : 'open';
  return { ...goal, of, to, metric, ...found, verdict, isQuiet };
}

/** Prints the rows as a table and keeps them under `bench/results`. */
export function report(name, title, rows, more = {}) {
  console.log(`\n${title}  (Node ${process.versions.node})\n`);
  const width = Math.max(...rows.map((row) => row.name.length));
  const heads = ['wall µs', 'main µs', 'main x base', 'added main µs', 'rate x base'];
  const sizes = [10, 10, 22, 26, 22];
  const head = heads.map((text, i) => text.padStart(sizes[i]));
  console.log(`${''.padEnd(width)}${head.join('')}  goals`);
  for (const row of rows) console.log(line(row, width, sizes));
  keep(name, { title, rows, ...more });
}

function line({ name, median: middle, ratio, added, rate, goals }, width, sizes) {
  const cells = [
    middle.wall.toFixed(1),
    middle.main.toFixed(1),
    spreadText(ratio.main, 3, 2),
    spreadText(added.main, 1, 1),
    spreadText(rate, 2, 2),
  ];
  const row = cells.map((text, i) => text.padStart(sizes[i]));
  return `${name.padEnd(width)}${row.join('')}  ${goals.map(goalText).join('; ')}`.trimEnd();
}

function spreadText({ median: middle, interval: ends }, digits, endDigits) {
  return `${middle.toFixed(digits)} [${between(ends, endDigits)}]`;
}

function between([low, high], digits) {
  return `${low.toFixed(digits)}, ${high.toFixed(digits)}`;
}

const UNITS = {
  ratio: (metric) => `x ${metric}`,
  added: () => 'µs added',
  rate: () => 'x requests',
};

function goalText({ metric, of, most, least, verdict, isQuiet }) {
  const limit = most === undefined ? `>= ${least}` : `<= ${most}`;
  const found = isQuiet ? verdict : 'no verdict, A/A too wide';
  return `${limit} ${UNITS[of](metric)}: ${found}`;
}

/** Whatever a bench has found, with what it was found on: a file for each version of Node. */
export function keep(name, result) {
  const [major] = process.versions.node.split('.');
  const machine = {
    node: process.versions.node,
    openssl: process.versions.openssl,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    load: loadavg().map((load) => Number(load.toFixed(1))),
  };
  if (process.env.BENCH_KEEP === 'no') return;
  mkdirSync(RESULTS, { recursive: true });
  const text = JSON.stringify({ machine, ...result }, rounded, 2);
  writeFileSync(`${RESULTS}${name}-node${major}.json`, `${text}\n`);
}

function rounded(_name, value) {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
