import type { CallerPlace } from '../../core/caller-settings.js';
import type { AuthplaneResource } from '../../core/resource.js';

/** What functions of the application are told of where they are asked. */
export function placeOf({
  resource,
  params,
}: Pick<AuthplaneResource, 'resource' | 'params'>): CallerPlace {
  return { resource: { uri: resource, params } };
}
