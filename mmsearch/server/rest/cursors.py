"""Where the next page of an answer begins: of which search, at which state of the library, after how many hits."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from mmsearch.server.rest.problems import Problem

_WRITTEN = re.compile(r"1\.([0-9a-f]{24})\.(\d{1,18})\.(\d{1,9})")


class Cursor(NamedTuple):
    """The search of that digest, at the state of that number, after the first `offset` hits."""

    digest: str
    state: int
    offset: int

    def written(self) -> str:
        """As a client hands it back; it is not meant to be read by one."""
        plain = f"1.{self.digest}.{self.state}.{self.offset}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, written: str, digest: str) -> Cursor:
        """What `written` has made, for the search of that digest.

        Raises:
            Problem: it is no cursor, or that of another search.
        """
        try:
            padded = written + "=" * (-len(written) % 4)
            match = _WRITTEN.fullmatch(base64.urlsafe_b64decode(padded).decode())
        except ValueError:
            match = None
        if match is None:
            raise Problem("invalid", "`cursor` is none that this server has given.")
        if match[1] != digest:
            raise Problem("invalid", "`cursor` is of another search; give it with the parameters that it came from.")
        return cls(match[1], int(match[2]), int(match[3]))

    def check(self, state: int) -> None:
        """Raises Problem where the library is at another state now."""
        if state != self.state:
            raise Problem("gone", "The library has changed since the first page; search again.")
