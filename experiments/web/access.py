"""What may reach a page: known paths, own hosts and origins, small bodies, and people with the password."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from cachetools import TTLCache
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = "object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_GUESSES, _REST = 10, 60  # wrong passwords from one address; seconds until it may try again
_ADDRESSES = 1024  # that are remembered
_log = logging.getLogger(__name__)
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Gate:
    """What a page lets through.

    Attributes:
        paths: that exist.
        most_bytes: of a body.
        sources: of scripts, styles and pictures, as a content security policy names them; nothing comes from elsewhere.
    """

    paths: re.Pattern[str]
    most_bytes: int
    sources: str = "'self'"


class AccessControl:
    """ASGI middleware in front of everything.

    Args:
        app: what is behind.
        gate: what it lets through.
        hosts: names that the page is called by; None for any. Without them, a site elsewhere could point its own name
            at this machine and have its visitor's browser ask.
        auth: user and password, if they are needed.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        hosts: tuple[str, ...] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> None:
        self.app = app
        self.gate = gate
        self.hosts = hosts
        self.auth = None if auth is None else ":".join(auth).encode()
        self._wrong: TTLCache[str, int] = TTLCache(_ADDRESSES, _REST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or answers why not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, self._protected(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts is not None and urlsplit(f"//{host}").hostname not in self.hosts:
            return PlainTextResponse("unknown host", 400)
        if self.auth is not None and (stranger := self._stranger(scope, headers, self.auth)) is not None:
            return stranger
        if not self.gate.paths.fullmatch(scope["path"]) or ".." in scope["path"]:
            return PlainTextResponse("not found", 404)
        origin = headers.get("origin")
        if scope["method"] not in ("GET", "HEAD") and origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("another site", 403)
        if "transfer-encoding" in headers:  # a body that does not say how long it is
            return PlainTextResponse("length required", 411)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.gate.most_bytes:
            return PlainTextResponse("too large", 413)
        return None

    def _stranger(self, scope: Scope, headers: Headers, auth: bytes) -> PlainTextResponse | None:
        """What is answered to who does not know the password, or guesses; None to who knows it."""
        address = (scope.get("client") or ("",))[0]
        if self._wrong.get(address, 0) >= _GUESSES:
            return PlainTextResponse(f"too many wrong passwords; try again in {_REST} seconds", 429)
        if secrets.compare_digest(_credentials(headers), auth):
            return None
        if "authorization" in headers:
            self._wrong[address] = self._wrong.get(address, 0) + 1
            _log.warning("a wrong password from %s", address)
        return PlainTextResponse("who are you?", 401, {"www-authenticate": 'Basic realm="fabric-bo"'})

    def _protected(self, send: Send) -> Send:
        policy = f"default-src {self.gate.sources}; {_POLICY}"

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update({**_HEADERS, "content-security-policy": policy})
            await send(message)

        return protected


def _credentials(headers: Headers) -> bytes:
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
