import { resolve } from 'node:path';
import ts from 'typescript';
import { codeBlocks } from './markdown.js';

/** Declarations would be made of every block only to be thrown away. */
const ONLY_TYPES: ts.CompilerOptions = { noEmit: true, declaration: false, types: ['node'] };

/**
 * What the compiler says of the TypeScript blocks of these pages, as files of this project; nothing is written.
 * `ofBrowser` adds the types of a browser, as projects of the Nest CLI have them.
 */
export function compileBlocks(pages: readonly string[], { ofBrowser = false } = {}): string[] {
  const files = blocksOf(pages);
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile.bind(ts.sys)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, '.');
  if (ofBrowser) delete options.lib; // what `tsc` takes then
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (name) => files.get(name) ?? readFile.call(host, name);
  host.fileExists = (name) => files.has(name) || fileExists.call(host, name);
  const { getSourceFile } = host;
  host.getSourceFile = (name, target, ...rest) => {
    const block = files.get(name);
    if (block !== undefined) return ts.createSourceFile(name, block, target, true);
    return getSourceFile.call(host, name, target, ...rest);
  };
  const program = ts.createProgram(
    [...files.keys()],
    { ...options, ...ONLY_TYPES, noUnusedLocals: false, noUnusedParameters: false },
    host,
  );
  return [...files.keys()].flatMap((name) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map(({ messageText }) => `${name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
  );
}

function blocksOf(pages: readonly string[]): ReadonlyMap<string, string> {
  const files = pages.flatMap((page) =>
    codeBlocks(page)
      .filter(({ language }) => language === 'ts')
      .map(({ code }, index) => {
        const name = `test/docs/${page.replace(/\W+/g, '-')}-${index}.ts`;
        return [resolve(name), code] as const;
      }),
  );
  if (files.length < 5) throw new Error('the pages have no blocks');
  return new Map(files);
}
