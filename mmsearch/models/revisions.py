"""The revisions of the built-in model that this package can open: the newest, and older ones that libraries were made
with.

`mmsearch-mini` is the newest, `mmsearch-mini@2` is revision 2. A library knows each by name, revision and fingerprint.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache

from mmsearch.encoding import builtin_files
from mmsearch.encoding.description import read_description
from mmsearch.records import BUILTIN_MODEL, ModelIdentity

_FOLDER_BEGINNING = "revision-"


def is_builtin(name: str) -> bool:
    """Whether that names the built-in model, in whatever revision."""
    return name.partition("@")[0] == BUILTIN_MODEL


def newest_revision() -> str:
    """That of the model in the package; "" where its description cannot be read, of which opening it tells."""
    return _revision_in(builtin_files.MODEL_FOLDER)


@lru_cache
def _revision_in(folder: str) -> str:
    with suppress(OSError, ValueError):
        return str(read_description(folder)["revision"])
    return ""


def revision_names() -> tuple[str, ...]:
    """The names of all revisions that are there, the newest first."""
    folder, entries = builtin_files.MODEL_FOLDER, []
    with suppress(OSError):
        entries = sorted(os.listdir(folder), reverse=True)
    older = [one for one in entries if os.path.isfile(os.path.join(folder, one, builtin_files.BRIDGE))]
    return (BUILTIN_MODEL, *(f"{BUILTIN_MODEL}@{one.removeprefix(_FOLDER_BEGINNING)}" for one in older))


def short_name(name: str) -> str:
    """What a revision of the built-in model is called here: the newest by the bare name."""
    return BUILTIN_MODEL if name == f"{BUILTIN_MODEL}@{newest_revision()}" else name


def name_of(identity: ModelIdentity) -> str:
    """The name by which a person tells a model of a library from the others."""
    return short_name(f"{identity.name}@{identity.revision}") if identity.name == BUILTIN_MODEL else identity.name


def opened_as(identity: ModelIdentity) -> str:
    """The name of the model that is opened for a library's: the newest where its revision is not there."""
    name = name_of(identity)
    return BUILTIN_MODEL if is_builtin(name) and name not in revision_names() else name


def folder_of_revision(name: str) -> str | None:
    """Where a revision of the built-in model lies, or None."""
    short = short_name(name)
    if short not in revision_names():
        return None
    if short == BUILTIN_MODEL:
        return builtin_files.MODEL_FOLDER
    return os.path.join(builtin_files.MODEL_FOLDER, f"{_FOLDER_BEGINNING}{short.partition('@')[2]}")
