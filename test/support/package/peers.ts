import type { Dependencies } from './installed-app.js';

// What applications of several specs depend on: equal sets are installed once.

const ON_NEST_11: Dependencies = {
  '@modelcontextprotocol/sdk': '1.x',
  '@nestjs/common': '11.x',
  '@nestjs/core': '11.x',
  '@nestjs/platform-express': '11.x',
  '@nestjs/platform-fastify': '11.x',
  '@types/node': '20.x',
  'reflect-metadata': '0.2.x',
  rxjs: '7.x',
};

export const MCP_NEST_1_9: Dependencies = {
  ...ON_NEST_11,
  '@rekog/mcp-nest': '1.9.x',
  zod: '4.x',
};

/** Hosts that use the metadata keys of MCP-Nest with other names. */
export function foreignHosts(nest: string): Dependencies {
  return {
    ...ON_NEST_11,
    '@sowonai/nestjs-mcp-adapter': '0.1.3',
    'mcp-nestjs': '1.0.6',
    '@nestjs/common': nest,
    '@nestjs/core': nest,
    '@nestjs/platform-express': nest,
    '@nestjs/platform-fastify': nest,
    zod: '3.25.x',
  };
}

/** The adapter asks for platform-express 11. */
export const FOREIGN_HOSTS_FLAGS = ['--legacy-peer-deps'];
