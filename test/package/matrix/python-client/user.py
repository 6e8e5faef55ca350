"""The user of a Python client: storage of the client, and a browser that follows each link."""

import asyncio
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

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


def parameters(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


class User:
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

    def came_back_with(self, *names):
        found = parameters(self.returned)
        return {name: found.get(name) for name in names}


def innermost(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def outcome(user, calls):
    """What came of the calls, given as a coroutine of pairs of a text and whether it is an error."""
    answer = {"asked": user.asked}
    try:
        results = await calls
        answer["text"] = "\n".join(text for text, _ in results)
        answer["isError"] = any(is_error for _, is_error in results)
    except BaseException as error:
        answer["error"] = str(innermost(error))
    return answer


def serve(call):
    """Each line of standard input has the arguments of a user of its own, whose outcome is printed."""
    for line in sys.stdin:
        question = json.loads(line)
        user = User()
        answer = asyncio.run(outcome(user, call(user, *question["arguments"])))
        print(json.dumps({"id": question["id"], **answer}), flush=True)
