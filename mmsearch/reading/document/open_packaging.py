"""What Office Open XML documents have in common: which part of a package refers to which, and text beside the text."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from mmsearch.reading.document.pages import Picture, TextOfPage
from mmsearch.reading.document.xml_events import Walker, attribute
from mmsearch.reading.document.zipped import Package

# What a program that does not know the first choice would show in its place, with the same text.
FALLBACK = "Fallback"


@dataclass
class Relations(Walker):
    """What a part of the package refers to: (kind, name of the other part) by its id.

    The kind is the last word of its type: image, slide, header.
    """

    folder: str
    by_id: dict[str, tuple[str, str]] = field(default_factory=dict)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name != "Relationship" or attributes.get("TargetMode") == "External":
            return
        target = attributes.get("Target", "").replace("\\", "/")
        resolved = posixpath.normpath(posixpath.join("/", self.folder, target)).lstrip("/")
        kind = attributes.get("Type", "").rpartition("/")[2]
        self.by_id[attributes.get("Id", "")] = (kind, resolved)

    def of_kind(self, *kinds: str) -> list[str]:
        """The names of parts of these kinds, each once, as they are listed."""
        return list(dict.fromkeys(target for kind, target in self.by_id.values() if kind in kinds))

    def target(self, identifier: str | None) -> str | None:
        return self.by_id[identifier][1] if identifier in self.by_id else None


def relations_of(package: Package, name: str) -> Relations:
    """The relations of a part, of the package as a whole by the name "". None where it has no list of them."""
    folder, _, base = name.rpartition("/")
    relations = Relations(folder)
    listed = f"{folder}/_rels/{base}.rels".lstrip("/")
    if listed in package:
        package.tell(listed, relations)
    return relations


def picture(package: Package, name: str) -> Picture:
    return Picture(name, partial(package.read, name))


@dataclass
class DrawnText(Walker):
    """The text of a drawing, a diagram, a chart or a comment: a line a paragraph, and the labels of a chart."""

    passed_over = frozenset({FALLBACK, "numCache", "rPh"})
    collected: TextOfPage = field(default_factory=TextOfPage)
    _in_text: bool = False
    _in_labels: bool = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "strCache":
            self._in_labels = True
        self._in_text = name == "t" or (name == "v" and self._in_labels)

    def end(self, name: str) -> None:
        self._in_text = False
        if name == "strCache":
            self._in_labels = False
        if name in ("p", "pt", "comment"):
            self.collected.add("\n")
        elif name in ("br", "tab"):
            self.collected.add(" ")

    def text(self, characters: str) -> None:
        if self._in_text:
            self.collected.add(characters)


def text_beside(package: Package, relations: Relations, *kinds: str) -> Iterator[str]:
    """The texts of the parts of these kinds that something refers to."""
    for name in relations.of_kind(*kinds):
        walker = DrawnText()
        package.tell(name, walker)
        if text := walker.collected.take():
            yield text


class PicturesSeen(Walker):
    """Collects the pictures that a stream refers to by its relations; subclasses tell of what begins."""

    def __init__(self, package: Package, relations: Relations) -> None:
        self._package = package
        self._relations = relations
        self._pictures: dict[str, Picture] = {}

    def see(self, name: str, attributes: Mapping[str, str]) -> None:
        """Notes the picture, if the element shows one."""
        if name == "blip":
            identifier = attribute(attributes, "embed")
        elif name == "imagedata":
            identifier = attribute(attributes, "id")
        else:
            return
        target = self._relations.target(identifier)
        if target is not None and target in self._package:
            self._pictures[target] = picture(self._package, target)

    def pictures(self) -> tuple[Picture, ...]:
        """Those since the last time."""
        seen, self._pictures = tuple(self._pictures.values()), {}
        return seen
