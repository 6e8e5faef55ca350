"""Calls by the MCP SDK for Python, 2.x, and what their users see: see `serve` of user.py.

    [URL, MODE, TOOL, ARGUMENTS, TOKEN, CALLS]

CALLS calls, one by default, are made at once. Without TOKEN, or with an empty one, it finds the authorization server,
registers, and "the user" follows each link: the server approves by itself. MODE is how the SDK chooses the protocol
revision: `auto` or `legacy`.
"""

import asyncio

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from user import CALLBACK, serve


def credentials(user, url, token):
    if token:
        return {"headers": {"Authorization": f"Bearer {token}"}}

    async def come_back():
        return AuthorizationCodeResult(**user.came_back_with("code", "state", "iss"))

    metadata = OAuthClientMetadata(
        client_name="python",
        redirect_uris=[CALLBACK],
        grant_types=["authorization_code", "refresh_token"],
    )
    return {"auth": OAuthClientProvider(url, metadata, user, user.open, come_back)}


async def call(user, url, mode, tool, arguments, token=None, calls=1):
    who = credentials(user, url, token)
    async with httpx2.AsyncClient(timeout=30, trust_env=False, **who) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            results = await asyncio.gather(
                *(client.call_tool(tool, arguments) for _ in range(calls))
            )
            return [(part.text, one.is_error) for one in results for part in one.content]


serve(call)
