"""`mmsearch eval`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.running import (
    DeviceOption,
    JsonOption,
    LibraryOption,
    keep_to_one_thread,
    progress_bar,
    show,
    stoppable,
)
from mmsearch.errors import Invalid

if TYPE_CHECKING:
    from mmsearch.evaluation.comparison import Comparison
    from mmsearch.evaluation.dataset_formats import DatasetFormat

LARGEST_K = 1_000_000

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="JSONL of {file, captions} or {file, label}, a Flickr token file, COCO or Karpathy JSON, a folder of "
        "class folders, or photos with .txt files of the same names.",
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="What DATA is, where it is not recognised: jsonl, flickr, coco, karpathy, folders, sidecars.",
    ),
]
ImagesOption = Annotated[
    str | None, typer.Option(metavar="DIR", help="The folder of the photos that DATA names, if it is another.")
]
SplitOption = Annotated[str | None, typer.Option(metavar="NAME", help="Only this split of DATA, such as test.")]


ModelOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Measure this model (repeatable); the library's model by default."),
]
AdapterOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Measure with this adapter of the library, or none (repeatable)."),
]
KOption = Annotated[str, typer.Option("--k", metavar="K,K", help="Count the first so many hits.")]
CompareOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="graph|codes",
        help="Hold the HNSW graph, or compact codes of the vectors, against exact search (repeatable).",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Threads that encode; one per processor by default.")
]


def evaluate(
    data: DataArgument,
    format: FormatOption = None,
    images: ImagesOption = None,
    split: SplitOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    k: KOption = "1,5,10",
    compare: CompareOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Measure how well photos and captions are found.

    By data of your own or a standard set, in every direction that DATA allows: text to image, image to text, text to
    text, image to image by label; naming of labelled photos; words alone, vectors alone and both, where photos have
    words of captions in their names, folders or notes ("words" in JSONL); and how well scores tell hits from misses.
    Photos of the library are not encoded again; without a library the built-in model is measured.
    """
    if compare:
        keep_to_one_thread()  # times are told for one thread
    from mmsearch import output
    from mmsearch.evaluation.datasets import read_dataset
    from mmsearch.library import Library
    from mmsearch.output import evaluation

    ks = parse_ks(k)
    comparisons = [_comparison(written) for written in compare or ()]
    dataset = read_dataset(data, format=parse_format(format), images=images, split=split)
    if dataset.missing:
        output.say(f"{dataset.missing:,} photos that {dataset.name} names are not there and were left out.")
    with Library(library, device) as opened, stoppable("stopped."), progress_bar(quiet=as_json) as on_progress:
        found = opened.evaluate(
            dataset,
            models=model or (),
            adapters=adapter or (),
            ks=ks,
            comparisons=comparisons,
            workers=workers,
            on_progress=on_progress,
        )
    unreadable = found.evaluations[0].unreadable
    for path in unreadable[:5]:
        output.say(f"skipped {output.visible(path)}: it cannot be read as a picture.")
    if len(unreadable) > 5:
        output.say(f"skipped {len(unreadable) - 5:,} more; --json lists them.")
    show(found, as_json, evaluation.print_evaluations)


def parse_ks(written: str) -> tuple[int, ...]:
    """`1,5,10` → (1, 5, 10)."""
    try:
        ks = tuple(sorted({int(part) for part in written.split(",")}))
    except ValueError:
        ks = ()
    if not ks or ks[0] < 1 or ks[-1] > LARGEST_K:
        raise Invalid(f"--k {written!r} is no list of numbers from 1 to {LARGEST_K:,}; write it as 1,5,10.")
    return ks


def parse_format(written: str | None) -> DatasetFormat | None:
    """The format of that name."""
    from mmsearch.evaluation.dataset_formats import DatasetFormat

    if written is None:
        return None
    try:
        return DatasetFormat(written)
    except ValueError:
        known = ", ".join(one.value for one in DatasetFormat)
        raise Invalid(f"There is no format {written!r}; it is one of {known}.") from None


def _comparison(written: str) -> Comparison:
    from mmsearch.evaluation.comparison import Comparison

    try:
        return Comparison(written)
    except ValueError:
        raise Invalid(f"--compare takes graph or codes, not {written!r}.") from None
