"""`mmsearch mcp`."""

from __future__ import annotations

import os
import sys

from mmsearch.cli.running import DeviceOption, LibraryOption, keep_to_one_thread, stoppable


def mcp(library: LibraryOption = None, device: DeviceOption = "auto") -> None:
    """Let an assistant search, by the Model Context Protocol.

    It speaks over stdin and stdout, and is not called by a person: an assistant's program starts it, with the command
    `mmsearch` and the argument `mcp`. It reads and never changes anything, and ends when its stdin does. What it has
    to say to a person goes to stderr.
    """
    keep_to_one_thread()
    from mmsearch import __version__, output
    from mmsearch.cli.remedies import in_words
    from mmsearch.server.mcp.answers import Call
    from mmsearch.server.mcp.messages import lines_of
    from mmsearch.server.mcp.serving import Server
    from mmsearch.server.opened_library import OpenedLibrary

    if sys.stdin is None:  # it was closed
        return
    if sys.stdin.isatty():
        output.say("waiting for the messages of an assistant's program; Ctrl-D ends it.")
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no message
    sys.stdout = sys.stderr
    with stoppable("stopped."):
        call = Call(OpenedLibrary(library, device), in_words)
        Server(answers, call, __version__).serve(lines_of(sys.stdin.buffer))
