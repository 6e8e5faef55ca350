import { Scopes } from 'authplane-nestjs';
import { describe, expect, it } from 'vitest';
import {
  changedNames,
  registrationFindings,
  unservedFindings,
} from '../../../src/nest/boot/host-registrations.js';
import type { Registration } from '../../../src/nest/mcp/hosts/host-library.js';
import {
  declaredOperations,
  type DiscoveredHost,
  type Handler,
} from '../../../src/nest/mcp/hosts/mcp-discovery.js';
import type { ClassLike } from '../../../src/nest/marks/handler-marks.js';
import { knownClass } from '../../support/nest/offline-module.js';

class Tools {
  @Scopes('notes:write')
  write() {
    return 1;
  }

  read() {
    return 1;
  }
}

class OtherTools {
  @Scopes('notes:admin')
  write() {
    return 1;
  }
}

/** Serves each method as a tool of its name. */
const host = (suffix = ''): DiscoveredHost => ({
  name: 'Host',
  operationsOn: ({ name }) => [{ kind: 'tool', name: `${name}${suffix}` }],
});
const known = knownClass(Tools);
const tools = declaredOperations([known], [host()]);
const both = declaredOperations([known, knownClass(OtherTools)], [host()]);
/** As the host has it: by the name of the method. */
function registered(
  type: unknown,
  method: string,
  entry: Partial<Registration> = {},
): Registration {
  const { prototype } = type as ClassLike;
  const handlers = [Reflect.get(prototype, method) as Handler];
  const own = { server: 's', kind: 'tool', name: method, key: method } as const;
  return { ...own, method, types: [type as ClassLike], handlers, ...entry };
}
const asDecorated = [registered(Tools, 'write'), registered(Tools, 'read')];

function found(registrations: readonly Registration[], declared = tools): string[] {
  const tables = { host: 'Host', registrations, wayIn: 'import it' };
  const findings = registrationFindings(tables, declared);
  for (const { weight } of findings) expect(weight).toBe('wrong');
  return findings.map(({ text }) => text);
}

describe('registrationFindings', () => {
  it('says nothing where the host serves what the decorators say', () => {
    expect(found(asDecorated)).toEqual([]);
  });

  it('two methods under one key, of which the host runs the first', () => {
    const same = [
      registered(Tools, 'write'),
      registered(OtherTools, 'write'),
      registered(Tools, 'read'),
    ];
    expect(found(same, both)).toEqual([
      'Tools.write and OtherTools.write share a name (tool "write"), and the host runs the first of that ' +
        'name for both: give each a name of its own',
    ]);
    const byServer = same.map((one, index) => ({ ...one, server: `s${index}` }));
    expect(found(byServer, both)).toEqual([]);
  });

  it('two names under one key', () => {
    const alias = registered(OtherTools, 'write', { name: 'write ' });
    const [text] = found([...asDecorated, alias], both);
    expect(text).toContain('share a name (tool "write" and "write ")');
  });

  it('one method twice under one key is one, and so are two that need nothing', () => {
    expect(found([...asDecorated, registered(Tools, 'write')])).toEqual([]);
    class Plain {
      read() {
        return 2;
      }
    }
    const declared = declaredOperations([known, knownClass(Plain)], [host()]);
    expect(found([...asDecorated, registered(Plain, 'read')], declared)).toEqual([]);
  });

  it('several classes under one token, of which it runs one', () => {
    const several = registered(Tools, 'write', { types: [Tools, OtherTools] as never });
    expect(found([several, registered(Tools, 'read')])).toEqual([
      'Tools and OtherTools are provided under one token in several modules, and the host runs the tool ' +
        '"write" of one of them: give each a token of its own',
    ]);
  });

  it('another name than the decorator had, where it needs scopes', () => {
    const renamed = asDecorated.map((one) => ({ ...one, name: 'x', key: `${one.key}x` }));
    expect(found(renamed)).toEqual([
      'the host serves Tools.write as tool "x", its decorator said "write": name it in the decorator',
    ]);
  });

  it('a marked method that no class of Nest has', () => {
    const made = { run: OtherTools.prototype.write };
    const of = { types: [], handlers: [made.run] };
    expect(
      found([
        ...asDecorated,
        registered(OtherTools, 'write', { ...of, method: 'run', name: 'run', key: 'run' }),
      ]),
    ).toEqual([
      'the host serves "run" as tool "run", and no class that Nest knows has this method, so that its ' +
        '@Scopes are unknown here: decorate methods of classes, or use the option mcp',
    ]);
  });

  it('a method with scopes that no server has, and no word about one without', () => {
    expect(found([])).toEqual(['no server of Host has the tool "write" of Tools.write: import it']);
    const other = tools.map((one) => ({ ...one, host: { ...host(), name: 'Another' } }));
    expect(found([], other)).toEqual([]);
  });
});

describe('changedNames', () => {
  const now = (suffix: string) => declaredOperations([known], [host(suffix)]);

  it('a name that has changed since its scopes were read', () => {
    expect(changedNames(tools, now('2'), [])).toEqual([
      {
        weight: 'wrong',
        text:
          'Tools.write was the tool "write" when its scopes were read, and is "write2" now: name it in the ' +
          'decorator, and change nothing when the application starts',
      },
    ]);
    expect(changedNames(tools, [], [])[0]?.text).toContain('and is nothing now');
    expect(changedNames(tools, now(''), [])).toEqual([]);
  });

  it('is not asked of a host whose own tables are there', () => {
    const tables = { host: 'Host', registrations: [], wayIn: '' };
    expect(changedNames(tools, now('2'), [tables])).toEqual([]);
  });
});

it('unservedFindings: of what needs scopes', () => {
  expect(unservedFindings({ operations: tools, wayIn: 'list the class' })).toEqual([
    {
      weight: 'wrong',
      text: 'no server of Host has the tool "write" of Tools.write: list the class',
    },
  ]);
});
