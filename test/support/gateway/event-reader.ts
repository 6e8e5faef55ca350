/** Messages of an event stream, or of a JSON answer, as they come. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export async function* eventsOf(response: Response): AsyncGenerator<any> {
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const data = /^data: (.+)$/m.exec(part)?.[1];
      if (data !== undefined) yield JSON.parse(data);
    }
  }
  if (text.startsWith('{')) yield JSON.parse(text);
}
