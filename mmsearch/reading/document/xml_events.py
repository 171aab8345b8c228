"""XML in blocks → its elements one after the other, as they begin and end. No tree is made, and no entity resolved.

Names are told without the prefix of their namespace: programs choose those as they like.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mmsearch.reading.reader import UnreadableFile

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

# Documents of people nest to some fifty.
_DEEPEST = 1_000
# A tag or comment that does not end is looked through again with each block that comes.
_LONGEST_TAG = 8_000_000
_BLOCK_BYTES = 1 << 18


class Walker:
    """Is told of what an XML stream consists of.

    Of elements with a name in `passed_over`, and of all within them, it is not told.
    """

    passed_over: frozenset[str] = frozenset()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins. Names of attributes have their prefixes: see `attribute`."""

    def end(self, name: str) -> None:
        """It ends."""

    def text(self, characters: str) -> None:
        """The next characters between two tags, or some of them."""


def attribute(attributes: Mapping[str, str], name: str) -> str | None:
    """The value of an attribute whatever the prefix of its namespace."""
    if name in attributes:
        return attributes[name]
    ending = f":{name}"
    return next((value for key, value in attributes.items() if key.endswith(ending)), None)


def is_in(blocks: Iterable[bytes], pattern: re.Pattern[bytes]) -> bool:
    """Whether the pattern, of at most a hundred bytes, is somewhere in the blocks, as far as they can be read."""
    before = b""
    try:
        for block in blocks:
            if pattern.search(before + block):
                return True
            before = block[-100:]
    except UnreadableFile:
        pass  # told when it is read
    return False


def walk(blocks: Iterable[bytes], walker: Walker) -> Iterator[None]:
    """Tells the walker of XML, and stops after each block.

    Raises:
        UnreadableFile: it is damaged, nested too deeply, or declares entities; or what `blocks` raises. The walker has
            been told of all before that.
    """
    from xml.parsers import expat

    parser = _parser(walker)
    fed = 0
    try:
        for block in _joined(blocks):
            parser.Parse(block, False)
            fed += len(block)
            if fed - parser.CurrentByteIndex > _LONGEST_TAG and parser.CurrentByteIndex >= 0:
                raise UnreadableFile("damaged XML")
            yield
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError):  # of encodings that are not known
        raise UnreadableFile("damaged XML") from None
    yield


def _joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks of a size that is worth a call; what came before an error comes before it here too."""
    waiting: list[bytes] = []
    size = 0
    try:
        for block in blocks:
            waiting.append(block)
            size += len(block)
            if size >= _BLOCK_BYTES:
                joined, waiting, size = b"".join(waiting), [], 0
                yield joined
    except UnreadableFile as error:
        yield b"".join(waiting)
        raise error
    yield b"".join(waiting)


def _parser(walker: Walker) -> XMLParserType:
    from xml.parsers import expat

    depth = 0
    inside = 0  # how deep below an element that is passed over
    passed_over = walker.passed_over

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth, inside
        depth += 1
        if depth > _DEEPEST:
            raise UnreadableFile("XML nested too deeply")
        name = name[name.find(":") + 1 :]
        if inside or name in passed_over:
            inside += 1
        else:
            walker.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth, inside
        depth -= 1
        if inside:
            inside -= 1
        else:
            walker.end(name[name.find(":") + 1 :])

    def text(characters: str) -> None:
        if not inside:
            walker.text(characters)

    def declared(*entity: object) -> None:
        raise UnreadableFile("XML with entities of its own")

    def skipped(name: str, is_parameter: bool) -> None:
        if not is_parameter and not inside:
            walker.text(html.entities.html5.get(f"{name};", ""))

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = declared
    parser.SkippedEntityHandler = skipped
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    return parser
