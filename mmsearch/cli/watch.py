"""`mmsearch watch`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.index import (
    ArchivesOption,
    ExcludeOption,
    HiddenOption,
    IgnoreFilesOption,
    IncludeOption,
    MaxPassagesOption,
    MaxTextMbOption,
    WorkersOption,
    limits_of,
    rules_of,
)
from mmsearch.cli.running import DeviceOption, JsonOption, LibraryOption, printing, progress_bar, show, stoppable
from mmsearch.errors import Invalid, Refused

if TYPE_CHECKING:
    from mmsearch.indexing.watching.events import WatchEvent

STOPPED = "stopped; what was done is kept."
# What a service is to know of its environment, where it is set.
_VARIABLES = ("MMSEARCH_MODELS", "MMSEARCH_MOUNTS", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")

FoldersArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH]...", help="Folders and files; without any, all that were indexed before."),
]
EveryOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=1,
        help="Walk what the system does not tell of (network drives, more folders than it watches) so often; 600 "
        "without this.",
    ),
]
InstallOption = Annotated[
    bool,
    typer.Option(
        "--install", help="Watch from now on and after each login: as a user unit of systemd, or an agent of launchd."
    ),
]
UninstallOption = Annotated[bool, typer.Option("--uninstall", help="End that, and remove its file.")]


def watch(
    context: typer.Context,
    paths: FoldersArgument = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    hidden: HiddenOption = None,
    ignore_files: IgnoreFilesOption = None,
    archives: ArchivesOption = None,
    every: EveryOption = None,
    install: InstallOption = False,
    uninstall: UninstallOption = False,
    max_text_mb: MaxTextMbOption = 10.0,
    max_passages: MaxPassagesOption = 2_000,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Index new and changed files within seconds, until stopped.

    Begins with what `mmsearch index` does with these paths. Then it waits, and reads files once nothing writes to them
    any more; what is gone is dropped, and a drive that is away is waited for. Ctrl-C stops it (exit code 130), and so
    does SIGTERM (exit code 0). With --json it prints one JSON object a line.
    """
    from mmsearch.indexing.run import IndexSettings
    from mmsearch.indexing.watching.events import WatchSettings
    from mmsearch.library import Library

    if uninstall or install:
        if uninstall and install:
            raise Invalid("--install and --uninstall ask for opposite things; leave one of them out.")
        _serve(None if uninstall else _command(context, paths or [], library), as_json)
        return
    settings = WatchSettings(every, index=IndexSettings(limits_of(max_text_mb, max_passages), workers))
    rules = rules_of(include, exclude, hidden, ignore_files, archives)
    with Library(library, device) as opened, stoppable(STOPPED, terminated=0), ExitStack() as first_run:
        on_progress = first_run.enter_context(progress_bar(quiet=as_json))

        def tell(event: WatchEvent) -> None:
            first_run.close()
            _print(event, as_json)

        opened.watcher(paths or [], rules=rules, settings=settings, on_event=tell, on_progress=on_progress).run()


def _print(event: WatchEvent, as_json: bool) -> None:
    from mmsearch import output
    from mmsearch.cli.remedies import worded
    from mmsearch.output import watching
    from mmsearch.output.json import to_json

    with printing():
        line = to_json(event) if as_json else watching.line(event)
        if line is not None:
            print(line)
    for sentence in watching.sentences(event, worded):
        output.say(sentence)
    sys.stderr.flush()


def _serve(command: list[str] | None, as_json: bool) -> None:
    """Installs a service that runs the command, or removes it."""
    from mmsearch.cli import services

    environment = {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}
    done = services.uninstall() if command is None else services.install(command, environment)
    show(done, as_json, services.said)


def _command(context: typer.Context, paths: list[str], library: str | None) -> list[str]:
    """The command that was given, without --install and with whole paths: a service starts elsewhere."""
    from mmsearch.library import Library
    from mmsearch.store.locations import shown

    words: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE" or name in ("paths", "install", "library", "as_json"):
            continue
        value = context.params[name]
        if isinstance(value, bool):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                words += [parameter.opts[0], str(one)]
    with Library(library) as opened:
        if shown(opened.given) != opened.given:
            raise Refused(
                "The file of a service would hold the library's password; leave it out of the URL, and keep it where "
                "the database's own programs look for it (for PostgreSQL ~/.pgpass)."
            )
        location = opened.given
    whole = [os.path.abspath(os.path.expanduser(path)) for path in paths]
    return [sys.executable, "-m", "mmsearch", "watch", *words, "--library", location, "--", *whole]
