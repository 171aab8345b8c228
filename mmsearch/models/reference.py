"""What a model is called: the built-in one, one of this disk or of the hub by its name, or one in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.models.revisions import is_builtin, short_name
from mmsearch.records import CROPS_ENDING, OPTIMISED_ENDING

if TYPE_CHECKING:
    from mmsearch.encoding.devices import DeviceName
    from mmsearch.models.known import KnownModel

# Where the hub keeps models whose names have no owner.
_USUAL_OWNER = "sentence-transformers"


def without_crops(name: str) -> tuple[str, str]:
    """The name of the model beneath one that sees end squares too, and the ending that says so; else itself, and "".

    A folder may be called so.
    """
    if not name.endswith(CROPS_ENDING) or os.path.isdir(os.path.expanduser(name)):
        return name, ""
    return name.removesuffix(CROPS_ENDING), CROPS_ENDING


@dataclass(frozen=True)
class ModelRef:
    """A model by its name, as a library knows it: short where it is a known one, an absolute path for a folder.

    `revision` is the commit, tag or branch that the name ends with (`OWNER/NAME@REVISION`), or "".
    """

    name: str
    is_folder: bool = False

    @classmethod
    def of(cls, written: str) -> ModelRef:
        """What a person means by that: a model on this disk comes before a folder of that name, `./NAME` does not."""
        beneath, crops = without_crops(written)
        if crops:
            ref = cls.of(beneath)
            return cls(f"{ref.name}{crops}", ref.is_folder)
        if is_builtin(written):
            return cls(short_name(written))
        from mmsearch.models.installed import installed_model

        path = os.path.expanduser(written)
        if os.path.isdir(path) and (os.path.isabs(path) or installed_model(written) is None):
            return cls(os.path.abspath(path), is_folder=True)
        return cls.named(written)

    @classmethod
    def named(cls, written: str) -> ModelRef:
        """The model of that name, whether there is a folder called so or not."""
        from mmsearch.models.known import known_model

        known = known_model(written)
        return cls(known.name if known else written)

    @property
    def base(self) -> str:
        """The name without a revision, and without crops."""
        beneath = without_crops(self.name)[0]
        return beneath if self.is_folder else beneath.partition("@")[0]

    @property
    def revision(self) -> str:
        """The revision that the name ends with, or ""."""
        return "" if self.is_folder else without_crops(self.name)[0].partition("@")[2]

    @property
    def known(self) -> KnownModel | None:
        """What is published of it, whatever its revision."""
        from mmsearch.models.known import known_model

        return known_model(self.base)

    @property
    def repository(self) -> str:
        """Where the hub has it."""
        if self.known:
            return self.known.repository
        return self.base if "/" in self.base else f"{_USUAL_OWNER}/{self.base}"

    @property
    def forms(self) -> tuple[str, ...]:
        """The names under which a library may hold it: its own, and that of its optimised form."""
        beneath, crops = without_crops(self.name)
        return (self.name,) if os.path.isabs(self.name) else (self.name, f"{beneath}{OPTIMISED_ENDING}{crops}")

    def preferred_form(self, device: DeviceName) -> str:
        """The name of its optimised form where there is one on this disk, else its own.

        A graphics card that is asked for runs the original.
        """
        from mmsearch.models.installed import installed_model

        if device not in ("auto", "cpu"):
            return self.name
        return next((name for name in self.forms[1:] if installed_model(without_crops(name)[0])), self.name)

    def at(self, revision: str | None) -> ModelRef:
        """The same model at that revision, as a name of this disk: a branch may have slashes, a name none there."""
        known = self.known
        name = known.name if known else self.base
        return ModelRef(f"{name}@{revision.replace('/', '-')}" if revision else name)
