"""What is said of models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mmsearch.models.known import known_model
from mmsearch.models.reference import without_crops
from mmsearch.models.revisions import revision_names
from mmsearch.output import counted, visible
from mmsearch.output.columns import stdout_width, wrapped
from mmsearch.records import BUILTIN_MODEL, OPTIMISED_ENDING

if TYPE_CHECKING:
    from mmsearch.library.models import DroppedModel, LibraryModel, ModelOverview
    from mmsearch.models.installed import InstalledModel, RemovedModel
    from mmsearch.models.known import KnownModel
    from mmsearch.models.optimise.building import OptimisedModel
    from mmsearch.models.packing import ExportedModel


_FOLLOWING = " " * 6
_TRANSCRIBES = "of speech: `mmsearch index --speech NAME` transcribes with it"


def _is_here(name: str) -> bool:
    """Whether a library's model that is neither installed nor the newest built-in one can be opened."""
    return os.path.isdir(name) or name in revision_names()


def print_models(overview: ModelOverview) -> None:
    """What is on this disk, what the library has of each, and what could be fetched, for a person, on stdout."""
    installed = overview.installed
    states = {model.name: _state(model) for model in overview.library}
    here = [(BUILTIN_MODEL, "33 MB", states.pop(BUILTIN_MODEL, ""))]
    here += [
        (model.name, f"{model.bytes / 1e6:,.0f} MB", _TRANSCRIBES if model.transcribes else states.pop(model.name, ""))
        for model in installed
    ]
    sizes = {without_crops(name)[0]: "" for name in states if _is_here(without_crops(name)[0])}
    sizes |= {name: size for name, size, _ in here}
    beneath = [(name, without_crops(name)[0]) for name in states]
    here += [(name, sizes[one], states.pop(name)) for name, one in beneath if one in sizes]
    print("on this disk")
    _print_table(here)
    if states:
        print("\nnot here, though the library has vectors of it")
        _print_table(list(states.items()))
    names = {model.name for model in installed}
    known = [model for model in overview.known if model.name != BUILTIN_MODEL and not model.hears]
    print("\nknown; `mmsearch models pull NAME` fetches one")
    _print_table(
        [
            ("name", "download", "time", "recall en", "de", "languages; licence"),
            *(
                (
                    model.name,
                    "here" if model.name in names else f"{model.megabytes:,} MB",
                    _number(model.time),
                    _number(model.recall_english),
                    _number(model.recall_german),
                    _about(model),
                )
                for model in known
            ),
        ]
    )
    note = f"recall: {overview.recall_source}, in %; time: of one item, that of clip-ViT-B-32 is 1"
    print(wrapped(note, indent="  "))
    print("\nknown, of sound; `mmsearch index --model NAME` adds one, and searches ask it too")
    _print_table(
        (model.name, "here" if model.name in names else f"{model.megabytes:,} MB", _about(model))
        for model in overview.known
        if model.hears
    )


def _about(model: KnownModel) -> str:
    several = any(character.isdigit() for character in model.languages)
    languages = f"{model.languages} languages" if several else model.languages
    return "; ".join(filter(None, (languages, f"licence {model.licence}", model.remark)))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _state(model: LibraryModel) -> str:
    files = counted(model.files, "file")
    if model.hears:
        said = f"searches ask it for sound: {files}"
    else:
        said = f"searches use it: {files}" if model.searched else f"{files} encoded"
    if model.lacking:
        said += f", {model.lacking:,} not yet"
    if model.failed:
        said += f", {model.failed:,} it could not"
    return said + ("; searches wait for it" if model.wanted else "")


def _print_table(rows: Iterable[Sequence[str]]) -> None:
    """Prints rows in columns; what the last column says goes to a line of its own where the rows are too wide."""
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    has_room = sum(len("  ") + width for width in widths) <= stdout_width()
    for row in cells:
        *columns, last = ("  " + cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        if has_room or not row[-1]:
            print("".join((*columns, last)).rstrip())
        else:
            print("".join(columns).rstrip())
            print(wrapped(row[-1], _FOLLOWING))


def arrived(model: InstalledModel) -> str:
    """What a person can do with a model that has just arrived."""
    known = known_model(model.name.removesuffix(OPTIMISED_ENDING).partition("@")[0])
    licence = f", licence {known.licence}" if known else ""
    return (
        f"{visible(model.name)}, {model.bytes / 1e6:,.0f} MB{licence}\n"
        f"Use it with `mmsearch index FOLDER --{'speech' if model.transcribes else 'model'} {visible(model.name)}`."
    )


def optimised(made: OptimisedModel) -> str:
    """A few lines for a person."""
    lines = [f"{visible(made.name)}, {made.bytes / 1e6:,.0f} MB"]
    for form, agreements in (("exact export", made.float32), ("8 bits", made.int8)):
        lines += [
            f"{form}: cosine with the original {one.mean:.4f}, at least {one.lowest:.4f} ({one.items} {one.tower})"
            for one in agreements
        ]
    return "\n".join([*lines, f"Use it with `mmsearch index FOLDER --model {visible(made.name)}`."])


def used_from_now(used: LibraryModel) -> str:
    """What became of the wish to search with a model."""
    name = visible(used.label)
    if not used.searched:
        return (
            f"{used.lacking:,} of {used.files + used.lacking:,} files are not encoded with {name} yet; `mmsearch "
            "index` sees to them, and searches use it then. --now does not wait, for a drive that is away, say"
        )
    unfound = used.lacking + used.failed
    missing = f"; {unfound:,} files that it has not encoded are not found" if unfound else ""
    return f"searches use {name} from now on{missing}"


def dropped(done: DroppedModel) -> str:
    """How many vectors were dropped."""
    return f"{counted(done.dropped, 'vector')} of {visible(done.name)} dropped"


def removed(done: RemovedModel) -> str:
    """How much room that gave."""
    return f"{visible(done.name)} removed, {done.bytes / 1e6:,.0f} MB freed"


def exported(file: str, done: ExportedModel) -> str:
    """Where the model was written, and what to do with the file."""
    return f"{visible(file)}, {done.bytes / 1e6:,.0f} MB; take it in elsewhere with `mmsearch models import FILE`"
