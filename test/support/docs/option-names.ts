import ts from 'typescript';

/** Names of the module's options, read from the interfaces that declare them. */
export function moduleOptionNames(): string[] {
  const file = ts.createSourceFile(
    'options.ts',
    ts.sys.readFile('src/core/options.ts') ?? '',
    ts.ScriptTarget.ES2022,
  );
  const wanted = ['ServerOptions', 'ResourceOptions', 'GuardOptions', 'AuthplaneModuleOptions'];
  return file.statements
    .filter(ts.isInterfaceDeclaration)
    .filter(({ name }) => wanted.includes(name.text))
    .flatMap(({ members }) => members.map((member) => member.name?.getText(file) ?? ''));
}
