import {
  applyDecorators,
  Controller,
  Delete,
  Get,
  Post,
  SetMetadata,
  type Type,
} from '@nestjs/common';

// What MCP-Nest 2's decorators leave on a method, without the package.

const decorator = (key: string, options: object, server?: string) =>
  applyDecorators(
    SetMetadata(key, options),
    SetMetadata(
      'microservices:transport',
      Symbol.for(`@rekog/mcp-nest:transport${server === undefined ? '' : `:${server}`}`),
    ),
    SetMetadata('microservices:pattern', [{ mcp: key }]),
  );

export const Tool = (name?: string, server?: string) =>
  decorator('mcp:tool', { ...(name ? { name } : {}) }, server);
export const Prompt = (name?: string) => decorator('mcp:prompt', { ...(name ? { name } : {}) });
export const Resource = (uri: string) => decorator('mcp:resource', { uri });
export const Template = (uriTemplate: string) =>
  decorator('mcp:resource-template', { uriTemplate });

/** As `McpHttpControllerFor` of MCP-Nest 2 makes one, without the transport. */
export function boundController(path: string, ...decorators: ClassDecorator[]): Type {
  class BoundMcpHttpController {
    post() {
      return 'posted';
    }

    get() {
      return 'got';
    }

    delete() {
      return 'deleted';
    }
  }
  const {
    post,
    get,
    delete: end,
  } = Object.getOwnPropertyDescriptors(BoundMcpHttpController.prototype);
  Post()(BoundMcpHttpController.prototype, 'post', post);
  Get()(BoundMcpHttpController.prototype, 'get', get);
  Delete()(BoundMcpHttpController.prototype, 'delete', end);
  class HttpController extends BoundMcpHttpController {}
  for (const decorate of [Controller(path), ...decorators]) decorate(HttpController);
  return HttpController;
}
