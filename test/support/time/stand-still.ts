/** Nothing of this process happens meanwhile, as when the machine is suspended. */
export function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
