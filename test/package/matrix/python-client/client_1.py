"""As client.py, by the MCP SDK for Python, 1.x. It knows one protocol revision, so MODE says nothing."""

import httpx
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from user import CALLBACK, serve


def credentials(user, url, token):
    if token:
        return {"headers": {"Authorization": f"Bearer {token}"}}

    async def come_back():
        return tuple(user.came_back_with("code", "state").values())

    metadata = OAuthClientMetadata(
        client_name="python",
        redirect_uris=[CALLBACK],
        grant_types=["authorization_code", "refresh_token"],
    )
    return {"auth": OAuthClientProvider(url, metadata, user, user.open, come_back)}


async def call(user, url, _mode, tool, arguments, token=None):
    who = credentials(user, url, token)
    async with httpx.AsyncClient(timeout=30, trust_env=False, **who) as http:
        async with streamable_http_client(url, http_client=http) as (incoming, outgoing, _):
            async with ClientSession(incoming, outgoing) as session:
                await session.initialize()
                result = await session.call_tool(tool, arguments)
                return [(part.text, result.isError) for part in result.content]


serve(call)
