import { describe, expect, it } from 'vitest';
import { isNonceDemand, sentWithNonce } from '../../../src/core/dpop/nonce-retry.js';
import { DPoPSigner } from '../../../src/core/dpop/signer.js';

const URL = 'https://api.example.com/mcp';

interface Reply {
  readonly status: number;
  readonly nonce?: string | null;
}

/** Sends to a server that gives these answers, one after the other. */
async function sendTo(replies: readonly Reply[], signer?: DPoPSigner) {
  const sent: (string | undefined)[] = [];
  const discarded: Reply[] = [];
  const answer = await sentWithNonce<Reply>({
    url: URL,
    signer,
    send: async (nonce) => {
      sent.push(nonce);
      return replies[sent.length - 1] ?? { status: 500 };
    },
    nonceHeader: ({ nonce }) => nonce,
    isDemand: ({ status }) => status === 401,
    discard: async (reply) => void discarded.push(reply),
  });
  return { answer, sent, discarded };
}

async function notedBy(signer: DPoPSigner): Promise<unknown> {
  const [, claims = ''] = (await signer.proof({ method: 'GET', url: URL })).split('.');
  return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { nonce?: string }).nonce;
}

describe('RFC 9449 §8, §9: a demand for a nonce', () => {
  it('is met once, and the nonces of both answers are noted', async () => {
    const signer = await DPoPSigner.generate();
    const replies = [{ status: 401, nonce: 'n1' }, { status: 401, nonce: 'n2' }, { status: 200 }];
    const { answer, sent, discarded } = await sendTo(replies, signer);
    expect(sent).toEqual([undefined, 'n1']);
    expect([answer, discarded]).toEqual([replies[1], [replies[0]]]);
    expect(await notedBy(signer)).toBe('n2');
  });

  it('an answer that asks for none is handed back, and its nonce noted', async () => {
    const signer = await DPoPSigner.generate();
    const { answer, sent, discarded } = await sendTo([{ status: 200, nonce: 'next' }], signer);
    expect([answer.status, sent, discarded]).toEqual([200, [undefined], []]);
    expect(await notedBy(signer)).toBe('next');
  });

  it.each<[string, Reply]>([
    ['without a nonce', { status: 401 }],
    ['with no header line', { status: 401, nonce: null }],
    ['with two nonces in one', { status: 401, nonce: 'a, b' }],
    ['with an endless nonce', { status: 401, nonce: 'n'.repeat(513) }],
  ])('%s is handed back', async (_name, reply) => {
    const { answer, sent } = await sendTo([reply], await DPoPSigner.generate());
    expect([answer, sent]).toEqual([reply, [undefined]]);
  });

  it('without a signer nothing is sent again', async () => {
    const { sent } = await sendTo([{ status: 401, nonce: 'n1' }]);
    expect(sent).toEqual([undefined]);
  });
});

describe('RFC 9449 §9: isNonceDemand', () => {
  it.each([
    [401, 'DPoP error="use_dpop_nonce", error_description="x"', true],
    [401, 'DPoP algs="ES256", error=use_dpop_nonce', true],
    [401, 'DPoP error="invalid_token", error_description="no use_dpop_nonce"', false],
    [403, 'DPoP error="use_dpop_nonce"', false],
    [401, undefined, false],
  ])('%d %s: %s', (status, challenge, is) => {
    expect(isNonceDemand(status, challenge)).toBe(is);
  });
});
