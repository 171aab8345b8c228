"""`mmsearch serve`."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.running import DeviceOption, LibraryOption, keep_to_one_thread
from mmsearch.errors import Refused, Remedy, Unsupported

if TYPE_CHECKING:
    from mmsearch.indexing.watching.events import WatchEvent

HostOption = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="Listen at this address. Other machines can ask only at another than 127.0.0.1; that takes --token-file.",
    ),
]
PortOption = Annotated[
    int, typer.Option(metavar="PORT", min=0, max=65535, help="Listen at this port; 0 takes one that is free.")
]
NoOpenOption = Annotated[bool, typer.Option("--no-open", help="Do not open the page in the browser.")]
TokenFileOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Take the token from FILE, which you alone can read, instead of a new one."),
]
RootPathOption = Annotated[
    str, typer.Option(metavar="PATH", help="What a proxy has before all paths: /photos. It may hand that on or not.")
]
AllowIndexOption = Annotated[
    bool, typer.Option("--allow-index", help="Let the page, and programs by the API, start runs of index.")
]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Index new and changed files within seconds too, as `mmsearch watch` does.")
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Answer under this name in the Host header too: photos.example (repeatable)."),
]
CorsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ORIGIN",
        help="Let pages from there ask, with the token in a header: https://app.example (repeatable).",
    ),
]


def serve(
    library: LibraryOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 0,
    no_open: NoOpenOption = False,
    token_file: TokenFileOption = None,
    root_path: RootPathOption = "",
    allow_index: AllowIndexOption = False,
    watch: WatchOption = False,
    allow_host: AllowHostOption = None,
    cors: CorsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Search in the browser, and by programs over HTTP.

    The first line on stdout is the address, with a token in it that lets you in; a browser keeps it as a cookie. It
    opens in the browser where there is a desktop. Only this machine can ask, unless --host says otherwise. Files are
    read and never changed; Ctrl-C ends it.
    """
    keep_to_one_thread()
    try:
        from mmsearch.server.rest.running import serve as serve_library
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "python_multipart"):
            raise
        raise Unsupported("mmsearch serve needs an extra that is not installed", Remedy("extra", "serve")) from None
    from mmsearch.cli.remedies import in_words
    from mmsearch.library import Library
    from mmsearch.server.rest.settings import ServeSettings, check_origin, check_root_path, new_token, token_in

    settings = ServeSettings(
        new_token() if token_file is None else token_in(token_file),
        host,
        port,
        check_root_path(root_path),
        allow_index,
        frozenset(name.lower() for name in allow_host or ()),
        frozenset(map(check_origin, cors or ())),
    )
    if not settings.is_loopback and token_file is None:
        raise Refused(f"Others can reach {host}; write a long random word into a file, and name it with --token-file.")

    def tell(address: str) -> None:
        print(address, flush=True)
        if not no_open and _has_desktop():
            import webbrowser

            webbrowser.open(address)

    with Library(library, device) as opened, opened.watcher(on_event=_say) if watch else nullcontext():
        serve_library(opened, settings, in_words, tell)
    sys.stdout.flush()
    # At once: a thread that is still at a large picture has nothing to say any more.
    os._exit(0)


def _say(event: WatchEvent) -> None:
    """Says on stderr what a person should know of what is watched; the page shows the rest."""
    from mmsearch import output
    from mmsearch.cli.remedies import worded
    from mmsearch.output import watching

    for sentence in watching.sentences(event, worded):
        output.say(sentence)
    sys.stderr.flush()


def _has_desktop() -> bool:
    """Whether a browser can show itself to the person who has started this."""
    if not sys.stdout.isatty() or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
