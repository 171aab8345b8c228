"""`mmsearch mounts`: where this machine has the folders of a team's library."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from mmsearch.cli.running import JsonOption, show
from mmsearch.errors import Invalid


def mounts(
    known_as: Annotated[
        str | None, typer.Argument(metavar="[KNOWN_AS]", help="A folder by the path that the library has of it.")
    ] = None,
    here: Annotated[
        str | None, typer.Argument(metavar="[HERE]", help="Where that folder lies, or is mounted, on this machine.")
    ] = None,
    remove: Annotated[
        str | None, typer.Option(metavar="KNOWN_AS", help="Forget where that folder lies: at the library's own path.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say where this machine has the folders of a team's library.

    Without a folder, what was said is listed. A library at a URL has the paths of the machine that indexed first.
    Where another one has the same share at another path, `mmsearch mounts /mnt/nas/photos /Volumes/photos` lets it
    open the same hits, encode the files as a worker, and index them without a second copy: here all commands take and
    print /Volumes/photos, in the library it stays /mnt/nas/photos. A folder stands for all below it, and the innermost
    one counts. The list is this machine's, for all libraries at URLs; it lies in mounts.json in your settings folder,
    or in the file that MMSEARCH_MOUNTS names. What runs already (serve, watch, worker) is to be started again.
    """
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output import mounts as printed
    from mmsearch.output.mounts import PLACING

    if known_as is not None and here is None:
        raise Invalid("A folder of the library alone says nothing; give the path that it has here, too.")
    if known_as is not None and remove is not None:
        raise Invalid("A mount and --remove cannot be had at once; run the command twice.")
    with Library() as opened:
        if known_as is not None and here is not None:
            put = opened.mounts.put(known_as, here)
            if not os.path.isdir(put.here):
                output.say(f"{output.visible(os.fsdecode(put.here))} is not there now.")
        if remove is not None:
            opened.mounts.remove(remove)
        found = opened.mounts.list()
    show({"mounts": found}, as_json, lambda said: printed.print_mounts(said["mounts"]))
    if not found:
        output.say(f"all folders of libraries are taken to lie here at the same path; where one does not, {PLACING}.")
