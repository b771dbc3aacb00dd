#!/usr/bin/env python3
"""Call one tool of an MCP endpoint, with nothing but Python's standard library.

    export CASTELLAN_TOKEN="$(cat token-file)"
    python3 mcp_call.py http://127.0.0.1:7411/projects/demo/mcp
    python3 mcp_call.py http://127.0.0.1:7411/projects/demo/mcp everything__echo '{"message": "hi"}'

Without a tool it lists what there is. The token comes from the environment: arguments can be read by others.
Exit status: 0 answered, 1 not reachable or not let in, 2 the tool or the endpoint answered with an error, or the
command line is wrong.

What a client has to do is in Session: open it, repeat its id and the protocol version on each request, take an answer
as JSON or as a stream of events, and end it.
"""

import http.client
import json
import os
import sys
import urllib.error
import urllib.request

PROTOCOL_VERSION = "2025-11-25"
TIMEOUT_SECONDS = 60


class Refused(Exception):
    """The endpoint could not be reached, or did not let us in."""


class Failed(Exception):
    """The endpoint let us in and answered with an error."""


class StayHere(urllib.request.HTTPRedirectHandler):
    """No redirect is followed: it would take the token to another address."""

    def redirect_request(self, *_):
        return None


class Session:
    """One MCP session over Streamable HTTP; use it in a `with` block."""

    def __init__(self, url, token):
        self._url = url
        self._opener = urllib.request.build_opener(StayHere)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            # Both have to be named: the server chooses between one answer and a stream of events.
            "Accept": "application/json, text/event-stream",
        }
        self._last_id = 0

    def __enter__(self):
        result = self.request(
            "initialize",
            {
                "protocolVersion": PROTOCOL_VERSION,
                "capabilities": {},
                "clientInfo": {"name": "mcp_call.py", "version": "1"},
            },
        )
        # From here on every request says which session and which revision it belongs to.
        self._headers["MCP-Protocol-Version"] = result["protocolVersion"]
        self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def __exit__(self, *_):
        if "Mcp-Session-Id" not in self._headers:
            return
        try:
            self._send(urllib.request.Request(self._url, method="DELETE", headers=self._headers)).close()
        except (Refused, Failed):
            pass  # The answer is in hand; a session that nobody ends goes away by itself.

    def request(self, method, params):
        """The `result` of one request."""
        self._last_id += 1
        message = self._post({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        if message is None:
            raise Failed(f"{method}: the answer holds no JSON-RPC response")
        if "error" in message:
            raise Failed(f"{method}: {message['error'].get('message', 'no message')}")
        return message["result"]

    def _post(self, message):
        body = json.dumps(message).encode()
        with self._send(urllib.request.Request(self._url, data=body, headers=self._headers)) as answer:
            session = answer.headers.get("Mcp-Session-Id")
            if session:
                self._headers["Mcp-Session-Id"] = session
            if answer.status == 202:
                return None
            try:
                if answer.headers.get_content_type() == "text/event-stream":
                    return _response_in(answer, message.get("id"))
                return json.load(answer)
            except (OSError, http.client.HTTPException) as error:
                raise Refused(f"the answer broke off: {error or type(error).__name__}") from None

    def _send(self, request):
        try:
            return self._opener.open(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            raise Refused(f"status {error.code}: {_reason(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"not reachable: {getattr(error, 'reason', error)}") from None


def _response_in(stream, request_id):
    """The response among the events of a stream: progress and other notifications come before it."""
    data = []
    for raw in stream:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line == "" and data:
            text, data = "\n".join(data), []
            if text == "":
                continue
            message = json.loads(text)
            if message.get("id") == request_id and ("result" in message or "error" in message):
                return message
    return None


def _reason(error):
    """What the body of an HTTP error says: JSON-RPC from an endpoint, or problem details (RFC 9457)."""
    try:
        body = json.load(error)
        return body["error"]["message"] if "error" in body else body.get("hint") or body["title"]
    except (OSError, http.client.HTTPException, AttributeError, ValueError, KeyError, TypeError):
        return error.reason


def _all_tools(session):
    cursor = {}
    while True:
        page = session.request("tools/list", cursor)
        yield from page["tools"]
        if "nextCursor" not in page:
            return
        cursor = {"cursor": page["nextCursor"]}


def _list(url, token):
    with Session(url, token) as session:
        for tool in _all_tools(session):
            print(tool["name"])
    return 0


def _call(url, token, name, arguments):
    with Session(url, token) as session:
        result = session.request("tools/call", {"name": name, "arguments": arguments})
    for block in result.get("content", []):
        print(block["text"] if block.get("type") == "text" else json.dumps(block))
    return 2 if result.get("isError") else 0


def _complain(status, sentence):
    print(sentence, file=sys.stderr)
    return status


def main(given):
    if not 1 <= len(given) <= 3 or not given[0].startswith(("http://", "https://")):
        return _complain(2, "usage: mcp_call.py URL [TOOL [ARGUMENTS-AS-JSON]]")
    token = os.environ.get("CASTELLAN_TOKEN", "").strip()
    if token == "" or not token.isascii() or not token.isprintable():
        return _complain(1, "set CASTELLAN_TOKEN to a token of the project")
    try:
        arguments = json.loads(given[2]) if len(given) == 3 else {}
    except ValueError:
        return _complain(2, "the arguments of the tool are not JSON")
    try:
        return _list(given[0], token) if len(given) == 1 else _call(given[0], token, given[1], arguments)
    except Refused as error:
        return _complain(1, error)
    except Failed as error:
        return _complain(2, error)
    except (AttributeError, KeyError, TypeError, ValueError):
        return _complain(2, "the answer is none that MCP knows; is this the address of an endpoint?")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
