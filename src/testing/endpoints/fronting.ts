import type { Resource, Resources } from '../records/resources.js';

/** An operator lets the gateway `source` pass on what its tokens allow to `target`. */
export interface FrontingOptions {
  /** Slug or URI of a mint resource: the audience of the tokens that are exchanged. */
  readonly source: string;
  /** Slug or URI of the resource that the exchange is for. */
  readonly target: string;
  /** By scope of the source: the scopes of the target that it stands for. */
  readonly scopeMap: Readonly<Record<string, readonly string[]>>;
}

export interface FrontingLink {
  readonly source: Resource;
  readonly target: Resource;
  /** The scopes of the source that stand for this scope of the target, in alphabetical order. */
  readonly sourcesOf: (targetScope: string) => readonly string[];
  readonly targetScopes: readonly string[];
}

/** The declared links. @throws OAuthProblem when one names a resource that is not registered. */
export class Fronting {
  private readonly links: readonly FrontingLink[];

  constructor(declared: readonly FrontingOptions[], resources: Resources) {
    this.links = declared.map((options) => link(options, resources));
  }

  between(source: Resource, target: Resource): FrontingLink | undefined {
    return this.links.find((link) => link.source === source && link.target === target);
  }
}

function link({ source, target, scopeMap }: FrontingOptions, resources: Resources): FrontingLink {
  const entries = Object.entries(scopeMap).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    source: resources.named(source),
    target: resources.named(target),
    sourcesOf: (scope) =>
      entries.filter(([, targets]) => targets.includes(scope)).map(([name]) => name),
    targetScopes: [...new Set(entries.flatMap(([, targets]) => targets))],
  };
}
