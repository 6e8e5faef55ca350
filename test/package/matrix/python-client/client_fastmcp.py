"""As client.py, by fastmcp 4, whose own OAuth is used: the browser comes back to a server of the client."""

import asyncio
import urllib.error
import urllib.request

from fastmcp import Client
from fastmcp.client.auth import OAuth
from user import location_of, parameters, serve


def visit(url):
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20).read()


class Approving(OAuth):
    """With a user in place of a browser."""

    async def redirect_handler(self, url):
        self.user.asked.append(parameters(url).get("scope"))
        self.returned = await asyncio.to_thread(location_of, url)

    async def callback_handler(self):
        returning = asyncio.create_task(self.come_back())
        try:
            return await super().callback_handler()
        finally:
            returning.cancel()

    async def come_back(self):
        while True:
            try:
                return await asyncio.to_thread(visit, self.returned)
            except urllib.error.URLError:
                await asyncio.sleep(0.05)  # it does not listen yet


async def call(user, url, mode, tool, arguments, token=None):
    auth = token or Approving(mcp_url=url, client_name="fastmcp")
    if not token:
        auth.user = user
    async with Client(url, auth=auth, mode=mode, timeout=30) as client:
        result = await client.call_tool(tool, arguments, raise_on_error=False)
        return [(part.text, result.is_error) for part in result.content]


serve(call)
