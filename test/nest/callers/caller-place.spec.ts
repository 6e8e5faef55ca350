import { expect, test } from 'vitest';
import { placeOf } from '../../../src/nest/callers/caller-place.js';
import { offlineModule } from '../../support/nest/offline-module.js';

test('a place is the resource, and what its parameters stand for', () => {
  const { main } = offlineModule();
  expect(placeOf(main)).toEqual({ resource: { uri: 'https://mcp.example.com/mcp', params: {} } });
  const member = main.at('https://mcp.example.com/mcp/acme', { tenant: 'acme' });
  expect(placeOf(member)).toEqual({
    resource: { uri: 'https://mcp.example.com/mcp/acme', params: { tenant: 'acme' } },
  });
});
