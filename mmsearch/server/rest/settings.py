"""With what a server runs: where it listens, who may ask, and what they may do."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from mmsearch.errors import Invalid, NotFound, Refused, Unavailable

SHORTEST_TOKEN, LONGEST_TOKEN = 20, 500
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True)
class ServeSettings:
    """Where a server listens and whom it answers.

    `root_path` is what a proxy has before all paths ("/photos"), or "". `allowed_hosts` are names in the Host header
    beside those of this machine itself, `cors` the origins of pages elsewhere that may ask with the token in a header.
    """

    token: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    root_path: str = ""
    allow_index: bool = False
    allowed_hosts: frozenset[str] = frozenset()
    cors: frozenset[str] = frozenset()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can ask."""
        return is_loopback(self.host)

    @property
    def cookie_value(self) -> str:
        """What a browser keeps: it stands for the token, and does not tell it."""
        return hashlib.sha256(b"mmsearch cookie\0" + self.token.encode()).hexdigest()

    def cookie_name(self, port: int) -> str:
        """Cookies know no ports: two servers on one machine have one each."""
        return f"mmsearch-{port}"

    def address(self, port: int) -> str:
        """The URL that a person on this machine opens, token included."""
        host = "127.0.0.1" if self.host in _EVERYWHERE else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}{self.root_path}/?token={quote(self.token)}"

    def takes_host(self, written: str) -> bool:
        """Whether a Host header names this server.

        A page elsewhere can have its own name lead to this machine, but no number: where others may ask, numbers do.
        """
        try:
            host = (urlsplit(f"//{written}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if host in (*_LOOPBACK_NAMES, self.host.lower(), *self.allowed_hosts):
            return True
        return not self.is_loopback and _is_number(host)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    if host == "localhost":
        return True
    return _is_number(host) and ipaddress.ip_address(host).is_loopback


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def token_in(path: str) -> str:
    """The token that a file holds.

    Raises:
        NotFound: there is no such file. Unavailable: it cannot be read. Refused: others can read it. Invalid: there is
            no good token in it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read(LONGEST_TOKEN + 2).strip()
    except FileNotFoundError:
        raise NotFound(f"The token file {path} does not exist; write a long random word into it.") from None
    except (OSError, ValueError) as error:
        raise Unavailable(f"The token file {path} cannot be read ({error}).") from error
    if os.name == "posix" and mode & 0o007:
        raise Refused(f"Everybody on this machine can read the token file {path}; run `chmod 600` on it.")
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN or not token.isascii() or not token.isprintable():
        raise Invalid(f"The token file {path} must hold one word of {SHORTEST_TOKEN} to {LONGEST_TOKEN} letters.")
    if any(letter.isspace() for letter in token):
        raise Invalid(f"The token file {path} must hold one word; there are several in it.")
    return token


def check_root_path(written: str) -> str:
    """`/photos/` → `/photos`; the empty text and `/` stand for none.

    Raises:
        Invalid: it is no path.
    """
    path = written.rstrip("/")
    is_plain = all(letter.isalnum() or letter in "/-._~" for letter in path) and path.isascii()
    if path and (not path.startswith("/") or "//" in path or ".." in path or not is_plain):
        raise Invalid(f"{written!r} is no path that a proxy would have before all others; write it as /photos.")
    return path


def check_origin(written: str) -> str:
    """An origin as browsers write it: `https://photos.example`.

    Raises:
        Invalid: it is none.
    """
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.netloc or written != f"{parts.scheme}://{parts.netloc}":
        raise Invalid(f"{written!r} is no origin; write it as https://photos.example, without a path.")
    return written.lower()


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
