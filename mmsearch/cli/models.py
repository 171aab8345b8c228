"""`mmsearch models` and the commands below it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.parsing import Command, Group
from mmsearch.cli.running import JsonOption, LibraryOption, progress_bar, show, stoppable
from mmsearch.errors import Invalid

if TYPE_CHECKING:
    from mmsearch.library import Library
    from mmsearch.models.optimise.building import OptimisedModel
    from mmsearch.records import Progress

models = typer.Typer(cls=Group, add_completion=False, invoke_without_command=True, rich_markup_mode=None)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A model by its name in `mmsearch models`, or a folder that holds one.")
]
PhotosOption = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Compare the vectors of pictures in this folder, not of some of the library."),
]


@models.callback()
def list_models(
    context: typer.Context,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """List models; fetch one, make it fast, search with it.

    Shows those on this disk and the known ones, and of each its size, the time that it takes, how well it finds, its
    languages and its licence, and what the library has of it.
    """
    if context.invoked_subcommand is not None:
        for name, option in (("as_json", "--json"), ("library", "--library")):
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise Invalid(
                    f"Options come after the command: `mmsearch models {context.invoked_subcommand} … {option}`."
                )
        return
    from mmsearch.library import Library
    from mmsearch.output.models import print_models

    with Library(library) as opened:
        overview = opened.models.overview()
    show(overview, as_json, print_models)


@models.command(cls=Command)
def pull(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A model of `mmsearch models`, or any of the hub that has the layout of CLIP or, for sound, of CLAP, "
            "or that is Whisper in CTranslate2's form.",
        ),
    ],
    revision: Annotated[
        str | None, typer.Option(metavar="REV", help="A commit, tag or branch of it; it is called NAME@REV then.")
    ] = None,
    images_by: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model that encodes pictures, where NAME encodes texts in its space."),
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let it run Python code that comes with it, on your machine.")
    ] = False,
    optimised: Annotated[
        bool | None,
        typer.Option(
            "--optimise/--no-optimise", help="Do what `models optimise` does at once, or do not ask about it."
        ),
    ] = None,
    photos: PhotosOption = None,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Fetch a model from the hub, once; then it needs no network.

    A model that is there already is checked, and what is damaged is fetched again. Files that had arrived before an
    interruption are not fetched again. Needs the clip extra, but for models of speech.
    """
    from mmsearch.library import Library
    from mmsearch.library.models import PulledModel
    from mmsearch.output.models import arrived
    from mmsearch.output.models import optimised as said_of

    with Library(library) as opened:
        with (
            stoppable("stopped; what has arrived is kept, and the next `mmsearch models pull` goes on from there."),
            progress_bar(quiet=as_json, subject=model) as on_progress,
        ):
            fetched = opened.models.pull(
                model,
                revision=revision,
                images_by=images_by,
                trust_remote_code=trust_remote_code,
                on_progress=on_progress,
            )
        if not as_json:
            show(fetched, as_json, arrived)
        may_ask = optimised is None and not as_json and sys.stdin.isatty() and sys.stderr.isatty()
        if may_ask and not fetched.transcribes and not opened.models.hears(fetched.name):
            optimised = typer.confirm(
                "Make it several times as fast on a processor (8 bits; takes a minute)?", default=True, err=True
            )
        made = _optimise(opened, fetched.name, None, photos, as_json) if optimised else None
    show(PulledModel(fetched, made), as_json, lambda pulled: said_of(pulled.optimised) if pulled.optimised else None)


@models.command(cls=Command)
def optimise(
    model: NameArgument,
    folder: Annotated[
        str | None,
        typer.Argument(metavar="[FOLDER]", help="A new folder for it; without one it becomes the model NAME-int8."),
    ] = None,
    photos: PhotosOption = None,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Make a CLIP or SigLIP model several times as fast.

    On a processor, by 8-bit graphs that need no torch. Prints how near their vectors are to the original's, which
    stays as it is. `index --model NAME` takes the optimised model from then on, unless the library has vectors of the
    original, and `eval` both, as NAME and NAME-int8. Needs the clip extra, once.
    """
    from mmsearch.library import Library
    from mmsearch.output.models import optimised

    with Library(library) as opened:
        made = _optimise(opened, model, folder, photos, as_json)
    show(made, as_json, optimised)


def _optimise(opened: Library, model: str, folder: str | None, photos: str | None, quiet: bool) -> OptimisedModel:
    from mmsearch import output

    def say_step(progress: Progress) -> None:
        if not quiet:
            output.say(f"{progress.stage} …")

    with stoppable("stopped; nothing was made."):
        return opened.models.optimise(model, folder, photos=photos, on_progress=say_step)


@models.command(cls=Command)
def use(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model that files of the library are encoded with.")],
    at_once: Annotated[
        bool, typer.Option("--now", help="Do not wait: files that it has not encoded yet are not found until then.")
    ] = False,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Search with this model, once it has encoded all files.

    Until then searches go on with the one before, and `mmsearch index` encodes with both. What the other models have
    encoded stays until it is dropped.
    """
    from mmsearch.library import Library
    from mmsearch.output.models import used_from_now

    with Library(library) as opened:
        used = opened.models.use(model, at_once=at_once)
    show(used, as_json, used_from_now)


@models.command(cls=Command)
def drop(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model of the library that searches do not use.")],
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Take a model's vectors out of the library. The model itself stays on the disk."""
    from mmsearch.library import Library
    from mmsearch.output.models import dropped

    with Library(library) as opened:
        done = opened.models.drop(model)
    show(done, as_json, dropped)


@models.command(cls=Command)
def remove(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model on this disk.")],
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Delete a model from this disk. Its vectors stay in the library, which needs it again to be searched with them."""
    from mmsearch.library import Library
    from mmsearch.output.models import removed

    with Library(library) as opened:
        done = opened.models.remove(model)
    show(done, as_json, removed)


@models.command("export", cls=Command)
def export_(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model on this disk.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write it, for example model.zip.")],
    as_json: JsonOption = False,
) -> None:
    """Write a model to a file, for a machine without a network."""
    from mmsearch.library import Library
    from mmsearch.output.models import exported

    with (
        stoppable("stopped; nothing was written."),
        progress_bar(quiet=as_json, subject=model) as on_progress,
    ):
        done = Library().models.export(model, file, on_progress=on_progress)
    show(done, as_json, lambda model: exported(file, model))


@models.command("import", cls=Command)
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that `mmsearch models export` wrote.")],
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let it run Python code that comes with it, on your machine.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take a model from such a file to those of this disk. Its checksums are verified."""
    from mmsearch.library import Library
    from mmsearch.output.models import arrived

    with (
        stoppable("stopped; nothing was taken in."),
        progress_bar(quiet=as_json, subject="the model") as on_progress,
    ):
        taken = Library().models.import_(file, trust_remote_code=trust_remote_code, on_progress=on_progress)
    show(taken, as_json, arrived)
