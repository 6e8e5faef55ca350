import { requirementsOf } from '../../core/mcp/settings.js';
import type { Application, Finding } from './boot-routes.js';

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
