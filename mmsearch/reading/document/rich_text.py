"""Rich Text Format → its text as it is read, with notes, headers, boxes and pictures. One pass, in linear time.

Read here and by no package: the one there is leaves out notes and boxes, takes minutes for pictures of some megabytes,
and time by the square of the number of links.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from mmsearch.reading.document.pages import Page, Picture, TextOfPage, reading_of, tidied
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile

_DEEPEST = 1_000
# Some ten megabytes of text with all its looks; more takes longer than anyone waits for a file.
_MOST_TOKENS = 4_000_000
_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,9})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]{1,65536})|[\r\n]+|\\"
)
# Groups that are no text of the document: lists of what it uses, data, and what stands for what is read elsewhere.
_NOT_SEEN = frozenset(
    {
        "aftncn", "aftnsep", "aftnsepc", "atnauthor", "atndate", "atnicn", "atnid", "atnref", "background", "bkmkend",
        "bkmkstart", "colorschememapping", "colortbl", "datastore", "do", "filetbl", "fldinst", "fonttbl",
        "formfield", "ftncn", "ftnsep", "ftnsepc", "generator", "info", "latentstyles", "listoverridetable",
        "listtable", "mmathPr", "nesttableprops", "nonesttables", "nonshppict", "objdata", "pgptbl", "pn", "pnseclvl",
        "revtbl", "rsidtbl", "shprslt", "sp", "stylesheet", "tc", "template", "themedata", "upr", "userprops", "xe",
        "xmlnstbl",
    }
)  # fmt: skip
# Groups that programs may pass over which do not know them, and that hold text all the same.
_SEEN = frozenset(
    {"shpinst", "shptxt", "annotation", "ud", "moMath", "moMathPara", "listtext", "pntext", "footnote", "shppict"}
)
_NOTES = frozenset({"footnote", "annotation"})
_EDGES = frozenset({"header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"})
_SIGNS = {
    "par": "\n", "line": "\n", "sect": "\n\n", "row": "\n", "nestrow": " ", "tab": "\t", "cell": "\t", "nestcell": " ",
    "emdash": "—", "endash": "–", "emspace": " ", "enspace": " ", "qmspace": " ", "bullet": "•",
    "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
}  # fmt: skip
_SYMBOLS = {b"~": " ", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n"}
_PICTURES = {"pngblip": ".png", "jpegblip": ".jpg"}
_CODE_PAGES = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
# The encodings of fonts, by their character sets.
_OF_CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
    238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip


@dataclass(frozen=True)
class _State:
    """What holds within a group: `place` is where its text goes, "" for none; `skip` how many characters stand for one
    in Unicode that went before.
    """

    place: str = "body"
    font: int | None = None
    skip: int = 1
    is_hidden: bool = False
    in_fonts: bool = False
    in_picture: bool = False


class _Document:
    """A document that is being read, token by token."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self._texts = {place: TextOfPage() for place in ("body", "notes", "edges")}
        self._state = _State()
        self._outer: list[_State] = []
        self._encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font_described = self._default_font = 0
        self._bytes: list[bytes] = []
        self._to_skip = 0
        self._may_be_passed_over = False
        self._number: int | None = None
        self._pictures: list[Picture] = []
        # The picture that is being read: its bytes as digits, and what it is.
        self._digits: list[bytes] = []
        self._ending = ""

    def read(self, data: bytes) -> None:
        """Raises UnreadableFile where it breaks off, nests too deeply or goes on too long; what came before is kept."""
        place = tokens = 0
        while (token := _TOKEN.match(data, place)) is not None:
            place = token.end()
            tokens += 1
            if tokens > _MOST_TOKENS:
                raise UnreadableFile(f"more than {_MOST_TOKENS:,} signs")
            word, argument, code, symbol, brace, text = token.groups()
            if text is not None:
                self._characters(text)
            elif code is not None:
                self._characters(bytes([int(code, 16)]))
            elif brace is not None:
                self._brace(brace)
                if not self._outer:
                    break  # what stands behind the document is none of it
            elif symbol is not None:
                self._symbol(symbol)
            elif word is not None:
                number = None if argument is None else int(argument)
                if word == b"bin":
                    begins, place = place, place + max(0, number or 0)
                    if self._state.in_picture:
                        self._digits.append(data[begins:place].hex().encode())
                else:
                    self._word(word.decode("ascii"), number)
        self._flush()
        if self._outer:
            raise UnreadableFile("truncated")

    def _characters(self, text: bytes) -> None:
        skipped = min(self._to_skip, len(text))
        self._to_skip -= skipped
        if self._state.in_picture:
            self._digits.append(text)
        elif self._state.place and not self._state.is_hidden:
            self._bytes.append(text[skipped:])

    def _brace(self, brace: bytes) -> None:
        self._flush()
        self._to_skip = 0
        self._may_be_passed_over = False
        if brace == b"{":
            if len(self._outer) >= _DEEPEST:
                raise UnreadableFile("nested too deeply")
            self._outer.append(self._state)
        elif self._outer:
            before, self._state = self._state, self._outer.pop()
            if before.in_picture and not self._state.in_picture:
                self._picture_ends()
            if before.place != self._state.place and before.place in ("notes", "edges"):
                self._texts[before.place].add("\n")

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._may_be_passed_over = True
        elif symbol in _SYMBOLS:
            self._add(_SYMBOLS[symbol])

    def _word(self, word: str, number: int | None) -> None:
        may_be_passed_over, self._may_be_passed_over = self._may_be_passed_over, False
        if word == "u":
            self._add(chr((number or 0) & 0xFFFF))
            self._to_skip = self._state.skip
            return
        self._flush()
        if word in _NOT_SEEN or (may_be_passed_over and word not in _SEEN):
            self._state = replace(self._state, place="", in_fonts=word == "fonttbl")
        elif word in _EDGES and self._state.place:
            self._state = replace(self._state, place="edges")
        elif word in _NOTES and self._state.place:
            self._state = replace(self._state, place="notes")
        elif word == "pict" and self._state.place:
            self._state = replace(self._state, place="", in_picture=True)
        elif word in _PICTURES and self._state.in_picture:
            self._ending = _PICTURES[word]
        elif word == "ud":
            self._state = replace(self._state, place="body")
        elif word == "page":
            self._page_ends()
        elif word in _SIGNS:
            self._add(_SIGNS[word])
        else:
            self._property(word, number)

    def _property(self, word: str, number: int | None) -> None:
        """What changes how characters that come are taken."""
        state = self._state
        if word == "uc":
            self._state = replace(state, skip=min(max(number or 0, 0), 9))
        elif word in ("v", "deleted"):
            self._state = replace(state, is_hidden=number != 0)
        elif word == "plain":
            self._state = replace(state, is_hidden=False)
        elif word == "f":
            self._font_described = number or 0
            self._state = replace(state, font=number)
        elif word == "deff":
            self._default_font = number or 0
        elif word == "fcharset" and state.in_fonts:
            if (encoding := _OF_CHARSETS.get(number or 0)) is not None:
                self._fonts[self._font_described] = encoding
        elif word == "ansicpg" and number is not None:
            self._encoding = _known(f"cp{number}") or self._encoding
        elif word in _CODE_PAGES:
            self._encoding = _CODE_PAGES[word]

    def _flush(self) -> None:
        """Bytes of several tokens may be one character."""
        if self._bytes:
            data = b"".join(self._bytes)
            self._bytes.clear()
            font = self._default_font if self._state.font is None else self._state.font
            self._put(data.decode(self._fonts.get(font, self._encoding), "replace"))

    def _add(self, characters: str) -> None:
        self._flush()
        if not self._state.is_hidden:
            self._put(characters)

    def _put(self, characters: str) -> None:
        if self._state.place:
            self._texts[self._state.place].add(characters)

    def _picture_ends(self) -> None:
        digits, ending = b"".join(self._digits), self._ending
        self._digits, self._ending = [], ""
        if ending:
            name = f"picture{len(self._pictures)}-{self._number or 1}{ending}"
            self._pictures.append(Picture(name, partial(_from_digits, digits)))

    def _page_ends(self) -> None:
        self.finish_page()
        self._number = (self._number or 1) + 1

    def finish_page(self) -> None:
        """Ends a page, with its notes below."""
        text = "\n\n".join(self._texts[place].take() for place in ("body", "notes"))
        self.pages.append(Page(tidied(_whole(text)), self._number, pictures=tuple(self._pictures)))
        self._pictures = []

    def finish(self) -> list[Page]:
        """The pages; they have numbers where a person has set where one ends. Headers and footers, each line once."""
        self.finish_page()
        if len(self.pages) > 1:
            self.pages[0] = replace(self.pages[0], number=1)
        lines = dict.fromkeys(_whole(self._texts["edges"].take()).split("\n"))
        return [*self.pages, Page(tidied("\n".join(lines)), name="header and footer")]


def _whole(text: str) -> str:
    """With each pair of surrogates, which RTF writes as two characters, as the one that it stands for."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _from_digits(digits: bytes) -> bytes:
    digits = b"".join(digits.split())
    try:
        return bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    except ValueError:
        raise UnreadableFile("damaged picture") from None


def _known(encoding: str) -> str | None:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return {"cp10000": "mac_roman", "cp65001": "utf-8"}.get(encoding)


def read_rich_text(file: OpenFile, side: int) -> Reading:
    """The text of the document, by page where the ends of pages were set.

    Raises UnreadableFile as `document.read_document` does.
    """
    limit = file.limits.max_member_bytes
    if file.size > limit:
        raise UnreadableFile(f"RTF of {file.size:,} bytes, over the limit of {limit:,}")

    def pages(trouble: list[str]) -> Iterator[Page]:
        file.stream.seek(0)
        document = _Document()
        try:
            document.read(file.stream.read().lstrip())
        except UnreadableFile as error:
            trouble.append(error.reason)
        yield from document.finish()

    return reading_of(file, side, pages)
