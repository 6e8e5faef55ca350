import { readFileSync } from 'node:fs';

const nap = new Int32Array(new SharedArrayBuffer(4));

/**
 * CPU of the main thread so far in microseconds: of the thread where requests wait for each other, without
 * the thread pool. Where Node does not tell it, Linux does, and elsewhere it is that of the process.
 */
export function mainThreadCpu() {
  if (process.threadCpuUsage !== undefined) return sum(process.threadCpuUsage());
  if (process.platform !== 'linux') return processCpu();
  Atomics.wait(nap, 0, 0, 0.01); // the kernel brings the number up to date when the thread sleeps
  const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
  return Number(nanoseconds) / 1000;
}

/** CPU of all threads so far in microseconds. */
export function processCpu() {
  return sum(process.cpuUsage());
}

function sum({ user, system }) {
  return user + system;
}
