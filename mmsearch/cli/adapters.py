"""`mmsearch train` and `mmsearch adapters`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.evaluate import DataArgument, FormatOption, ImagesOption, SplitOption, parse_format
from mmsearch.cli.running import DeviceOption, JsonOption, LibraryOption, progress_bar, show, stoppable
from mmsearch.errors import Invalid

if TYPE_CHECKING:
    from mmsearch.adapters.recipe import AdapterReport, TrainingLoss
    from mmsearch.evaluation.datasets import Dataset
    from mmsearch.library import Library
    from mmsearch.library.adapters import Adapters
    from mmsearch.library.fusions import Fusions


NameOption = Annotated[str, typer.Option(metavar="NAME", help="What the adapter is called; each gets a number.")]
LossOption = Annotated[
    str,
    typer.Option(
        metavar="LOSS",
        help="info-nce (symmetric, as CLIP), triplet (hardest negatives, as VSE++), margin (contrastive).",
    ),
]
EpochsOption = Annotated[int, typer.Option(metavar="N", help="Passes over the photos, at most.")]
BatchOption = Annotated[int, typer.Option(metavar="N", help="Photos a step.")]
RateOption = Annotated[float, typer.Option(metavar="RATE", help="AdamW's learning rate at its height.")]
WeightDecayOption = Annotated[float, typer.Option(metavar="DECAY", help="AdamW's weight decay.")]
RankOption = Annotated[int, typer.Option(metavar="N", help="How many directions the adapter may change.")]
MarginOption = Annotated[float, typer.Option(metavar="MARGIN", help="Of the losses triplet and margin.")]
HoldOutOption = Annotated[float, typer.Option(metavar="SHARE", help="Photos that stop and judge the training instead.")]
PatienceOption = Annotated[int, typer.Option(metavar="N", help="Epochs in a row that are no better end it.")]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Of the split and of the training.")]
PlotOption = Annotated[str | None, typer.Option(metavar="FILE", help="Draw loss and held-out R@10 by epoch, as PNG.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Keep the adapter even if held-out photos are found less often.")
]


FusionOption = Annotated[
    bool,
    typer.Option(
        "--fusion",
        help="Learn how vectors and words are merged instead, from files of the library; of the other options only "
        "--format, --images, --split, --force, --json and --library count.",
    ),
]


def train(
    data: DataArgument,
    fusion: FusionOption = False,
    name: NameOption = "adapter",
    format: FormatOption = None,
    images: ImagesOption = None,
    split: SplitOption = None,
    loss: LossOption = "info-nce",
    epochs: EpochsOption = 60,
    batch: BatchOption = 256,
    rate: RateOption = 1e-3,
    weight_decay: WeightDecayOption = 0.05,
    rank: RankOption = 64,
    margin: MarginOption = 0.2,
    hold_out: HoldOutOption = 0.3,
    patience: PatienceOption = 10,
    seed: SeedOption = 0,
    plot: PlotOption = None,
    force: ForceOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Train an adapter on your own captioned or labelled photos.

    Searches go through it then. It moves the vectors of the library's model; no photo of the library is encoded
    again. Held-out photos decide when to stop, and others whether the adapter is kept. `mmsearch adapters --use none`
    goes back. Needs the clip extra. With --fusion no vector is moved: what the scores of vectors and of words are
    worth is learned, and what a picture weighs beside words where DATA has such queries ("queries": [{"image":
    "x.jpg", "text": "at night"}] of the right file, in JSONL). `mmsearch adapters --use fusion@none` goes back.
    """
    from mmsearch import output
    from mmsearch.adapters.recipe import AdapterRecipe, AdapterRefused
    from mmsearch.cli.fusions import train_fusion
    from mmsearch.library import Library
    from mmsearch.output import training

    if fusion:
        train_fusion(_dataset_of(data, format, images, split), force, as_json, library)
        return
    recipe = AdapterRecipe(
        loss=_loss(loss), epochs=epochs, batch=batch, rate=rate, weight_decay=weight_decay, rank=rank, margin=margin,
        hold_out=hold_out, patience=patience, seed=seed,
    )  # fmt: skip
    _check_plot(plot)
    dataset = _dataset_of(data, format, images, split)
    with (
        Library(library, device) as opened,
        stoppable("stopped; no adapter was kept."),
        progress_bar(quiet=as_json) as on_progress,
    ):
        try:
            report = opened.adapters.train(dataset, name=name, recipe=recipe, force=force, on_progress=on_progress)
        except AdapterRefused as refused:
            _plot(refused.report, plot)
            raise
    _plot(report, plot)
    if report.unreadable:
        output.say(f"{report.unreadable:,} photos cannot be read and were left out.")
    show(report, as_json, training.print_report)


def adapters(
    use: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Search through this adapter, or merge by this fusion, from now on; none, fusion@none."
        ),
    ] = None,
    remove: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Take this adapter or fusion out of the library for good; fusion@all for all."
        ),
    ] = None,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """List the library's adapters and fusions, choose or remove one.

    `mmsearch train` makes adapters, `mmsearch train --fusion` fusions. NAME is that of an adapter, with its number
    (pets@2) or without (the newest), or of a fusion (fusion@1).
    """
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output import training

    if use is not None and remove is not None:
        raise Invalid("--use and --remove cannot be had at once; run the command twice.")
    with Library(library) as opened:
        if use is not None:
            output.say(f"searches use {_door(opened, use).use(use)} now.")
        if remove is not None:
            output.say(f"{_door(opened, remove).remove(remove)} removed.")
        found = {"adapters": opened.adapters.list(), "fusions": opened.fusions.list()}
    show(found, as_json, training.print_adapters_and_fusions)


def _door(opened: Library, name: str) -> Adapters | Fusions:
    """Where what is called so is kept."""
    return opened.fusions if name.startswith("fusion@") else opened.adapters


def _dataset_of(data: str, format: str | None, images: str | None, split: str | None) -> Dataset:
    """What was named, less what is not there, which is said."""
    from mmsearch import output
    from mmsearch.evaluation.datasets import read_dataset

    dataset = read_dataset(data, format=parse_format(format), images=images, split=split)
    if dataset.missing:
        output.say(f"{dataset.missing:,} photos that {dataset.name} names are not there and were left out.")
    return dataset


def _loss(written: str) -> TrainingLoss:
    from mmsearch.adapters.recipe import TrainingLoss

    try:
        return TrainingLoss(written)
    except ValueError:
        raise Invalid(f"There is no loss {written!r}; it is info-nce, triplet or margin.") from None


def _check_plot(path: str | None) -> None:
    if path is not None:
        from mmsearch.adapters.plot import check_plot

        check_plot(path)


def _plot(report: AdapterReport, path: str | None) -> None:
    if path is not None:
        from mmsearch.adapters.plot import plot_training

        plot_training(report, path)
