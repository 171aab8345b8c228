"""`mmsearch models` and the commands below it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.running import JsonOption, LibraryOption, counted, printing, stoppable
from mmsearch.errors import MmsearchError

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.models.optimise.making import Optimised

models = typer.Typer(invoke_without_command=True, rich_markup_mode=None)

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
    """List the models on this disk and the known ones; fetch one, make it fast, search with it.

    Shows of each its size, the time that it takes, how well it finds, its languages and its licence, and what the
    library has of it.
    """
    if context.invoked_subcommand is not None:
        for name in ("as_json", "library"):
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise MmsearchError(
                    f"Options come after the command: `mmsearch models {context.invoked_subcommand} … --library DIR`."
                )
        return
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.models.installed import installed_models
    from mmsearch.output.models import models_as_json, print_models

    with Library(library) as opened:
        of_library = opened.models() if opened.exists() else []
    installed = installed_models()
    with printing():
        if as_json:
            print(output.to_json(models_as_json(installed, of_library)))
        else:
            print_models(installed, of_library)


@models.command()
def pull(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A model of `mmsearch models`, or any of the hub that has a CLIP-style layout."
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
    """Fetch a model from the hub, once; after that it needs no network.

    A model that is there already is checked, and what is damaged is fetched again. Files that had arrived before an
    interruption are not fetched again. Needs the clip extra.
    """
    from mmsearch import output
    from mmsearch.models.pulling import pull as fetch
    from mmsearch.output.models import pulled_as_json, pulled_said, summary

    with (
        stoppable("stopped; what has arrived is kept, and the next `mmsearch models pull` goes on from there."),
        counted(f"fetching {model}", quiet=as_json, is_bytes=True) as on_progress,
    ):
        fetched = fetch(
            model,
            revision=revision,
            images_by=images_by,
            trust_remote_code=trust_remote_code,
            on_progress=on_progress,
        )
    with printing():
        if not as_json:
            print(pulled_said(fetched))
    if optimised is None and not as_json and sys.stdin.isatty() and sys.stderr.isatty():
        optimised = typer.confirm(
            "Make it several times as fast on a processor (8 bits; takes a minute)?", default=True, err=True
        )
    made = _optimise(fetched.name, None, photos, as_json, library) if optimised else None
    with printing():
        if as_json:
            print(output.to_json(pulled_as_json(fetched, made)))
        elif made:
            print(summary(made))


@models.command()
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
    """Make a CLIP or SigLIP model several times as fast on a processor: 8-bit graphs that need no torch.

    Prints how near their vectors are to the original's, which stays as it is. `index --model NAME` takes the optimised
    model from then on, unless the library has vectors of the original, and `eval` both, as NAME and NAME-int8. Needs
    the clip extra, once.
    """
    from mmsearch import output
    from mmsearch.output.models import optimised_as_json, summary

    made = _optimise(model, folder, photos, as_json, library)
    with printing():
        print(output.to_json(optimised_as_json(made)) if as_json else summary(made))


def _optimise(model: str, folder: str | None, photos: str | None, quiet: bool, library: str | None) -> Optimised:
    from mmsearch import output
    from mmsearch.models.optimise.making import optimise as make

    with stoppable("stopped; nothing was made."):
        return make(model, folder, _pictures(photos, library), lambda step: None if quiet else output.say(f"{step} …"))


def _pictures(photos: str | None, library: str | None) -> list[Image]:
    from mmsearch.indexing.pictures import pictures_in
    from mmsearch.library import Library

    if photos is not None:
        return pictures_in(photos)
    with Library(library) as opened:
        return opened.pictures()


@models.command()
def use(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model that files of the library are encoded with.")],
    at_once: Annotated[
        bool, typer.Option("--now", help="Do not wait: files that it has not encoded yet are not found until then.")
    ] = False,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Search with this model from now on, or once it has encoded all files.

    Until then searches go on with the one before, and `mmsearch index` encodes with both. What the other models have
    encoded stays until it is dropped.
    """
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output.models import use_said, used_as_json

    with Library(library) as opened:
        used = opened.use_model(model, at_once=at_once)
    with printing():
        print(output.to_json(used_as_json(used)) if as_json else use_said(used))


@models.command()
def drop(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model of the library that searches do not use.")],
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Take a model's vectors out of the library. The model itself stays on the disk."""
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output.models import dropped_as_json

    with Library(library) as opened:
        dropped = opened.drop_model(model)
    with printing():
        if as_json:
            print(output.to_json(dropped_as_json(model, dropped)))
        else:
            print(f"{dropped:,} vectors of {output.visible(model)} dropped")


@models.command()
def remove(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model on this disk.")],
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Delete a model from this disk. Its vectors stay in the library, which needs it again to be searched with them."""
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.models.installed import remove_model
    from mmsearch.output.models import removed_as_json

    with Library(library) as opened:
        of_library = opened.models() if opened.exists() else []
        if any(one.name == model and (one.searched or one.wanted) for one in of_library):
            raise MmsearchError(
                f"Searches in {opened.folder} use {model}, or wait for it; choose another model with `mmsearch models "
                "use NAME` first."
            )
    freed = remove_model(model)
    with printing():
        print(
            output.to_json(removed_as_json(model, freed))
            if as_json
            else f"{output.visible(model)} removed, {freed / 1e6:,.0f} MB freed"
        )


@models.command("export")
def export_(
    model: Annotated[str, typer.Argument(metavar="NAME", help="A model on this disk.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write it, for example model.zip.")],
    as_json: JsonOption = False,
) -> None:
    """Write a model to a single file, to bring it to a machine without a network."""
    from mmsearch import output
    from mmsearch.models.packing import export_model
    from mmsearch.output.models import exported_as_json

    with (
        stoppable("stopped; nothing was written."),
        counted(f"writing {model}", quiet=as_json, is_bytes=True) as on_progress,
    ):
        size = export_model(model, file, on_progress)
    with printing():
        if as_json:
            print(output.to_json(exported_as_json(model, file, size)))
        else:
            print(
                f"{output.visible(file)}, {size / 1e6:,.0f} MB; take it in elsewhere with `mmsearch models import FILE`"
            )


@models.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that `mmsearch models export` wrote.")],
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let it run Python code that comes with it, on your machine.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take a model from such a file to those of this disk. Its checksums are verified."""
    from mmsearch import output
    from mmsearch.models.packing import import_model
    from mmsearch.output.models import installed_as_json, pulled_said

    with (
        stoppable("stopped; nothing was taken in."),
        counted("reading the model", quiet=as_json, is_bytes=True) as on_progress,
    ):
        taken = import_model(file, trust_remote_code=trust_remote_code, on_progress=on_progress)
    with printing():
        print(output.to_json(installed_as_json(taken)) if as_json else pulled_said(taken))
