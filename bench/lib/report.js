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
 * What each case costs against the base, in pairs of one round. `goals` are `{ name: { metric, most } }` or
 * `{ least }`, for the ratio or, with `of: 'added'`, for the microseconds that are added.
 */
export function compare(slices, { base, goals = {} }) {
  const isQuiet = isSteady(slices, base);
  return Object.entries(slices).map(([name, own]) => ({
    name,
    median: per((metric) => median(own.map((slice) => slice[metric]))),
    ratio: per((metric) => spread(own.map((slice, i) => slice[metric] / slices[base][i][metric]))),
    added: per((metric) => spread(own.map((slice, i) => slice[metric] - slices[base][i][metric]))),
    ...(goals[name] === undefined ? {} : { goal: goals[name] }),
    verdict: verdictOf(name, goals[name], slices, base, isQuiet),
  }));
}

function per(value) {
  return { wall: value('wall'), main: value('main') };
}

function spread(values) {
  return { median: median(values), interval: interval(values) };
}

function isSteady(slices, base) {
  const pairs = slices[again(base)]?.map((slice, i) => slice.main / slices[base][i].main);
  if (pairs === undefined) return false;
  const [low, high] = interval(pairs);
  return low >= 1 - WIDEST_AA && high <= 1 + WIDEST_AA;
}

/** Met when the median is, missed when all of the interval is on the wrong side, and none in between. */
function verdictOf(name, goal, slices, base, isQuiet) {
  if (goal === undefined) return '';
  if (!isQuiet) return 'none: A/A too wide';
  const { metric = 'main', of = 'ratio', most = Infinity, least = -Infinity } = goal;
  const values = slices[name].map((slice, i) => {
    const other = slices[base][i][metric];
    return of === 'ratio' ? slice[metric] / other : slice[metric] - other;
  });
  const [low, high] = interval(values);
  const middle = median(values);
  if (middle <= most && middle >= least) return 'met';
  return low > most || high < least ? 'missed' : 'none: run longer';
}

/** Prints the rows as a table and keeps them under `bench/results`. */
export function report(name, title, rows, more = {}) {
  console.log(`\n${title}  (Node ${process.versions.node})\n`);
  const width = Math.max(...rows.map((row) => row.name.length));
  console.log(
    `${''.padEnd(width)}  wall µs  main µs        main x base   added main µs  goal and verdict`,
  );
  for (const row of rows) console.log(line(row, width));
  keep(name, { title, rows, ...more });
}

function line({ name, median: middle, ratio, added, goal, verdict }, width) {
  const cells = [
    middle.wall.toFixed(1).padStart(8),
    middle.main.toFixed(1).padStart(8),
    `${ratio.main.median.toFixed(3)} [${between(ratio.main.interval, 2)}]`.padStart(18),
    `${added.main.median.toFixed(1)} [${between(added.main.interval, 1)}]`.padStart(15),
    goal === undefined ? '' : ` ${goalText(goal)}: ${verdict}`,
  ];
  return `${name.padEnd(width)} ${cells.join(' ')}`.trimEnd();
}

function between([low, high], digits) {
  return `${low.toFixed(digits)}, ${high.toFixed(digits)}`;
}

function goalText({ metric = 'main', of = 'ratio', most, least }) {
  const limit = most === undefined ? `>= ${least}` : `<= ${most}`;
  return of === 'ratio' ? `${metric} ${limit} x` : `${metric} ${limit} µs added`;
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
  mkdirSync(RESULTS, { recursive: true });
  const text = JSON.stringify({ machine, ...result }, rounded, 2);
  writeFileSync(`${RESULTS}${name}-node${major}.json`, `${text}\n`);
}

function rounded(_name, value) {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
