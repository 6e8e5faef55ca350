"""One call by the MCP SDK for Python, and what its user sees, as a line of JSON.

    client.py URL MODE TOOL ARGUMENTS [TOKEN [CALLS]]

CALLS calls, one by default, are made at once. Without TOKEN, or with an empty one, it finds the authorization server, registers, and "the user" follows each link: the
server approves by itself. MODE is how the SDK chooses the protocol revision: `auto` or `legacy`.
"""

import asyncio
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

CALLBACK = "http://127.0.0.1:9/callback"  # nobody listens there: the code is in its URL


class Redirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # becomes an HTTPError that has the location


def location_of(url):
    browser = urllib.request.build_opener(Redirect(), urllib.request.ProxyHandler({}))
    try:
        browser.open(url, timeout=20)
    except urllib.error.HTTPError as answer:
        return answer.headers["location"]
    raise RuntimeError("the authorization server did not approve")


class User:
    """Storage of the client, and the browser of its user."""

    def __init__(self):
        self.asked = []
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client

    async def open(self, url):
        self.asked.append(parameters(url).get("scope"))
        self.returned = await asyncio.to_thread(location_of, url)

    async def come_back(self):
        found = parameters(self.returned)
        return AuthorizationCodeResult(
            code=found.get("code"), state=found.get("state"), iss=found.get("iss")
        )


def parameters(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def innermost(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def call(url, mode, tool, arguments, token=None, calls="1"):
    user = User()
    provider = OAuthClientProvider(
        url,
        OAuthClientMetadata(
            client_name="python",
            redirect_uris=[CALLBACK],
            grant_types=["authorization_code", "refresh_token"],
        ),
        user,
        user.open,
        user.come_back,
    )
    who = {"headers": {"Authorization": f"Bearer {token}"}} if token else {"auth": provider}
    answer = {"asked": user.asked}
    try:
        async with httpx2.AsyncClient(timeout=30, trust_env=False, **who) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                results = await asyncio.gather(
                    *(client.call_tool(tool, json.loads(arguments)) for _ in range(int(calls)))
                )
                parts = (part for result in results for part in result.content)
                answer["text"] = "\n".join(part.text for part in parts)
                answer["isError"] = any(result.is_error for result in results)
    except BaseException as error:
        answer["error"] = str(innermost(error))
    print(json.dumps(answer))


asyncio.run(call(*sys.argv[1:]))
