/**
 * The public surface as text: one report for each entry of the package, with the signatures that
 * users compile against, and a page that says in a sentence what each name is for. Prints all as
 * JSON; with `--write` (`npm run api`) renews `api/` and `docs/api.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import ts from 'typescript';

const ENTRIES = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).exports)
  .filter((entry) => entry !== './package.json')
  .map((entry) => (entry === '.' ? 'index' : entry.slice(2)));
const sourceOf = (entry) => (entry === 'index' ? 'src/index.ts' : `src/${entry}/index.ts`);

const DEFAULT = /\b(?:default|without|none|left out|absent|empty)\b/i;
const UNDOCUMENTED = '// undocumented';
const printer = ts.createPrinter({ removeComments: true });
const program = declarations();
const checker = program.getTypeChecker();
const shown = new Map(ENTRIES.map((entry) => [entry, exportsOf(entry)]));

const reports = ENTRIES.map(report);
const page = { file: 'docs/api.md', text: apiPage() };
if (process.argv.includes('--write')) {
  for (const { file, text } of [...reports, page]) writeFileSync(file, text);
} else {
  process.stdout.write(JSON.stringify({ reports, page }));
}

/** A program over what the compiler publishes: inferred types are spelt out, private members gone. */
function declarations() {
  const { options } = ts.getParsedCommandLineOfConfigFile('tsconfig.build.json', {}, ts.sys);
  const roots = ENTRIES.map((entry) => resolve(sourceOf(entry)));
  const emitted = new Map();
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.getSourceFile = sharedSourceFiles(host);
  // Without the check of all that stands in functions, which other steps do.
  const emitting = { ...options, declaration: true, noCheck: true, noEmit: false, outDir: 'src' };
  ts.createProgram(roots, emitting, host).emit(
    undefined,
    (name, text) => emitted.set(resolve(name), text),
    undefined,
    true,
  );
  host.readFile = (name) => emitted.get(resolve(name)) ?? readFile.call(host, name);
  // The source beside a declaration would be preferred.
  const isSource = (name) => emitted.has(resolve(name.replace(/(?<!\.d)\.ts$/, '.d.ts')));
  host.fileExists = (name) =>
    emitted.has(resolve(name)) || (!isSource(name) && fileExists.call(host, name));
  return ts.createProgram(
    roots.map((name) => name.replace(/\.ts$/, '.d.ts')),
    { ...options, noEmit: true },
    host,
  );
}

/** What two programs read of installed packages is parsed once. */
function sharedSourceFiles(host) {
  const known = new Map();
  return (name, target) => {
    const text = known.has(name) ? undefined : host.readFile(name);
    if (text !== undefined) known.set(name, ts.createSourceFile(name, text, target, true));
    return known.get(name);
  };
}

