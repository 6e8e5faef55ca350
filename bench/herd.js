/**
 * Many requests at once, and what the authorization server sees of them: counters, no times. A start under
 * load, a rotation, and a flood of tokens with made-up kids while a key is rotated.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { accessToken, ISSUER, newKey, RESOURCE, serverAsFetch } from './lib/mint.js';
import { keep } from './lib/report.js';

const HERD = 1000;
const FLOOD_LOOPS = 20;
const FLOOD_SECONDS = process.env.FULL === '1' ? 20 : 8;
const { AuthplaneClient } = await import(process.env.BENCH_CORE ?? 'authplane-nestjs/core');

const [old, young] = [newKey('ES256', 'old'), newKey('ES256', 'young')];
const oldToken = accessToken(old);
const youngToken = accessToken(young);
const found = {
  'start under load': await startUnderLoad(),
  'rotation right after a load': await rotation(),
  'rotation during a flood': await flood(),
};
for (const [name, result] of Object.entries(found))
  console.log(`${name}: ${JSON.stringify(result)}`);
keep('herd', { found });
process.exit();

async function setUp(startup) {
  const state = { keys: [old.jwk], fetches: 0 };
  const answer = serverAsFetch(() => state.keys);
  const fetch = async (url, ...more) => {
    if (url.endsWith('/jwks')) state.fetches++;
    await delay(20);
    return answer(url, ...more);
  };
  const client = AuthplaneClient.create({ issuer: ISSUER, fetch, startup });
  const resource = (await client).resource({ resource: RESOURCE, scopes: [] });
  return { state, resource };
}

async function outcome(work) {
  const settled = await Promise.allSettled(work);
  return settled.filter(({ status }) => status === 'fulfilled').length;
}

async function startUnderLoad() {
  const { state, resource } = await setUp('lazy');
  const accepted = await outcome(Array.from({ length: HERD }, () => resource.verify(oldToken)));
  return { requests: HERD, accepted, fetches: state.fetches };
}

async function rotation() {
  const { state, resource } = await setUp('eager');
  await resource.verify(oldToken);
  state.keys = [young.jwk];
  state.fetches = 0;
  const accepted = await outcome(Array.from({ length: HERD }, () => resource.verify(youngToken)));
  return { requests: HERD, accepted, fetches: state.fetches };
}

async function flood() {
  const { state, resource } = await setUp('eager');
  state.fetches = 0;
  const made = Array.from({ length: 200 }, (_, i) => accessToken(newKey('ES256', `made-up-${i}`)));
  const end = performance.now() + FLOOD_SECONDS * 1000;
  const isOver = () => performance.now() > end;
  let [oldRefused, next] = [0, 0];
  const loops = Array.from({ length: FLOOD_LOOPS }, async () => {
    while (!isOver()) {
      await resource.verify(made[next++ % made.length]).catch(() => undefined);
      await delay(5);
    }
  });
  const good = (async () => {
    while (!isOver()) {
      await resource.verify(oldToken).catch(() => oldRefused++);
      await delay(20);
    }
  })();
  await delay(2000);
  state.keys = [old.jwk, young.jwk];
  const rotated = performance.now();
  let acceptedAfter;
  while (acceptedAfter === undefined && !isOver()) {
    await resource.verify(youngToken).then(
      () => (acceptedAfter = (performance.now() - rotated) / 1000),
      () => delay(20),
    );
  }
  await Promise.all([...loops, good]);
  const seconds = FLOOD_SECONDS;
  return { seconds, fetches: state.fetches, oldRefused, newKeyAcceptedAfterSeconds: acceptedAfter };
}
