import eslint from '@eslint/js';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import importX from 'eslint-plugin-import-x';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * Who may import whom (docs/architecture.md). `packages` and `builtins` may be imported freely,
 * `types` only as types; `folders` are the other folders of `src` that the layer may use. What is
 * not named here is refused; test/package/layers.spec.ts shows that each refusal works.
 */
const LAYERS = {
  core: { packages: [], types: ['jose'], folders: [], loadsNodeLate: true },
  nest: { packages: ['@nestjs/common', '@nestjs/core', 'rxjs'], types: [], folders: ['core'] },
  mcp: {
    packages: ['@nestjs/common', 'rxjs'],
    types: ['@modelcontextprotocol/.+', '@rekog/mcp-nest'],
    folders: ['core', 'nest'],
  },
  gateway: {
    packages: ['@nestjs/common', '@nestjs/core'],
    types: [],
    folders: ['core', 'nest', 'mcp'],
  },
  redis: { packages: [], types: ['ioredis', 'redis'], folders: ['core'] },
  testing: { packages: ['jose'], types: [], folders: ['core'], network: true },
};

/** Folders inside a layer, from the ground up: each may use those before it (docs/architecture.md). */
const LADDERS = {
  core: [
    'platform',
    'errors',
    'lib',
    'names',
    'http',
    'discovery',
    'jws',
    'token',
    'dpop',
    'mcp',
    'calls',
    'operations',
  ],
  nest: [
    'http',
    'front',
    'log',
    'marks',
    'refusals',
    'mcp/hosts',
    'mcp/answers',
    'mcp/state',
    'mcp',
    'callers',
    'resources',
    'context',
    'boot',
  ],
  mcp: ['answers', 'mcp-nest', 'sdk'],
  gateway: [
    'wire',
    'options',
    'names',
    'memory',
    'local',
    'upstream',
    'listing',
    'changes',
    'legacy',
    'tasks',
    'modern',
  ],
  testing: ['http', 'records', 'endpoints', 'grants'],
};

/** Modules of Node are loaded when they are first needed. */
const NODE_FILE = 'src/core/platform/node.ts';
const NETWORK = '^node:(?:http|https|http2|tls|dns|dgram)(?:/.+)?$';
const PURE_OF_NET = ['BlockList', 'isIP', 'isIPv4', 'isIPv6'];
const NETWORK_GLOBALS = ['fetch', 'WebSocket', 'EventSource', 'XMLHttpRequest'];
const HTTP_FILE = 'src/core/http/socket.ts';
/** Connections to the application itself, which it asks once about its own answers. */
const LOOPBACK_FILE = 'src/core/http/loopback.ts';
/** Names of @nestjs/common that one file may use, so that what it guards holds everywhere. */
const NAMES_OF_ONE_FILE = [
  {
    file: 'src/nest/log/package-logger.ts',
    names: '^(?:Console)?Logger$',
    message: 'Log by PackageLogger: a logger of the application may throw.',
  },
  {
    file: 'src/nest/refusals/http-refusal.ts',
    names: 'Exception$',
    message: 'Throw an AuthplaneError; http-refusal.ts has the exception with the public answer.',
  },
];

const ERRORS_WITH_RULES = {
  selector:
    'NewExpression[callee.name=/^(?:InvalidClaimsError|InvalidDPoPProofError)$/][arguments.length<2]',
  message: 'Say which rule was broken, and by which claim.',
};

/** V8 keeps such a function for long, and with it the request that it was made for. */
const ASSIGNED_FUNCTIONS = {
  selector:
    'AssignmentExpression[left.type="MemberExpression"][right.type=/^(?:Arrow)?FunctionExpression$/]',
  message: 'Use putMember, or name the function first: see there.',
};

const LATE = `Loaded with the package; have it from ${NODE_FILE}, which loads it when it is needed.`;

const BUILTIN_MODULES = {
  selector: 'MemberExpression[property.name="getBuiltinModule"]',
  message: `Modules of Node are loaded in ${NODE_FILE}, the network in ${HTTP_FILE}.`,
};

const RESTRICTED_SYNTAX = [
  { selector: 'ImportExpression', message: 'Name what a file needs at its top.' },
  ERRORS_WITH_RULES,
  ASSIGNED_FUNCTIONS,
];

const OUTBOUND = `Outbound connections are made in ${HTTP_FILE} only, where their limits are.`;

function layerConfigs([name, layer]) {
  const files = [`src/${name}/**/*.ts`];
  const ignores = layer.network ? [] : [HTTP_FILE];
  return [
    {
      name: `layers/${name}`,
      files,
      rules: {
        '@typescript-eslint/no-restricted-imports': [
          'error',
          { patterns: importPatterns(name, layer) },
        ],
        'import-x/no-restricted-paths': [
          'error',
          { zones: [...zones(name, layer), ...ladderZones(name)] },
        ],
        'no-restricted-syntax': ['error', ...RESTRICTED_SYNTAX, BUILTIN_MODULES],
      },
    },
    ...NAMES_OF_ONE_FILE.filter(({ file }) => file.startsWith(`src/${name}/`)).map(({ file }) => ({
      name: `layers/${name}/${file}`,
      files: [file],
      rules: {
        '@typescript-eslint/no-restricted-imports': [
          'error',
          { patterns: importPatterns(name, layer, file) },
        ],
      },
    })),
    {
      name: `layers/${name}/no-network-globals`,
      files,
      ignores,
      rules: layer.network
        ? {}
        : {
            'no-restricted-globals': [
              'error',
              {
                globals: NETWORK_GLOBALS.map((global) => ({ name: global, message: OUTBOUND })),
                checkGlobalObject: true,
              },
            ],
          },
    },
  ];
}

