import { AuthplaneClient } from '../../../src/core/client.js';
import { type AuthplaneEvent, Events } from '../../../src/core/events.js';
import { type AuthplaneModuleOptions, resolveModuleOptions } from '../../../src/core/options.js';
import type { Application } from '../../../src/nest/boot/boot-routes.js';
import type { ClassLike } from '../../../src/nest/marks/handler-marks.js';
import type { KnownClass, KnownMethod } from '../../../src/nest/mcp/hosts/mcp-discovery.js';
import { ProtectedResources } from '../../../src/nest/resources/protected-resources.js';

/** What the module makes of its options, without an application, and without a network. */
export function offlineModule(options: Partial<AuthplaneModuleOptions> = {}) {
  const module = resolveModuleOptions({
    issuer: 'https://auth.example.com',
    ...('baseUrl' in options ? {} : { resource: 'https://mcp.example.com/mcp' }),
    ...options,
  });
  const heard: AuthplaneEvent[] = [];
  const events = new Events();
  events.onEvent((event) => void heard.push(event));
  const client = new AuthplaneClient(module.client); // not started
  const main = client.resolvedResource(module.resource);
  const resources = new ProtectedResources(main, module, { events });
  return { module, client, main, resources, events, heard };
}

/** As Nest tells of a class. */
export function knownClass(type: unknown, known: Partial<KnownClass> = {}): KnownClass {
  const { prototype } = type as ClassLike;
  const methods = Object.getOwnPropertyNames(prototype)
    .filter((name) => name !== 'constructor')
    .map((name) => ({ name, handler: Reflect.get(prototype, name) as KnownMethod['handler'] }));
  const own = { isController: true, library: undefined, runsElsewhere: false, module: {} };
  return { type: type as ClassLike, methods, ...own, ...known };
}

/** As the start finds it: no library, no global guard, nothing declared. */
export function foundApplication(
  { resources }: Pick<ReturnType<typeof offlineModule>, 'resources'>,
  found: Partial<Application> = {},
): Application {
  return {
    ...{ classes: [], declared: [], resources, usedLibrary: undefined, globalInterceptors: [] },
    ...{ isGuardedGlobally: false, isMiddlewareApplied: false, isHttp: true, ...found },
  };
}
