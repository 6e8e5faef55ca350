import { describe, expect, it } from 'vitest';
import { sideRouteFindings } from '../../../src/nest/boot/side-route-checks.js';
import { foundApplication, knownClass, offlineModule } from '../../support/nest/offline-module.js';

class AguiController {}
class McpController {}

const classes = [knownClass(AguiController, { runsElsewhere: true }), knownClass(McpController)];
const found = (mcp: object | false) =>
  sideRouteFindings(foundApplication(offlineModule({ mcp }), { classes }));

describe('routes of a library that run tools for bodies that are no JSON-RPC', () => {
  it('are wrong where the options name requirements', () => {
    expect(found({ tools: { read: ['a'] } })).toEqual([
      {
        weight: 'wrong',
        text: expect.stringMatching(/^AguiController runs tools .*: switch it off, or say all/),
      },
    ]);
  });

  it('are none of our business where marks say everything', () => {
    expect([found({}), found({ list: 'hide' }), found(false)]).toEqual([[], [], []]);
  });

  it('are wrong where marks hide something', () => {
    const offline = offlineModule();
    const hidden = { kind: 'tool', name: 'read', requirement: ['a'], list: 'hide' } as const;
    offline.resources.main.mcp.learn(hidden);
    expect(sideRouteFindings(foundApplication(offline, { classes }))).toHaveLength(1);
  });
});
