import type { CallerPlace } from '../../core/caller-settings.js';
import type { AuthplaneResource } from '../../core/resource.js';

const NO_PARAMS = Object.freeze({});

/** What functions of the application are told of where they are asked. */
export function placeOf({ resource }: Pick<AuthplaneResource, 'resource'>): CallerPlace {
  return { resource: { uri: resource, params: NO_PARAMS } };
}
