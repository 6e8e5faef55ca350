import { describe, expect, it } from 'vitest';
import { type AuthplaneEvent, Events } from '../../../src/core/events.js';
import { OperationTable } from '../../../src/nest/mcp/declared-operations.js';

const operation = (name: string) => ({ kind: 'tool', name }) as const;
const learned = (name: string, requirement = ['a']) => ({ ...operation(name), requirement });

function start(options: ConstructorParameters<typeof OperationTable>[0] = {}) {
  const heard: AuthplaneEvent[] = [];
  const events = new Events();
  events.onEvent((event) => void heard.push(event));
  return { table: new OperationTable(options, events), heard };
}

describe('OperationTable', () => {
  it('is empty until something is known, of the options or of a server', () => {
    expect(start({ tools: { a: ['x'] } }).table.isEmpty).toBe(false);
    const { table } = start();
    expect(table.isEmpty).toBe(true);
    table.learn(learned('b'));
    expect(table.isEmpty).toBe(false);
  });

  it('needs of options and of registrations add up', () => {
    const { table } = start({ tools: { a: ['x'] } });
    expect(table.scopes.staticNeeds(operation('a')).all).toEqual(['x']);
    table.learn(learned('a', ['y']));
    expect(new Set(table.scopes.staticNeeds(operation('a')).all)).toEqual(new Set(['x', 'y']));
  });

  it('a repeated registration makes nothing anew, a further one does', () => {
    const { table } = start();
    table.learn(learned('a'));
    const { scopes } = table;
    table.learn(learned('a'));
    expect(table.scopes).toBe(scopes);
    table.learn(learned('b'));
    expect(table.scopes).not.toBe(scopes);
  });

  it('learns 10,000 requirements and no more, and says so once', () => {
    const { table, heard } = start();
    for (let count = 0; count < 10_000; count++) table.learn(learned(`t${count}`));
    expect(heard).toEqual([]);
    table.learn(learned('more'));
    table.learn(learned('and more'));
    expect(heard).toMatchObject([{ type: 'set_up', isDoubtful: true }]);
    expect(table.scopes.knows(operation('t9999'))).toBe(true);
    expect(table.scopes.knows(operation('more'))).toBe(false);
  });
});
