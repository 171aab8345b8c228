"""Pictures that were uploaded to search with: made small in a process apart, kept for an hour, named by a token."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from typing import Any

from mmsearch.errors import NotFound
from mmsearch.files.private import PRIVATE_FILE
from mmsearch.showing.uploaded import small_picture

KEPT_SECONDS = 3600.0
MOST_KEPT = 200


class Uploads:
    """Small pictures by token, in a folder that is gone with the server. Any number of threads may use it."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="mmsearch-")
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, data: bytes) -> str:
        """The token of a picture that came as these bytes.

        Raises:
            UnreadableFile: they are no picture that can be read, or too large a one.
        """
        picture = small_picture(data, self._folder)
        token = f"u{secrets.token_hex(16)}"
        with open(os.open(self._path(token), os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as file:
            file.write(picture)
        with self._lock:
            self._until[token] = time.monotonic() + KEPT_SECONDS
            self._drop_old()
        return token

    def path_of(self, token: str) -> str:
        """Where the small picture lies.

        Raises:
            NotFound: there is none of that token any more.
        """
        with self._lock:
            self._drop_old()
            if token not in self._until:
                raise NotFound("The uploaded picture is not kept any more; upload it again.")
        return self._path(token)

    def named(self, value: Any) -> Any:
        """A described query without paths of this folder: tokens stand for them."""
        if isinstance(value, dict):
            return {name: self.named(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.named(one) for one in value]
        if isinstance(value, str) and os.path.dirname(value) == self._folder:
            return os.path.basename(value).removesuffix(".png")
        return value

    def close(self) -> None:
        """Deletes all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, token: str) -> str:
        return os.path.join(self._folder, f"{token}.png")

    def _drop_old(self) -> None:
        now = time.monotonic()
        old = [token for token, until in self._until.items() if until < now]
        old += list(self._until)[: max(0, len(self._until) - len(old) - MOST_KEPT)]
        for token in dict.fromkeys(old):
            del self._until[token]
            with suppress(OSError):
                os.remove(self._path(token))