function exportsOf(entry) {
  const file = program.getSourceFile(resolve(sourceOf(entry)).replace(/\.ts$/, '.d.ts'));
  return checker
    .getExportsOfModule(checker.getSymbolAtLocation(file))
    .map(unaliased)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function unaliased(symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

function report(entry) {
  const exported = shown.get(entry);
  const reached = unexported(exported);
  const text = [
    `# API report of \`${specifier(entry)}\``,
    'Made by `npm run api`; a change of this file is a change of what users compile against.',
    block(exported),
    ...(reached.length === 0
      ? []
      : ['## Not exported, but part of the signatures', block(reached)]),
  ].join('\n\n');
  return {
    entry,
    file: `api/${entry}.api.md`,
    text: `${text}\n`,
    names: exported.map((symbol) => symbol.name),
    machinery: reached.filter(({ flags }) => flags & ts.SymbolFlags.Class).map(({ name }) => name),
    withoutDefault: [...exported, ...reached].flatMap(membersWithoutDefault),
    undocumented: [...exported, ...reached].flatMap(undocumentedParts),
  };
}

function block(symbols) {
  return ['```ts', symbols.map(signature).join('\n\n'), '```'].join('\n');
}

function signature(symbol) {
  return declarationsOf(symbol).map(printed).join('\n');
}

/** One declaration without comments, with a mark on each part that TSDoc does not describe. */
function printed(declaration) {
  const file = declaration.getSourceFile();
  const statement = statementOf(declaration);
  const marks = new Set(parts(declaration).filter((part) => !isDocumented(part)));
  const members = new Map(
    [...marks].map((part) => [printer.printNode(ts.EmitHint.Unspecified, part, file), part]),
  );
  const own = marks.has(declaration) ? `${UNDOCUMENTED}\n` : '';
  const text = printer
    .printNode(ts.EmitHint.Unspecified, statement, file)
    .split('\n')
    .filter((line) => !/^\s*(?:#private;|private )/.test(line))
    .map((line) => (members.has(line.trim()) ? `${line} ${UNDOCUMENTED}` : line))
    .join('\n');
  return own + text;
}

function statementOf(declaration) {
  return ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
}

function declarationsOf(symbol) {
  return (symbol.declarations ?? []).filter(isOurs);
}

function isOurs(node) {
  return node.getSourceFile().fileName.startsWith(`${resolve('src')}/`);
}

function undocumentedParts(symbol) {
  return declarationsOf(symbol)
    .flatMap(parts)
    .filter((part) => !isDocumented(part))
    .map((part) =>
      part.name?.getText() === symbol.name
        ? symbol.name
        : `${symbol.name}.${part.name?.getText() ?? 'constructor'}`,
    );
}

/** Optional members of options that do not say what holds when they are left out. */
function membersWithoutDefault(symbol) {
  if (!symbol.name.endsWith('Options')) return [];
  return declarationsOf(symbol)
    .flatMap(parts)
    .filter((part) => part.questionToken !== undefined)
    .map((part) => checker.getSymbolAtLocation(part.name))
    .filter((member) => !DEFAULT.test(documentation(member)))
    .map((member) => `${symbol.name}.${member.name}`);
}

function documentation(symbol) {
  const tags = symbol.getJsDocTags(checker).flatMap(({ text }) => text ?? []);
  return ts.displayPartsToString([...symbol.getDocumentationComment(checker), ...tags]);
}

/** The declaration itself and its members. What is written inside a member belongs to that member. */
function parts(declaration) {
  const found = [declaration];
  const visit = (node) => {
    if (!isMember(node)) ts.forEachChild(node, visit);
    else if (!isPrivate(node)) found.push(node);
  };
  if (!ts.isFunctionDeclaration(declaration)) ts.forEachChild(declaration, visit);
  return found;
}

function isMember(node) {
  return (
    ts.isPropertySignature(node) ||
    ts.isMethodSignature(node) ||
    ts.isPropertyDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isGetAccessorDeclaration(node) ||
    ts.isConstructorDeclaration(node)
  );
}

function isPrivate(node) {
  return (
    (node.name !== undefined && ts.isPrivateIdentifier(node.name)) ||
    (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) !== 0
  );
}

/** Members have the words of what they implement or override. */
function isDocumented(node) {
  if (ts.getJSDocCommentsAndTags(statementOf(node)).some((each) => each.comment)) return true;
  const symbol = node.name === undefined ? undefined : checker.getSymbolAtLocation(node.name);
  return (symbol?.getDocumentationComment(checker) ?? []).length > 0;
}

/** Types of this package that a signature mentions and no entry exports, and what these mention. */
function unexported(exported) {
  const known = new Set([...shown.values()].flat());
  const found = new Set();
  const queue = [...exported];
  for (const symbol of queue) {
    for (const mentioned of declarationsOf(symbol).flatMap(mentions)) {
      if (known.has(mentioned) || found.has(mentioned)) continue;
      if (declarationsOf(mentioned).length === 0) continue;
      found.add(mentioned);
      queue.push(mentioned);
    }
  }
  return [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function mentions(declaration) {
  const found = [];
  const visit = (node) => {
    if (isPrivate(node)) return;
    const name = ts.isTypeReferenceNode(node)
      ? node.typeName
      : ts.isExpressionWithTypeArguments(node)
        ? node.expression
        : ts.isTypeQueryNode(node)
          ? node.exprName
          : undefined;
    const symbol = name && checker.getSymbolAtLocation(name);
    if (symbol && !(symbol.flags & ts.SymbolFlags.TypeParameter)) found.push(unaliased(symbol));
    ts.forEachChild(node, visit);
  };
  visit(statementOf(declaration));
  return found;
}

function specifier(entry) {
  return entry === 'index' ? 'authplane-nestjs' : `authplane-nestjs/${entry}`;
}

// ---- docs/api.md ---------------------------------------------------------------------------------

function apiPage() {
  return `${[
    '# Every exported name',
    'Made from the TSDoc of the sources by `npm run api`. What a name does in full, its defaults, units and\n' +
      'errors, your editor shows where you use it. Signatures are in the declarations of the package.',
    ...ENTRIES.flatMap(section),
  ].join('\n\n')}\n`;
}

function section(entry) {
  const elsewhere = entry === 'index' ? new Set(shown.get('core')) : new Set();
  const own = shown.get(entry).filter((symbol) => !elsewhere.has(symbol));
  const errors = own.filter(({ name }) => name.endsWith('Error'));
  const values = own.filter((symbol) => !errors.includes(symbol) && isValue(symbol));
  const types = own.filter((symbol) => !errors.includes(symbol) && !isValue(symbol));
  return [
    `## \`${specifier(entry)}\``,
    ...list('Classes and functions', values),
    ...list('Errors', errors),
    ...list('Types', types),
    ...(elsewhere.size === 0 ? [] : [alsoFromCore(entry, elsewhere)]),
  ];
}

function list(title, symbols) {
  if (symbols.length === 0) return [];
  return [
    `**${title}**`,
    symbols.map((symbol) => `- \`${symbol.name}\`: ${summary(symbol)}`).join('\n'),
  ];
}

function alsoFromCore(entry, elsewhere) {
  const names = shown.get(entry).filter((symbol) => elsewhere.has(symbol));
  const text = names.map(({ name }) => `\`${name}\``).join(', ');
  return `And from [\`authplane-nestjs/core\`](#authplane-nestjscore): ${text}.`;
}

function isValue({ flags }) {
  return (flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Function | ts.SymbolFlags.Variable)) !== 0;
}

/** The first sentence of the TSDoc. */
function summary(symbol) {
  const text = ts
    .displayPartsToString(symbol.getDocumentationComment(checker))
    .replace(/\{@link ([^}]+)\}/g, '`$1`')
    .replace(/\s+/g, ' ');
  return /^.+?\.(?= |$)/.exec(text)?.[0] ?? text;
}
