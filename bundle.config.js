/**
 * Second half of `npm run build`: the modules that were compiled into `dist` become one file for each layer. A module
 * costs Node half a millisecond to find and link, and there are hundreds. Types stay as they are.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import manifest from './package.json' with { type: 'json' };

const DIST = fileURLToPath(new URL('dist', import.meta.url));
const LAYERS = ['core', 'nest', 'mcp', 'gateway'];

const entries = Object.values(manifest.exports)
  .map(({ default: file }) => file)
  .filter((file) => file !== undefined)
  .map((file) => [relative('dist', file).replace(/\.js$/, ''), join(DIST, relative('dist', file))]);
const packages = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });

/** Errors are told apart by their class and its name, in logs and by users. */
function requireOwnNames(bundle) {
  const renamed = Object.values(bundle).flatMap(
    ({ code = '' }) => code.match(/\bclass \w+\$\d+/g) ?? [],
  );
  if (renamed.length > 0) throw new Error(`two classes have one name: ${renamed.join(', ')}`);
}

/** V8 keeps and reads a file of ASCII with one byte a character: one paragraph sign in it, and each takes two. */
function inAscii(code) {
  const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return code.replace(/[\u0080-\uffff]/g, escaped);
}

/** What has gone into the bundle. */
function removeModules(bundle) {
  for (const path of readdirSync(DIST, { recursive: true })) {
    const isNeeded = Object.hasOwn(bundle, path.split(sep).join('/'));
    if (path.endsWith('.js') && !isNeeded) rmSync(join(DIST, path));
  }
}

export default {
  logLevel: 'warn',
  plugins: [
    {
      name: 'instead-of-modules',
      generateBundle: (_options, bundle) => {
        requireOwnNames(bundle);
        for (const chunk of Object.values(bundle)) chunk.code = inAscii(chunk.code);
      },
      writeBundle: (_options, bundle) => removeModules(bundle),
    },
  ],
  build: {
    ssr: true,
    target: 'es2022',
    minify: false,
    outDir: 'dist',
    emptyOutDir: false,
    copyPublicDir: false,
    rolldownOptions: {
      input: Object.fromEntries(entries),
      platform: 'neutral', // that of Node loads `node:module`, for a `require` that nothing has
      preserveEntrySignatures: 'strict',
      treeshake: false,
      external: (id) =>
        id.startsWith('node:') || packages.some((name) => id === name || id.startsWith(`${name}/`)),
      output: {
        format: 'es',
        entryFileNames: '[name].js',
        chunkFileNames: 'layers/[name].js',
        comments: false, // they stand in the types, and each process would read them
        codeSplitting: {
          groups: LAYERS.map((name) => ({
            name,
            test: (id) => id.startsWith(join(DIST, name, sep)),
          })),
        },
      },
    },
  },
};
