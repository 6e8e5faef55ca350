/** URIs that a scope hides, beside open templates that serve every other one of their form. */

/** Each with one that nobody has declared, and what of the first is another letter in the second. */
export const BESIDE_OPEN_TEMPLATES = [
  'files://private',
  'files://pages/private',
  'FILES://private',
  'files://pages/pr%69vate',
].map((hidden) => [hidden, hidden.replace('vate', 'vite')] as const);

/** What an MCP endpoint answers when a resource is read, without what is new in each answer. */
export async function readAt(endpoint: string, authorization: string, uri: string) {
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: {
      authorization,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri } }),
  });
  const headers = [...answer.headers].filter(([name]) => name !== 'date');
  return { status: answer.status, headers, text: await answer.text() };
}
