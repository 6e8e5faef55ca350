import { Controller, Get, Post, Sse, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, Public } from 'authplane-nestjs';
import { describe, expect, it } from 'vitest';
import { routesOf } from '../../../src/nest/boot/boot-routes.js';
import {
  endpointsOf,
  knownOperation,
  unguardedStreams,
} from '../../../src/nest/boot/self-check-targets.js';
import { foundApplication, knownClass, offlineModule } from '../../support/nest/offline-module.js';

@Controller('mcp')
class McpController {
  @Post()
  @UseGuards(AuthplaneGuard)
  post() {
    return 1;
  }

  @Get('stream')
  below() {
    return 1;
  }
}

@Controller('events')
class EventsController {
  @Sse('all')
  all() {
    return [];
  }

  @Sse('of/:id')
  ofOne() {
    return [];
  }

  @Sse('open')
  @Public()
  open() {
    return [];
  }

  @Sse('guarded')
  @UseGuards(AuthplaneGuard)
  guarded() {
    return [];
  }

  @Get('sse')
  byHabit() {
    return 1;
  }

  @Get('plain')
  plain() {
    return 1;
  }
}

const offline = offlineModule();
const { main } = offline.resources;
const [one, another] = [{}, {}];
const routes = (module: object) =>
  routesOf(
    foundApplication(offline, {
      classes: [
        knownClass(McpController, { module: one }),
        knownClass(EventsController, { module }),
      ],
    }),
  );

it('endpointsOf: those of the resource', () => {
  const all = routes(one);
  expect(endpointsOf(main, all).map(({ name }) => name)).toEqual(['post']);
  expect(endpointsOf({ ...main }, all)).toEqual([]);
});

describe('unguardedStreams', () => {
  it('names event streams beside a guarded endpoint that nobody guards, by mark or habit', () => {
    expect(unguardedStreams(main, routes(one), '')).toEqual(['/events/all', '/events/sse']);
    expect(unguardedStreams(main, routes(one), 'api')[0]).toBe('/api/events/all');
  });

  it('and none of other modules', () => {
    expect(unguardedStreams(main, routes(another), '')).toEqual([]);
  });

  it('but those below the endpoint, wherever they are', () => {
    @Controller('mcp/files')
    class BelowController {
      @Sse('changes')
      changes() {
        return [];
      }
    }
    const classes = [knownClass(BelowController, { module: another })];
    const below = routesOf(foundApplication(offline, { classes }));
    expect(unguardedStreams(main, below, '')).toEqual(['/mcp/files/changes']);
  });
});

describe('knownOperation', () => {
  const known = (mcp: object) => knownOperation(offlineModule({ mcp }).resources.main, []);

  it('is a tool or prompt with scopes', () => {
    expect(known({ tools: { read: ['a', 'b'] } })).toEqual({
      ...{ method: 'tools/call', params: { name: 'read' }, scopes: ['a', 'b'] },
    });
    expect(known({ prompts: { ask: ['a'] } })).toMatchObject({ method: 'prompts/get' });
  });

  it.each<[string, object]>([
    ['nothing', {}],
    ['a resource', { resources: { 'notes://all': ['a'] } }],
    ['a method', { methods: { 'notes/sync': ['a'] } }],
    ['a rule, which only calls tell', { tools: { read: () => ['a'] } }],
    ['hidden tools, whose scopes stay unsaid', { tools: { read: ['a'] }, list: 'hide' }],
  ])('is not %s', (_, mcp) => {
    expect(known(mcp)).toBeUndefined();
  });
});
