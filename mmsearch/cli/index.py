"""`mmsearch index`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.running import (
    EXIT_NONE,
    DeviceOption,
    JsonOption,
    LibraryOption,
    progress_bar,
    show,
    stoppable,
)
from mmsearch.errors import Invalid

NOTHING_THERE = "there are no pictures or text files there."
_NOT_COMPARED = "--model, --crops, --rebuild, --retry, --graph, --codes, --ocr and --speech"
STOPPED = "stopped; what was done is kept, and the next `mmsearch index` goes on from there."

if TYPE_CHECKING:
    from mmsearch.indexing.report import IndexReport
    from mmsearch.indexing.walking import WalkRules
    from mmsearch.reading import ReadLimits
    from mmsearch.records import Progress


PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PATH]...",
        help="Folders and files, or s3://bucket/photos; without any, all that were indexed before. Symbolic links are "
        "followed wherever they lead, out of the folder too; --exclude leaves one out by its name.",
    ),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Take only files that match this gitignore-style pattern (repeatable)."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Leave out what matches this gitignore-style pattern (repeatable)."),
]
HiddenOption = Annotated[bool | None, typer.Option("--hidden/--no-hidden", help="Take hidden files and folders too.")]
IgnoreFilesOption = Annotated[
    bool | None,
    typer.Option(
        "--ignore-files/--no-ignore-files",
        help="Obey .mmsearchignore and .ignore files, and .gitignore in git work trees (the default).",
    ),
]
ArchivesOption = Annotated[
    bool | None,
    typer.Option("--archives/--no-archives", help="Look into .zip, .cbz and .tar archives, as into folders."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Encode with this model (`mmsearch models` lists them), beside the one that searches use, which stays "
        "until `mmsearch models use NAME`; one of sound is asked beside it from now on.",
    ),
]
CropsOption = Annotated[
    bool,
    typer.Option(
        "--crops",
        help="Encode each picture three times, whole and by its two end squares: a model of its own, NAME+crops, that "
        "later runs go on with.",
    ),
]
RebuildOption = Annotated[bool, typer.Option("--rebuild", help="Encode all files of the library again.")]
RetryOption = Annotated[
    bool, typer.Option("--retry", help="Read again what could not be read before, though it has not changed.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only say how many files would be added, updated and removed.")
]
GraphOption = Annotated[
    bool | None,
    typer.Option(
        "--graph/--no-graph",
        help="Keep an HNSW graph for search --batch, or none, from now on. Without either there is one up to "
        "100,000 pictures or passages; it takes about 2 kB of memory for each.",
    ),
]
CodesOption = Annotated[
    str | None,
    typer.Option(
        metavar="sign|128|256",
        help="What searches look through first, from now on: one bit for each number of a vector (sign, as at first), "
        "or so many bits that are learned from the library's own vectors: less memory, and nearly all is found.",
    ),
]
OcrOption = Annotated[
    bool | None,
    typer.Option(
        "--ocr/--no-ocr",
        help="Read the text in pictures too, after all else, from now on; or no more of it: what was found stays.",
    ),
]
SpeechOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Transcribe what is said in videos and sound too, after all else, from now on: with the Whisper model of "
        "that name in `mmsearch models`, or in this folder, in CTranslate2's form.",
    ),
]
NoSpeechOption = Annotated[
    bool, typer.Option("--no-speech", help="Transcribe no more from now on: what was found stays.")
]
MaxTextMbOption = Annotated[
    float, typer.Option(metavar="MB", min=0.001, max=2_000, help="Skip text files larger than this.")
]
MaxPassagesOption = Annotated[
    int,
    typer.Option(metavar="N", min=1, help="Take so many passages of a longer text, spread evenly over it."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Threads that encode; one per processor by default."),
]
QueueOption = Annotated[
    bool,
    typer.Option(
        "--queue",
        help="Leave what is to be encoded to workers (mmsearch worker), and wait for them: for a library in "
        "PostgreSQL.",
    ),
]


def index(
    paths: PathsArgument = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    hidden: HiddenOption = None,
    ignore_files: IgnoreFilesOption = None,
    archives: ArchivesOption = None,
    model: ModelOption = None,
    crops: CropsOption = False,
    rebuild: RebuildOption = False,
    retry: RetryOption = False,
    dry_run: DryRunOption = False,
    graph: GraphOption = None,
    codes: CodesOption = None,
    ocr: OcrOption = None,
    speech: SpeechOption = None,
    no_speech: NoSpeechOption = False,
    max_text_mb: MaxTextMbOption = 10.0,
    max_passages: MaxPassagesOption = 2_000,
    workers: WorkersOption = None,
    queue: QueueOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Index photos, documents, videos and texts, to search them.

    Encodes what is new or changed, and drops what is gone. It may be stopped at any time, and goes on from there when
    it is run again. With another --model the library gets vectors of that too, while searches go on with the old ones.
    --include, --exclude, --hidden, --ignore-files and --archives are kept with the paths; giving any replaces all.
    """
    from mmsearch import output
    from mmsearch.cli.remedies import worded
    from mmsearch.indexing.run import IndexSettings
    from mmsearch.library import Library
    from mmsearch.output import reports

    rules = rules_of(include, exclude, hidden, ignore_files, archives)
    stages = _stages(ocr, speech, no_speech)
    if dry_run:
        if any((model is not None, crops, rebuild, retry, graph is not None, codes, stages)):
            raise Invalid(f"--dry-run only compares; leave out {_NOT_COMPARED}.")
        _preview(paths or [], rules, as_json, library)
        return
    limits = limits_of(max_text_mb, max_passages)
    settings = IndexSettings(limits, workers, graph, _code_bits(codes), stages, queue=queue)
    with Library(library, device) as opened, stoppable(STOPPED), progress_bar(quiet=as_json) as on_bar:
        report = opened.index(
            paths or [],
            rules=rules,
            model=opened.models.with_crops(model) if crops else model,
            rebuild=rebuild,
            retry=retry,
            settings=settings,
            on_progress=_telling_who_is_missing(on_bar) if queue else on_bar,
        )
    for note in reports.notes(report, worded):
        output.say(note)
    show(report, as_json, reports.summary)
    _check_found(report, library, paths or [])


