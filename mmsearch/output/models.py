"""What is said of models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mmsearch.models.known import KNOWN_MODELS, RECALL_SOURCE, known_model
from mmsearch.output import SCHEMA_VERSION, visible
from mmsearch.records import BUILTIN_MODEL, OPTIMISED_ENDING

if TYPE_CHECKING:
    from mmsearch.library.models import LibraryModel
    from mmsearch.models.installed import InstalledModel
    from mmsearch.models.optimise.making import Optimised


def print_models(installed: Sequence[InstalledModel], of_library: Sequence[LibraryModel]) -> None:
    """What is on this disk, what the library has of each, and what could be fetched, for a person, on stdout."""
    states = {model.name: _state(model) for model in of_library}
    here = [(BUILTIN_MODEL, "30 MB", states.pop(BUILTIN_MODEL, ""))]
    here += [(model.name, f"{model.bytes / 1e6:,.0f} MB", states.pop(model.name, "")) for model in installed]
    here += [(name, "", states.pop(name)) for name in list(states) if os.path.isdir(name)]
    print("on this disk")
    _print_table(here)
    if states:
        print("\nnot here, though the library has vectors of it")
        _print_table(list(states.items()))
    names = {model.name for model in installed}
    known = [model for model in KNOWN_MODELS if model.name != BUILTIN_MODEL]
    print("\nknown; `mmsearch models pull NAME` fetches one")
    _print_table(
        [
            ("name", "download", "time", "recall en", "de", "languages", "licence", ""),
            *(
                (
                    model.name,
                    "here" if model.name in names else f"{model.megabytes:,} MB",
                    _number(model.time),
                    _number(model.recall_english),
                    _number(model.recall_german),
                    model.languages,
                    model.licence,
                    model.remark,
                )
                for model in known
            ),
        ]
    )
    print(f"\nrecall: {RECALL_SOURCE}, in %; time: of one item, that of clip-ViT-B-32 is 1")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _state(model: LibraryModel) -> str:
    said = f"searches use it: {model.files:,} files" if model.searched else f"{model.files:,} files encoded"
    if model.lacking:
        said += f", {model.lacking:,} not yet"
    if model.failed:
        said += f", {model.failed:,} it could not"
    return said + ("; searches wait for it" if model.wanted else "")


def _print_table(rows: Iterable[Sequence[str]]) -> None:
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def models_as_json(installed: Sequence[InstalledModel], of_library: Sequence[LibraryModel]) -> dict[str, Any]:
    """As docs/json.md tells."""
    return {
        "schema_version": SCHEMA_VERSION,
        "installed": [_installed(model) for model in installed],
        "library": [asdict(model) for model in of_library],
        "known": [asdict(model) for model in KNOWN_MODELS],
        "recall_source": RECALL_SOURCE,
    }


def _installed(model: InstalledModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "folder": model.folder,
        "bytes": model.bytes,
        "sources": [asdict(source) for source in model.sources],
        "trust_remote_code": model.trust_remote_code,
    }


def installed_as_json(model: InstalledModel) -> dict[str, Any]:
    """As docs/json.md tells."""
    return {"schema_version": SCHEMA_VERSION, **_installed(model)}


def pulled_as_json(model: InstalledModel, made: Optimised | None) -> dict[str, Any]:
    """As docs/json.md tells."""
    return {**installed_as_json(model), "optimised": asdict(made) if made else None}


def pulled_said(model: InstalledModel) -> str:
    """What a person can do with a model that has just arrived."""
    known = known_model(model.name.removesuffix(OPTIMISED_ENDING).partition("@")[0])
    licence = f", licence {known.licence}" if known else ""
    return (
        f"{visible(model.name)}, {model.bytes / 1e6:,.0f} MB{licence}\n"
        f"Use it with `mmsearch index FOLDER --model {visible(model.name)}`."
    )


def summary(made: Optimised) -> str:
    """A few lines for a person."""
    lines = [f"{visible(made.name)}, {made.bytes / 1e6:,.0f} MB"]
    for form, agreements in (("exact export", made.float32), ("8 bits", made.int8)):
        lines += [
            f"{form}: cosine with the original {one.mean:.4f}, at least {one.lowest:.4f} ({one.items} {one.tower})"
            for one in agreements
        ]
    return "\n".join([*lines, f"Use it with `mmsearch index FOLDER --model {visible(made.name)}`."])


def optimised_as_json(made: Optimised) -> dict[str, Any]:
    """As docs/json.md tells."""
    return {"schema_version": SCHEMA_VERSION, **asdict(made)}


def use_said(used: LibraryModel) -> str:
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


def used_as_json(used: LibraryModel) -> dict[str, Any]:
    """As docs/json.md tells."""
    return {"schema_version": SCHEMA_VERSION, **asdict(used)}


def dropped_as_json(name: str, dropped: int) -> dict[str, Any]:
    """As docs/json.md tells."""
    return {"schema_version": SCHEMA_VERSION, "name": name, "dropped": dropped}


def removed_as_json(name: str, freed: int) -> dict[str, Any]:
    """As docs/json.md tells."""
    return {"schema_version": SCHEMA_VERSION, "name": name, "bytes": freed}


def exported_as_json(name: str, file: str, size: int) -> dict[str, Any]:
    """As docs/json.md tells."""
    path = os.path.abspath(os.path.expanduser(file))
    return {"schema_version": SCHEMA_VERSION, "name": name, "path": path, "bytes": size}
