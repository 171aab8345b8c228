"""Where a server is, and what lets one in: the address that `mmsearch serve` prints, taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from mmsearch.errors import Invalid, Remedy

_PORTS = {"http": 80, "https": 443}
_WRITTEN = "the address of a server is written as http://127.0.0.1:8000"


@dataclass(frozen=True)
class ServerAddress:
    """A server at a port of a host; `root_path` is what a proxy has before all paths ("/photos"), or ""."""

    is_secure: bool
    host: str
    port: int
    root_path: str
    token: str = field(repr=False)

    @property
    def shown(self) -> str:
        """The address as it may be shown to anybody: without the token."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_secure else 'http'}://{host}:{self.port}{self.root_path}"


def address_of(url: str, token: str | None = None, otherwise: str | None = None) -> ServerAddress:
    """`http://host:port/?token=…`, with a path where a proxy has one before all others.

    `token` comes before the one in it, and `otherwise` is the one where both lack.

    Raises:
        Invalid: it is no such address, or there is no token. What was given is not repeated, as it may hold one.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        given = parse_qs(parts.query).get("token", [""])[0]
    except ValueError:
        raise Invalid(f"That is no address of a server; {_WRITTEN}.") from None
    if parts.scheme not in _PORTS or not host or not _is_plain(host) or not _is_plain(parts.path):
        raise Invalid(f"That is no address of a server; {_WRITTEN}.")
    if parts.username is not None:
        raise Invalid(f"A server takes a token, and no name with a password before its host; {_WRITTEN}.")
    token = (token or given or otherwise or "").strip()
    if not token:
        raise Invalid("The address of the server has no token in it.", Remedy("server.token"))
    if not _is_plain(token):
        raise Invalid("The token has letters in it that no token has.", Remedy("server.token"))
    return ServerAddress(
        parts.scheme == "https", host, _PORTS[parts.scheme] if port is None else port, parts.path.rstrip("/"), token
    )


def _is_plain(text: str) -> bool:
    """Whether it is a word of ASCII letters that are seen: it goes into the head of a request."""
    return text.isascii() and all("!" <= letter <= "~" for letter in text)
