import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from 'vitest';
import {
  AuthplaneClient,
  type AuthplaneModuleOptions,
  AuthplaneResource,
  ConfigurationError,
} from 'authplane-nestjs';
import { type AuthplaneEvent, Events } from '../../src/core/events.js';
import type { ResolvedModuleOptions } from '../../src/core/options.js';
import { MODULE_OPTIONS } from '../../src/nest/module-options.js';
import {
  addResource,
  coreProviders,
  defined,
  MODULE_EXTRAS,
  optionsObject,
} from '../../src/nest/module-providers.js';
import { ProtectedResources } from '../../src/nest/resources/protected-resources.js';
import { offlineModule } from '../support/nest/offline-module.js';

const OPTIONS: AuthplaneModuleOptions = {
  issuer: 'https://auth.example.com',
  resource: 'https://mcp.example.com/mcp',
  mcp: { tools: { read: ['a'] } },
};

let close: (() => Promise<void>) | undefined;
afterEach(() => close?.());

async function made(options: Parameters<typeof coreProviders>[0], others: readonly object[] = []) {
  const providers = [...coreProviders(options), ...(others as never[])];
  const module = await Test.createTestingModule({ providers }).compile();
  close = () => module.close();
  return module;
}

@Injectable()
class OptionsFactory {
  async createAuthplaneOptions() {
    return OPTIONS;
  }
}

describe('coreProviders', () => {
  it('the options, the client, its resource, and what protects it', async () => {
    const useFactory = () => OPTIONS;
    const module = await made({ useFactory, metadataRoute: 'path' });
    const resolved = module.get<ResolvedModuleOptions>(MODULE_OPTIONS);
    expect(resolved.resource.resource).toBe(OPTIONS.resource);
    expect(module.get(AuthplaneClient).issuer).toBe(OPTIONS.issuer);
    const resource = module.get(AuthplaneResource);
    expect(module.get(ProtectedResources).main.resource).toBe(resource);
    expect(module.get(ProtectedResources).events).toBe(module.get(Events));
    expect(module.get(MODULE_EXTRAS)).toMatchObject({ metadataRoute: 'path' });
  });

  it('the root URL of the metadata is free with metadataRoute: path', async () => {
    const further = { resource: 'https://mcp.example.com' };
    const add = async (metadataRoute: true | 'path') => {
      const module = await made({ useFactory: () => OPTIONS, metadataRoute });
      const [resources, client] = [module.get(ProtectedResources), module.get(AuthplaneClient)];
      return () => addResource('root')(resources, client, module.get(MODULE_OPTIONS), further);
    };
    expect(await add('path')).not.toThrow();
    expect(await add(true)).toThrow(/the metadata of https:\/\/mcp.example.com would be at/);
  });

  it.each([
    [
      'a factory with what it asks for',
      { useFactory: (of: OptionsFactory) => of.createAuthplaneOptions(), inject: [OptionsFactory] },
      [OptionsFactory],
    ],
    ['a class', { useClass: OptionsFactory }, []],
    ['a provider that is there', { useExisting: OptionsFactory }, [OptionsFactory]],
  ])('options of %s', async (_, source, others) => {
    const module = await made(source as never, others);
    expect(module.get(AuthplaneClient).issuer).toBe(OPTIONS.issuer);
  });

  it('wrong options fail the start with every problem', async () => {
    const useFactory = () => ({ issuer: 'auth', scope: ['a'] }) as never;
    await expect(made({ useFactory })).rejects.toMatchObject({
      problems: expect.arrayContaining([
        expect.stringMatching(/^issuer: /),
        expect.stringMatching(/^scope: unknown option/),
      ]),
    });
  });

  it('what fails in the background is an event, and the application is told as well', async () => {
    const told: unknown[] = [];
    const fetch = () => Promise.reject(new TypeError('the network is down'));
    const onBackgroundFailure = (error: unknown) => void told.push(error);
    const module = await made({ useFactory: () => ({ ...OPTIONS, fetch, onBackgroundFailure }) });
    const heard: AuthplaneEvent[] = [];
    module.get(Events).onEvent((event) => void heard.push(event));
    await module.get(AuthplaneClient).start();
    module.get(AuthplaneClient).close();
    expect(told.length).toBeGreaterThan(0);
    expect(heard).toEqual(told.map((error) => ({ type: 'background_failure', error })));
  });
});

describe('addResource', () => {
  const further = { resource: 'https://mcp.example.com/other', scopes: ['o'] };

  it('makes a resource of the same client, under its name', () => {
    const { resources, client, module } = offlineModule();
    const resource = addResource('other')(resources, client, module, further);
    expect(resource).toMatchObject({ resource: further.resource, scopes: ['o'] });
    expect(resources.resourceNamed('other')).toBe(resource);
  });

  it('says what is doubtful about it, with its name', () => {
    const { resources, client, module, heard } = offlineModule();
    const scopes = ['offline_access'];
    addResource('other')(resources, client, module, { ...further, scopes });
    expect(heard).toEqual([
      {
        type: 'set_up',
        text: expect.stringMatching(/^other: scopes: offline_access is for clients/),
        isDoubtful: true,
      },
    ]);
  });

  it('refuses wrong options', () => {
    const { resources, client, module } = offlineModule();
    const wrong = { ...further, scopes: 'o' } as never;
    expect(() => addResource('other')(resources, client, module, wrong)).toThrow(
      /scopes: must be a list/,
    );
  });
});

it.each([undefined, null, 'issuer', 5])('optionsObject: %o is none', (given) => {
  expect(() => optionsObject(given as never)).toThrow(
    new ConfigurationError('forRoot: the options must be an object'),
  );
});

it('optionsObject: an object passes', () => {
  const options = {};
  expect(optionsObject(options)).toBe(options);
});

it('defined: only what was given', () => {
  expect(defined({ guard: undefined, filter: false })).toEqual({ filter: false });
});
