/** How many token requests there were of each grant type, as the clients named it. */
export type GrantRequestCounts = Readonly<Record<string, number>>;

export class GrantCounter {
  private readonly counts = new Map<string, number>();

  add(grantType: string): void {
    this.counts.set(grantType, (this.counts.get(grantType) ?? 0) + 1);
  }

  reset(): void {
    this.counts.clear();
  }

  snapshot(): GrantRequestCounts {
    return Object.fromEntries(this.counts);
  }
}
