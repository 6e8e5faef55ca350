const RESAMPLES = 1000;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Of the median: 95 % of the medians of samples drawn from the sample (bootstrap). */
export function interval(values) {
  const medians = Array.from({ length: RESAMPLES }, () => median(values.map(() => any(values))));
  const sorted = medians.sort((a, b) => a - b);
  return [sorted[Math.floor(RESAMPLES * 0.025)], sorted[Math.ceil(RESAMPLES * 0.975) - 1]];
}

function any(values) {
  return values[Math.floor(Math.random() * values.length)];
}
