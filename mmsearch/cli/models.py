"""`mmsearch models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.running import JsonOption, printing

if TYPE_CHECKING:
    from mmsearch.optimising import Optimised

models = typer.Typer(help="Models other than the built-in one.", no_args_is_help=True, rich_markup_mode=None)


@models.command()
def optimise(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A CLIP or SigLIP model: a sentence-transformers name, or a folder.")
    ],
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A new folder for the optimised model.")],
    photos: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Compare vectors of pictures in this folder too, not of texts alone."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a model several times as fast: 8-bit graphs that need no torch, in a folder that --model takes.

    Prints how near their vectors are to the original's. Needs the clip extra, once; the folder can be copied to
    machines that do without.
    """
    from mmsearch import output
    from mmsearch.optimising import optimise as make
    from mmsearch.optimising import pictures_in
    from mmsearch.output.models import optimised_as_json, summary

    pictures = pictures_in(photos) if photos is not None else []
    made: Optimised = make(model, folder, pictures, lambda step: None if as_json else output.say(f"{step} …"))
    with printing():
        print(output.to_json(optimised_as_json(made)) if as_json else summary(made))