def _telling_who_is_missing(on_progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Says once, for logs too, that files wait and nobody takes them, and what changes that."""
    from mmsearch import output
    from mmsearch.indexing.queueing import PAUSED, WAITING

    helps = {
        WAITING: "for a worker; start one with `mmsearch worker`",
        PAUSED: "while workers are paused; `mmsearch worker --resume` lets them go on",
    }

    def tell(progress: Progress) -> None:
        on_progress(progress)
        left = (progress.total or 0) - progress.done
        if left and (said := helps.pop(progress.stage, None)):
            output.say(f"{output.counted(left, 'file waits', 'files wait')} {said}.")

    return tell


def _check_found(report: IndexReport, library: str | None, paths: list[str]) -> None:
    """Says so where a run has found nothing, and ends with the exit code for that."""
    from mmsearch import output

    if report.files == 0 and not report.offline and not report.absent:
        if not report.failed and not report.failing:
            output.say(_nothing_there(library, paths))
        raise typer.Exit(EXIT_NONE)


def _code_bits(written: str | None) -> int | None:
    """How many learned bits codes are to have: 0 for `sign`, None where nothing is said."""
    known = {"sign": 0, "128": 128, "256": 256}
    if written is not None and written not in known:
        raise Invalid(f"--codes takes sign, 128 or 256, not {written!r}.")
    return None if written is None else known[written]


def _stages(ocr: bool | None, speech: str | None, no_speech: bool) -> dict[str, str | None]:
    """What is asked of stages: to be had from now on, or not any more."""
    if speech is not None and no_speech:
        raise Invalid("--speech and --no-speech ask for opposite things; leave one of them out.")
    asked: dict[str, str | None] = {} if ocr is None else {"ocr": "" if ocr else None}
    return {**asked, **({"speech": speech} if speech is not None or no_speech else {})}


def _preview(paths: list[str], rules: WalkRules | None, as_json: bool, library: str | None) -> None:
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output import reports

    with Library(library) as opened, progress_bar(quiet=as_json) as on_progress:
        found = opened.preview(paths, rules=rules, on_progress=on_progress)
    if found.added + found.updated + found.encoded + found.unchanged + found.removed + found.absent == 0:
        if as_json:
            show(found, as_json, reports.previewed)
        output.say(_nothing_there(library, paths))
        raise typer.Exit(EXIT_NONE)
    show(found, as_json, reports.previewed)


def _nothing_there(library: str | None, paths: list[str]) -> str:
    """That there is nothing to index, and the rules of before that may be why."""
    from mmsearch.indexing.roots import absolute
    from mmsearch.library import Library
    from mmsearch.output.reports import rules_said

    with Library(library) as opened:
        roots = opened.status().roots if opened.exists() else ()
    asked = {absolute(path) for path in paths}
    rules = {rules_said(root.rules) for root in roots if not asked or root.path in asked} - {""}
    if not rules:
        return NOTHING_THERE
    return (
        f"{NOTHING_THERE.removesuffix('.')}, but for what the rules of before leave out ({'; '.join(sorted(rules))})."
    )


def limits_of(max_text_mb: float, max_passages: int) -> ReadLimits:
    """The limits of files that these options set."""
    from mmsearch.reading import ReadLimits

    return ReadLimits({"text": int(max_text_mb * 1e6)}, max_passages=max_passages)


def rules_of(
    include: list[str] | None,
    exclude: list[str] | None,
    hidden: bool | None,
    ignore_files: bool | None,
    archives: bool | None,
) -> WalkRules | None:
    from mmsearch.indexing.walking import WalkRules

    if not include and not exclude and hidden is None and ignore_files is None and archives is None:
        return None
    patterns = tuple(include or ()), tuple(exclude or ())
    return WalkRules(*patterns, bool(hidden), ignore_files is not False, bool(archives))
