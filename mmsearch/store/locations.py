"""Where a library lies, as a person gives it: a folder of this machine, or a URL; and how a URL is shown to others."""

from __future__ import annotations

import re

from mmsearch.errors import Invalid

# One slash is what a path object leaves of the two. A letter alone is a drive of Windows.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(/?)")
# Hosts with their ports, and a path: what stands before a query where it names no user.
_HOST = r"(?:\[[^\]]*\]|[^:/,\[]*)(?::[0-9]*)?"
_HOSTS = re.compile(f"{_HOST}(?:,{_HOST})*(?:/.*)?")
# Parameters of URLs whose values are nobody's business: password, sslpassword, token, …
_SECRET = re.compile("password|passphrase|secret|token|api_?key", re.IGNORECASE)


def is_url(location: str) -> bool:
    """Whether that is a URL, `scheme://…`, and no folder."""
    return _SCHEME.match(location) is not None


def scheme_of(url: str) -> str:
    """The scheme of a URL, in small letters.

    Raises:
        Invalid: it has one slash alone behind the scheme: who it names first, a host or a folder, cannot be told.
    """
    match = _SCHEME.match(url)
    assert match is not None, "a URL"
    if not match[2]:
        raise Invalid(f"{shown(url)} is a URL that has lost a slash; give it as a text, with {match[1]}://.")
    return match[1].lower()


def shown(location: str) -> str:
    """A folder as it is; a URL without the password, and without parameters that are secrets.

    Where it cannot be told where a password ends, because it holds signs of a URL that were not escaped, more is left
    out than the password.
    """
    match = _SCHEME.match(location)
    if match is None:
        return location
    scheme, rest = location[: match.end()], location[match.end() :]
    before, question, _ = rest.partition("?")
    end = before.rfind("@")
    if end < 0 and not _HOSTS.fullmatch(before):
        end = rest.rfind("@")
    if end >= 0:
        rest = f"{rest[:end].partition(':')[0]}{rest[end:]}"
    before, question, query = rest.partition("?")
    if not question:
        return scheme + rest
    from urllib.parse import unquote

    kept = [one for one in query.split("&") if not _SECRET.search(unquote(one.partition("=")[0]))]
    return scheme + before + ("?" + "&".join(kept) if kept else "")
