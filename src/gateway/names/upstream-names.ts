import { scopeNeeds } from '../../core/mcp/scope-requirement.js';
import type { ToldRequirement } from '../../core/mcp/requirement-sources.js';
import { spellingsOf, UriTable } from '../../core/mcp/uri-table.js';
import { Generations } from '../../core/lib/generations.js';
import type { ResolvedUpstream } from '../options/upstream-options.js';
import { exposedName, type Naming, ownNameIn } from './exposed-names.js';
import { RuleTable, type RuleVerdict } from './operation-rules.js';

/** Shortened names that are remembered, of one kind of one upstream. */
const MAX_SHORTENED = 5000;

/** How one operation is offered. */
export interface Offer {
  readonly name: string;
  readonly verdict: RuleVerdict;
}

/** The names and rules of one upstream: what follows from its options alone. */
export class UpstreamNames {
  readonly tools: NamesOfKind;
  readonly prompts: NamesOfKind;
  readonly #resources: RuleTable;
  readonly #resourceDemands: UriTable<ToldRequirement>;

  constructor(upstream: ResolvedUpstream, maxNameLength: number) {
    const { prefix, defaultOffered } = upstream;
    const naming = { prefix, maxNameLength };
    this.tools = new NamesOfKind(new RuleTable(upstream.tools, defaultOffered), naming);
    this.prompts = new NamesOfKind(new RuleTable(upstream.prompts, defaultOffered), naming);
    this.#resources = new RuleTable(upstream.resources, defaultOffered);
    this.#resourceDemands = new UriTable(
      this.#resources.demands.map(([name, requirement]) => [
        name.replaceAll('*', '{+any}'),
        { name, requirement: scopeNeeds(requirement) },
      ]),
      false,
    );
  }

  /** A URI or template as it is offered: never renamed, and refused in every spelling. */
  resource(uri: string): Offer {
    const verdict = this.#resources.verdictOn(uri);
    const isOffered = spellingsOf(uri).every((one) => this.#resources.verdictOn(one).isOffered);
    return { name: uri, verdict: isOffered ? verdict : { ...verdict, isOffered } };
  }

  demandsOf(kind: string, name: string): readonly ToldRequirement[] {
    if (kind === 'resource') return this.#resourceDemands.find(name);
    const names = { tool: this.tools, prompt: this.prompts }[kind];
    return names?.demandsOf(name) ?? [];
  }
}

/** Tools, or prompts, of one upstream. */
export class NamesOfKind {
  readonly rules: RuleTable;
  readonly #naming: Naming;
  /** Exposed to own name, where one does not tell the other. */
  readonly #renamed: ReadonlyMap<string, string>;
  readonly #shortened = new Generations<string>(MAX_SHORTENED);

  constructor(rules: RuleTable, naming: Naming) {
    this.rules = rules;
    this.#naming = naming;
    this.#renamed = new Map(rules.renamed.map(([own, as]) => [as, own]));
    for (const [pattern] of rules.demands) {
      if (!pattern.includes('*')) this.#learn(exposedName(pattern, naming), pattern);
    }
  }

  offer(ownName: string): Offer {
    const verdict = this.rules.verdictOn(ownName);
    const name = verdict.as ?? exposedName(ownName, this.#naming);
    this.#learn(name, ownName);
    return { name, verdict };
  }

  /** Whether something of this upstream may have this exposed name. */
  mayHave(exposed: string): boolean {
    return this.#renamed.has(exposed) || ownNameIn(exposed, this.#naming.prefix) !== undefined;
  }

  /** Of all own names that this may be the exposed one of. */
  demandsOf(exposed: string): readonly ToldRequirement[] {
    const owns = [
      this.#renamed.get(exposed),
      this.#shortened.get(exposed),
      ownNameIn(exposed, this.#naming.prefix),
    ];
    return [...new Set(owns)].flatMap((own) =>
      own === undefined
        ? []
        : this.rules
            .verdictOn(own)
            .scopes.map((scopes) => ({ name: exposed, requirement: scopeNeeds(scopes) })),
    );
  }

  #learn(exposed: string, own: string): void {
    if (exposed.length < this.#naming.maxNameLength || this.#renamed.has(exposed)) return;
    if (ownNameIn(exposed, this.#naming.prefix) !== own) this.#shortened.set(exposed, own);
  }
}
