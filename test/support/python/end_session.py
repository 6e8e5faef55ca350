"""Opens a session with the official client, calls a tool, and leaves: python end_session.py URL TOKEN"""

import asyncio
import sys

try:
    import httpx2 as httpx  # since 2.x of the client
except ImportError:
    import httpx

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


class Recorder:
    """What the server answered to each DELETE."""

    def __init__(self):
        self.answers = []

    async def __call__(self, response):
        if response.request.method == "DELETE":
            self.answers.append(response.status_code)


async def main(url, token):
    recorder = Recorder()
    headers = {"authorization": f"Bearer {token}"}
    client = httpx.AsyncClient(headers=headers, event_hooks={"response": [recorder]})
    async with client, streamable_http_client(url, http_client=client) as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            await session.initialize()
            result = await session.call_tool("open", {})
            print(result.content[0].text)
    print("DELETE", *recorder.answers)


asyncio.run(main(*sys.argv[1:]))
