"""`mmsearch search --server`: which library is asked, what a server can do of it, and files that may lie elsewhere."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mmsearch.cli.search_options import ScanChoice, SearchOptions
from mmsearch.errors import Invalid, MmsearchError, Unavailable, Unsupported

if TYPE_CHECKING:
    from mmsearch.client import Client
    from mmsearch.output.thumbnails import Thumbnail
    from mmsearch.searching.results import Hit, ListedFile

SERVER_VARIABLE, LIBRARY_VARIABLE = "MMSEARCH_SERVER", "MMSEARCH_LIBRARY"


def of_one_place(options: SearchOptions) -> SearchOptions:
    """The options, with the server left out where a library of this machine is asked: what was typed comes before what
    a variable says, and the server's variable before the library's.

    Raises:
        Invalid: both were typed.
    """
    if options.server is None or options.library is None:
        return options
    server_typed = options.server != os.environ.get(SERVER_VARIABLE)
    library_typed = options.library != os.environ.get(LIBRARY_VARIABLE)
    if server_typed and library_typed:
        raise Invalid("--server and --library name two libraries; leave one of them out.")
    return replace(options, server=None) if library_typed else options


def check_for_server(options: SearchOptions) -> None:
    """Raises Unsupported for an option that a server cannot follow."""
    asked = {
        "--batch": options.batch is not None,
        "--adapter": options.adapter is not None,
        "--model": options.model is not None,
        "--scan": options.scan is not ScanChoice.AUTO,
        "--device": options.device != "auto",
        "--explain": options.explain,
        "--explain-to": options.explain_to is not None,
        "--copies": options.copies,
        "--not-image": bool(options.avoid_image),
    }
    named = next((name for name, is_asked in asked.items() if is_asked), None)
    if named is not None:
        raise Unsupported(f"{named} is nothing that a server takes; leave it out, or name a library with --library.")


def client_of(options: SearchOptions) -> Client:
    """The server that is asked.

    Raises:
        MmsearchError: its address or its token is none, or it cannot do what is asked.
    """
    from mmsearch.client import connect

    check_for_server(options)
    token = None
    if options.token_file is not None:
        from mmsearch.server.rest.settings import token_in

        token = token_in(options.token_file)
    return connect(options.server or "", token)


def is_here(hit: Hit | ListedFile) -> bool:
    """Whether the file that a server has found lies on this machine too: of that size and time, at that path."""
    from mmsearch.files.archives import status_at
    from mmsearch.files.remote_paths import is_remote
    from mmsearch.files.times import in_utc, modification_time

    if is_remote(os.fsencode(hit.path)):
        return False  # the server has its credentials
    try:
        status = status_at(os.fsencode(hit.path))
    except OSError:
        return False
    return status.st_size == hit.bytes and in_utc(modification_time(status)) == hit.modified


def check_is_here(hit: Hit | ListedFile) -> None:
    """Raises Unavailable where the file of a hit lies on the server's machine alone."""
    from mmsearch.output import visible

    if hit.available and not is_here(hit):
        raise Unavailable(f"{visible(hit.path)} lies on the server's machine, and cannot be opened on this one.")


def drawn_by(client: Client) -> Callable[[Hit | ListedFile, tuple[int, int]], Thumbnail]:
    """What draws hits: from their files where these are here, else from what the server has drawn."""
    from mmsearch.output.thumbnails import thumbnail

    def drawn(hit: Hit | ListedFile, size: tuple[int, int]) -> Thumbnail:
        has_no_picture = hit.type in ("text", "audio")
        return thumbnail(hit, size) if not hit.available or has_no_picture or is_here(hit) else fetched(hit, size)

    def fetched(hit: Hit | ListedFile, size: tuple[int, int]) -> Thumbnail:
        from PIL import Image

        from mmsearch.output.thumbnails import Thumbnail
        from mmsearch.searching.results import Hit

        page = hit.page if isinstance(hit, Hit) and hit.type in ("document", "image") else None
        time = hit.time[0] if isinstance(hit, Hit) and hit.type == "video" and hit.time else None
        try:
            jpeg = client.thumbnail(hit.id, max(size), page=page, time=time)
            picture = Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB")
        except (MmsearchError, OSError):
            return Thumbnail(trouble="the server has no picture of it")
        picture.thumbnail(size)
        return Thumbnail(picture=picture)

    return drawn