function importPatterns(name, layer, ofFile) {
  const patterns = [...packagePatterns(name, layer), ...networkPatterns(layer)];
  if (!layer.packages.includes('@nestjs/common')) return patterns;
  const others = NAMES_OF_ONE_FILE.filter(({ file }) => file !== ofFile);
  return [
    ...patterns,
    ...others.map(({ names, message }) => ({
      regex: '^@nestjs/common$',
      importNamePattern: names,
      allowTypeImports: true,
      message,
    })),
  ];
}

function packagePatterns(name, { packages, types }) {
  const listed = [...packages, ...types];
  return [
    {
      regex: `^(?!\\.{1,2}/|node:|(?:${listed.join('|') || '-'})$)`,
      message: `src/${name} may import ${['node:*', ...listed].join(', ')} and its own files.`,
    },
    ...(types.length === 0
      ? []
      : [
          {
            regex: `^(${types.join('|')})$`,
            allowTypeImports: true,
            message: 'An optional package: as a type only.',
          },
        ]),
  ];
}

function networkPatterns({ network, loadsNodeLate }) {
  if (network) return [];
  if (loadsNodeLate) return [{ regex: '^node:', allowTypeImports: true, message: LATE }];
  const rule = { allowTypeImports: true, message: OUTBOUND };
  return [
    { ...rule, regex: NETWORK },
    { ...rule, regex: '^node:net$', allowImportNames: PURE_OF_NET },
  ];
}

function zones(name, { folders }) {
  return [
    {
      target: `./src/${name}`,
      from: './src',
      except: [name, ...folders].map((folder) => `./${folder}`),
      message: `src/${name} may use ${[name, ...folders].map((folder) => `src/${folder}`).join(', ')}.`,
    },
    {
      target: `./src/${name}`,
      from: '.',
      except: ['./src', './node_modules'],
      message: 'What is published imports nothing that is not.',
    },
    {
      target: `./src/${name}/**/!(index).ts`,
      from: './src/**/index.ts',
      message: 'An index.ts publishes; inside src import the file that has it.',
    },
  ];
}

/** A folder may use those before it in the ladder of its layer: not those behind it, nor the top. */
function ladderZones(name) {
  const ladder = LADDERS[name] ?? [];
  return ladder.map((folder, step) => ({
    target: `./src/${name}/${folder}/${ladder.some((one) => one.startsWith(`${folder}/`)) ? '*' : '**/*'}`,
    from: `./src/${name}`,
    except: ladder.slice(0, step + 1).map((below) => `./${below}`),
    message: `src/${name}/${folder} may use ${ladder.slice(0, step).join(', ') || 'its own files only'}.`,
  }));
}

export default defineConfig(
  globalIgnores(['**/dist/', '**/coverage/', '**/node_modules/']),
  {
    linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' },
  },
  eslint.configs.recommended,
  {
    name: 'project',
    rules: {
      eqeqeq: 'error',
      'no-self-compare': 'error',
      'no-template-curly-in-string': 'error',
      'object-shorthand': 'error',
    },
  },
  {
    name: 'typescript',
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: {
      // One program for everything, so that the sample is linted against src and needs no build.
      // The last two: imports in files with decorators may be needed at run time, by injection.
      parserOptions: {
        project: 'tsconfig.json',
        tsconfigRootDir: import.meta.dirname,
        emitDecoratorMetadata: true,
        experimentalDecorators: true,
      },
    },
    settings: {
      'import-x/extensions': ['.ts', '.js'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [createTypeScriptImportResolver({ project: 'tsconfig.json' })],
    },
    rules: {
      '@typescript-eslint/consistent-type-exports': [
        'error',
        { fixMixedExportsWithInlineTypeSpecifier: true },
      ],
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      '@typescript-eslint/prefer-readonly': 'error',
      // `async` without `await` makes what is thrown a rejection.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allow: ['URL', 'URLSearchParams'] },
      ],
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      // Cycles are found by test/package/tree.spec.ts, in a thousandth of the time, and those of types, too.
      'import-x/no-duplicates': 'error',
      'import-x/no-self-import': 'error',
    },
  },
  {
    name: 'published',
    files: ['src/**/*.ts'],
    rules: { 'no-console': 'error' },
  },
  ...Object.entries(LAYERS).flatMap(layerConfigs),
  {
    name: 'layers/index',
    files: ['src/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^(?!\\./(?:core|nest)/)', message: 'Publishes src/core and src/nest.' },
          ],
        },
      ],
    },
  },
  {
    name: 'layers/core/platform/node',
    files: [NODE_FILE, HTTP_FILE],
    rules: { 'no-restricted-syntax': ['error', ...RESTRICTED_SYNTAX] },
  },
  {
    name: 'layers/core/http/socket',
    files: [HTTP_FILE, LOOPBACK_FILE],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: packagePatterns('core', LAYERS.core) },
      ],
    },
  },
  {
    name: 'tests',
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // Tests read JSON and hand wrong values in on purpose.
      'no-sparse-arrays': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { arguments: false } },
      ],
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    name: 'scripts',
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
);
