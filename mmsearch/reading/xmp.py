"""An XMP packet, in a picture or in a file beside it → what it says, by the names that programs give to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MOST_BYTES = 1_000_000
# Values of one name that are looked at.
_MOST_VALUES = 1_000
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_NAMESPACES = {
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://www.digikam.org/ns/1.0/": "digiKam",
}

Properties = Mapping[str, "list[str]"]


def properties(packet: bytes) -> Properties:
    """The values of each property by its usual name (`dc:subject`), those of a list in its order, of texts in several
    languages the default one first; nothing of a packet that is no XML, too large, or brings entities of its own.
    """
    from xml.etree import ElementTree

    found: dict[str, list[str]] = {}
    packet = packet.strip(b"\0 \t\r\n")
    # Nothing that writes XMP declares a type, and an entity can be made to grow without end.
    if len(packet) > MOST_BYTES or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return found
    with suppress(ElementTree.ParseError, ValueError, LookupError):
        root = ElementTree.fromstring(packet)
        for described in root.iter(f"{_RDF}Description"):
            for name, values in _said(described):
                known = found.setdefault(name, [])
                known += values[: _MOST_VALUES - len(known)]
    return found


def _said(described: Element) -> Iterator[tuple[str, list[str]]]:
    for tag, value in described.items():
        if name := _name(tag):
            yield name, [value]
    for child in described:
        if name := _name(child.tag):
            yield name, [value for value in _values(child) if value.strip()]


def _values(element: Element) -> list[str]:
    if not len(element):
        return [element.text or ""]
    items = [item for group in element for item in group if item.tag == f"{_RDF}li"]
    items.sort(key=lambda item: item.get(_LANGUAGE, "x-default") != "x-default")
    return [item.text or "" for item in items]


def _name(tag: object) -> str | None:
    """`{http://purl.org/dc/elements/1.1/}subject` → `dc:subject`; None for what is of no known vocabulary."""
    if not isinstance(tag, str):  # a comment
        return None
    space, _, name = tag[1:].partition("}")
    prefix = _NAMESPACES.get(space)
    return f"{prefix}:{name}" if prefix else None
