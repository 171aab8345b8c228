"""Who may ask: the Host header, the token, the page that a request comes from, the length of its line.

What is refused here has reached nothing else. All answers get the headers that keep browsers from doing more with them.
"""

from __future__ import annotations

import hmac
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmsearch.server.rest.problems import Problem
from mmsearch.server.rest.settings import ServeSettings

MOST_QUERY_BYTES = 16_000
_COOKIE_SECONDS = 30 * 86_400
_READING = ("GET", "HEAD")
# What needs no token: that the server runs, which tells nothing of the library.
_OPEN_PATHS = ("/health",)
_CLOSED_PAGE = "This page needs its token: open the address that `mmsearch serve` has printed.\n"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": a form would then be sent with the origin "null", as one of another site may be.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_CORS_METHODS, _CORS_HEADERS = "GET, POST, DELETE", "Authorization, Content-Type, If-None-Match, Range"


class Guard:
    """Stands before the application, and lets through what may be answered."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = (headers.get("origin") or "").lower()
        is_foreign_friend = origin in self._settings.cors

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(message, origin if is_foreign_friend else None)
            await send(message)

        scope = dict(scope)
        try:
            answer = self._answer(scope, headers, is_foreign_friend)
        except Problem as problem:
            answer = problem.response(self._settings.root_path)
        await (answer or self._app)(scope, receive, sent)

    def _answer(self, scope: MutableMapping[str, Any], headers: Headers, is_foreign_friend: bool) -> Response | None:
        """What is answered at once; None for what the application answers.

        Raises:
            Problem: it is refused.
        """
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._settings.takes_host(hosts[0]):
            raise Problem("wrong_host", "The Host header names another server; --allow-host NAME lets it in.")
        if len(scope["query_string"]) > MOST_QUERY_BYTES:
            raise Problem("too_long", f"The URL has more than {MOST_QUERY_BYTES:,} bytes; send the search as JSON.")
        self._strip_root_path(scope)
        if scope["method"] == "OPTIONS" and is_foreign_friend:
            asked = {"Access-Control-Allow-Methods": _CORS_METHODS, "Access-Control-Allow-Headers": _CORS_HEADERS}
            return Response(status_code=204, headers={**asked, "Access-Control-Max-Age": "600"})
        if scope["path"] in _OPEN_PATHS:
            return None
        if scope["path"] == "/" and scope["method"] in _READING:
            entry = self._entered(scope, headers)
            if entry is not None:
                return entry
        by_header = headers.get("authorization")
        if by_header is not None:
            kind, _, given = by_header.partition(" ")
            if kind.lower() != "bearer" or not _is_same(given.strip(), self._settings.token):
                raise _unauthorized()
        elif not self._has_cookie(headers, _port_of(scope)):
            if scope["path"] == "/":
                return PlainTextResponse(_CLOSED_PAGE, 401)
            raise _unauthorized()
        self._check_page(scope, headers, hosts[0], by_header is not None)
        return None

    def _strip_root_path(self, scope: MutableMapping[str, Any]) -> None:
        """A proxy may hand on what it has before all paths, or not."""
        root = self._settings.root_path
        if root and scope["path"] == root:
            scope["path"] = "/"
        elif root and scope["path"].startswith(f"{root}/"):
            scope["path"] = scope["path"][len(root) :]
        scope["raw_path"] = scope["path"].encode("utf-8", "surrogateescape")

    def _entered(self, scope: MutableMapping[str, Any], headers: Headers) -> Response | None:
        """A token in the address becomes a cookie, and the address is left without it."""
        parameters = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in parameters if name == "token"]
        if not given:
            return None
        if not _is_same(given[0], self._settings.token):
            return PlainTextResponse(_CLOSED_PAGE, 401)
        others = urlencode([(name, value) for name, value in parameters if name != "token"])
        root = f"{self._settings.root_path}/"
        response = RedirectResponse(f"{root}?{others}" if others else root, 303)
        response.set_cookie(
            self._settings.cookie_name(_port_of(scope)),
            self._settings.cookie_value,
            max_age=_COOKIE_SECONDS,
            path=root,
            httponly=True,
            samesite="strict",
            secure=(headers.get("x-forwarded-proto") or "") == "https",
        )
        return response

    def _has_cookie(self, headers: Headers, port: int) -> bool:
        wanted = self._settings.cookie_name(port)
        cookies = (one.strip().partition("=") for line in headers.getlist("cookie") for one in line.split(";"))
        return any(name == wanted and _is_same(value, self._settings.cookie_value) for name, _, value in cookies)

    def _check_page(self, scope: MutableMapping[str, Any], headers: Headers, host: str, has_token: bool) -> None:
        """Raises Problem where another site's page asks, or one of another port of this machine."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and origin.lower() in self._settings.cors and has_token:
            return
        is_own_page = site in (None, "same-origin", "none")
        if scope["method"] in _READING:
            # A link elsewhere may lead to the page; pictures and answers are shown by no other.
            may_be_followed = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
            if is_own_page or may_be_followed:
                return
        elif is_own_page and (origin is None or urlsplit(origin).netloc.lower() == host.lower()):
            return
        raise Problem("refused", "The request comes from a page of another site.")

    def _complete(self, message: Message, origin: str | None) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        if self._settings.cors:
            headers.add_vary_header("Origin")
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "ETag, Retry-After, Content-Range"


def _port_of(scope: MutableMapping[str, Any]) -> int:
    server = scope.get("server")
    return int(server[1] or 0) if server else 0


def _is_same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def _unauthorized() -> Problem:
    return Problem("unauthorized", "The token is lacking or wrong.", {"WWW-Authenticate": "Bearer"})
