import { requirementsOf } from '../../core/mcp/settings.js';
import { hasParameters } from '../../core/names/path-template.js';
import { mayServe } from '../http/routes.js';
import { type Application, type Finding, nameOf, type Route } from './boot-routes.js';

/**
 * Routes of a library that run tools for bodies that are no JSON-RPC. Marked methods ask for their scopes
 * when they run; what stands in the options, and what is hidden, is decided from messages alone.
 */
export function sideRouteFindings({ classes, resources }: Application): Finding[] {
  const isByMessage = resources.all().some(({ mcp }) => {
    return requirementsOf(mcp.options).length > 0 || mcp.scopes.hides;
  });
  if (!isByMessage) return [];
  return classes
    .filter(({ runsElsewhere }) => runsElsewhere)
    .map(({ type }) => ({
      weight: 'wrong',
      text:
        `${type.name} runs tools for bodies that are no JSON-RPC, where requirements of the option mcp are not ` +
        `checked and nothing is hidden: switch it off, or say all requirements with @Scopes and hide nothing`,
    }));
}

/** Where there is a resource for each path, a route elsewhere belongs to none, and nobody's token is good there. */
export function strayRouteFindings(routes: readonly Route[]): Finding[] {
  return routes
    .filter(({ isGuarded, isPublic }) => isGuarded && !isPublic)
    .filter(({ resource }) => hasParameters(resource.path))
    .filter(({ controller, handler, resource }) => !mayServe(controller, handler, resource.path))
    .map((route) => ({
      weight: 'doubtful',
      text:
        `${nameOf(route)} is guarded and on no path of ${route.resource.description}, so that every request is ` +
        `answered with 404: give it a resource of its own with AuthplaneModule.forFeature and @UseResource, or ` +
        `mark it @Public()`,
    }));
}
