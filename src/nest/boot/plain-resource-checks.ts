import { isMcpEndpoint } from '../marks/handler-marks.js';
import type { Application, Finding, Route } from './boot-routes.js';
import { needsSomething } from './requirement-boot-checks.js';

/** What belongs to an MCP endpoint, where the options say that there is none: nobody would judge it. */
export function plainResourceFindings(
  application: Application,
  routes: readonly Route[],
): Finding[] {
  return [...plainEndpoints(application, routes), ...plainOperations(application)];
}

function plainEndpoints({ resources }: Application, routes: readonly Route[]): Finding[] {
  const misplaced = routes.filter(
    ({ controller, resource, library, isPublic }) =>
      !resource.isMcp &&
      !isPublic &&
      (library !== undefined ||
        isMcpEndpoint(controller) ||
        resources.hostControllers.has(controller)),
  );
  const texts = misplaced.map(
    ({ controller, resource }) =>
      `${controller.name} is an MCP endpoint of ${resource.resource.resource}, whose options say mcp: false: ` +
      `leave that out, or give the endpoint a resource of its own with AuthplaneModule.forFeature and @UseResource`,
  );
  return wrong(texts);
}

function plainOperations({ resources, declared }: Application): Finding[] {
  if (resources.endpoints.length > 0) return [];
  const texts = declared
    .filter(needsSomething)
    .map(
      ({ where, kind, name }) =>
        `@Scopes on ${where} (${kind} "${name}"): no resource of the application is an MCP endpoint, as mcp: false ` +
        `says, so nobody would check them before the ${kind} is called: leave mcp: false out`,
    );
  return wrong(texts);
}

function wrong(texts: readonly string[]): Finding[] {
  return [...new Set(texts)].map((text) => ({ weight: 'wrong', text }));
}
