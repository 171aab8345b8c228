"""docs/json.md as data: which fields it tells of, in the section of which command."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "json.md"
_ROW = re.compile(r"^\| (`.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_QUOTED = re.compile(r'"(\w+)"')
_ELSEWHERE = re.compile(r"as (?:`(\w+)` )?in `([a-z ]+)`")
# What stands in these fields goes by names that are no fields: measures, settings, media, extensions.
FREE_KEYS = ("metrics", "recipe", "filters", "thresholds", "unread")


@dataclass(frozen=True)
class Section:
    """What is told of the JSON of one command.

    `rows` maps the fields of its first table, the object's own, to what is said of them, `inner` those of its other
    tables, which are of objects within; `prose` is the rest.
    """

    command: str
    rows: Mapping[str, str]
    inner: Mapping[str, str]
    prose: str

    def own_fields(self) -> set[str]:
        return {name.partition(".")[0] for name in self.rows or names_in(self.prose)}

    def fields_within(self, field: str) -> set[str]:
        """The fields that may stand in `field`: what its row, the prose or an inner table names or refers to."""
        said = self.rows.get(field) or self.inner.get(field) or ""
        found = names_in(said) | names_in(self.prose) | set(self.inner)
        found |= {name.removeprefix(f"{field}.") for name in self.rows if name.startswith(f"{field}.")}
        for inner in [name for name in found if name in self.inner or f"{field}.{name}" in self.rows]:
            found |= names_in(self.inner.get(inner) or self.rows[f"{field}.{inner}"])
        for row, command in _ELSEWHERE.findall(said or self.prose):
            section = sections()[command]
            found |= section.fields_within(row) if row else section.own_fields()
        return found


def sections() -> dict[str, Section]:
    """All sections by command, `models pull`; one that tells of two commands stands under both."""
    found: dict[str, Section] = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        tables = [
            {name: meaning for names, _, meaning in _ROW.findall(table) for name in _CODE.findall(names)}
            for table in body.split("|-|-|-|")[1:]
        ]
        inner = {name: meaning for table in tables[1:] for name, meaning in table.items()}
        for command in re.findall(r"`mmsearch ([a-z ]+[a-z])", title):
            found[command] = Section(command, tables[0] if tables else {}, inner, _ROW.sub("", body))
    return found


def names_in(text: str) -> set[str]:
    """The fields that a text names: `files`, or those of `{"path", "files"}`."""
    found: set[str] = set()
    for code in _CODE.findall(text):
        found |= set(_QUOTED.findall(code)) or {code}
    return found


def undocumented(command: str, printed: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each field of `printed` that the command's section does not tell of."""
    section = sections()[command]
    own = section.own_fields() | {"schema_version"}
    for name, value in printed.items():
        if name not in own:
            yield f"`{name}` is not in the section `mmsearch {command}`"
        elif name not in FREE_KEYS:
            told = section.fields_within(name)
            for inner in sorted(set(_keys_within(value)) - told):
                yield f"`{inner}`, within `{name}`, is not in the section `mmsearch {command}`"


def not_printed(command: str, printed: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each field of the section's first table that `printed` does not have."""
    section = sections()[command]
    for name in sorted(section.own_fields() - set(printed) if section.rows else ()):
        yield f"`{name}`, of the section `mmsearch {command}`, is not printed"


def _keys_within(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name not in FREE_KEYS:
                yield from _keys_within(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys_within(inner)
