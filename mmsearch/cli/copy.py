"""`mmsearch copy`: all of a library in another place."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsearch.cli.running import JsonOption, progress_bar, show, stoppable


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The library's folder or URL; it is only read.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A folder or URL where there is no library yet.")],
    as_json: JsonOption = False,
) -> None:
    """Copy a library to another folder or into a database, or back.

    A database is named by its URL, postgresql://HOST/DATABASE. All of it moves: folders and files, vectors of all
    models, words, adapters, fusions, failures, and what was chosen for the library. Nothing is encoded again, and your
    own files are not touched: they are found at the paths that the library knows. FROM may be searched and indexed
    meanwhile; TO gets one state of it. A copy that is cut off leaves nothing of it in TO, and is begun anew; once its
    rows are there, only codes and graphs are left to be made, which the next `mmsearch index` does as well.
    """
    from mmsearch.errors import Invalid
    from mmsearch.library import Library
    from mmsearch.output import care

    # Elsewhere a blank location is the usual library, which nobody means here.
    if not source.strip() or not target.strip():
        raise Invalid("FROM and TO are a folder or a URL each, and one of them is blank.")
    with (
        Library(source) as opened,
        stoppable("stopped; TO has all of the library, or nothing and can be copied to anew."),
        progress_bar(quiet=as_json) as on_progress,
    ):
        show(opened.care.copy_to(target, on_progress=on_progress), as_json, care.copied)
