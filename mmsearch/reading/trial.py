"""Reads files whose paths come in, ended by NUL, on stdin, and prints a line for each that it came through.

Run in a process of its own on files that may end it; that they are damaged does not matter. First it says "ready".
"""

from __future__ import annotations

import sys
from contextlib import suppress

from mmsearch.reading import UnreadableFile, open_file, read


def main() -> None:
    """Reads until stdin ends."""
    side = int(sys.argv[1])
    print("ready", flush=True)
    path = b""
    while byte := sys.stdin.buffer.read(1):
        if byte != b"\0":
            path += byte
            continue
        with suppress(UnreadableFile, MemoryError), open_file(path) as file:
            for _ in read(file, side).parts:
                pass
        print("done", flush=True)
        path = b""
