"""A text file → its words, line ends as "\\n"."""

from __future__ import annotations

from mmsearch.reading.html_text import blank_markup
from mmsearch.reading.noise import blank_noise
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reader, Reading, UnreadableFile
from mmsearch.reading.text_encoding import NotText, decode_text, looks_like_text
from mmsearch.records import FileFacts, Part

_PROSE = ".txt .text .md .markdown .mdown .mkd .rst .adoc .asciidoc .org .tex .bib .textile .wiki .rmd .qmd"
_WEB = ".html .htm .xhtml .css .scss .sass .less .xml .xsl .xslt .rss .atom .opml .vue .svelte"
_DATA = (
    ".csv .tsv .json .jsonl .ndjson .json5 .geojson .yaml .yml .toml .ini .cfg .conf .properties .env"
    " .log .srt .vtt .ass .lrc .vcf .ics .po .pot .plist .gpx .kml .diff .patch .desktop"
    " .service"
)
_CODE = (
    ".py .pyi .pyx .js .mjs .cjs .jsx .ts .tsx .c .h .cc .cpp .cxx .hh .hpp .hxx .m .mm .cs .fs .vb"
    " .java .kt .kts .scala .groovy .gradle .clj .cljs .go .rs .zig .nim .d .swift .dart .rb .php .pl"
    " .pm .lua .r .jl .hs .ml .mli .elm .ex .exs .erl .lisp .el .scm .rkt .f .f90 .f95 .for .pas .ada"
    " .adb .ads .asm .s .v .sv .vhd .vhdl .sh .bash .zsh .fish .ps1 .psm1 .bat .cmd .awk .sed .vim .sql"
    " .graphql .proto .cmake .mk .mak .ninja .bzl .nix .tf .dockerfile .gd .glsl .hlsl .wgsl .cu .cl"
    " .tcl .sol"
)
# Not .eml, .mbox, .mht and .ipynb: most of such a file is no word that a person wrote, but headers, base64 and JSON.
_EXTENSIONS = frozenset(f"{_PROSE} {_WEB} {_DATA} {_CODE}".split())
_MARKUP_EXTENSIONS = frozenset({".html", ".htm", ".xhtml"})
# How the same bytes are read under the names of subtitles and lyrics, and under those of calendars and cards.
_SUBTITLES = {".srt": 5, ".vtt": 6, ".lrc": 7}
_CARDS = {".ics": 8, ".vcf": 8}
_CALENDARS = (".ics",)
# The version of calendars that knew of none when its event is: to it those of many are what they are today.
BEFORE_BEGINS = 3


def read_text(file: OpenFile, side: int) -> Reading:
    """The text in the file, one part, or of subtitles those that have times, and of calendars and cards each event and
    card; `side` means nothing here.

    The markup of web pages, and what is no language, is blanked: offsets stay.

    Raises UnreadableFile for binary data, unknown encodings and files without a word.
    """
    try:
        text, encoding = decode_text(file.stream.read())
    except NotText as error:
        raise UnreadableFile(str(error)) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if file.extension in _SUBTITLES:
        from mmsearch.reading.subtitles import parts_of_subtitles

        if parts := parts_of_subtitles(text, file.extension):
            return Reading(FileFacts(encoding=encoding), parts)
    if file.extension in _CARDS:
        from mmsearch.reading.cards import read_cards

        parts, begins = read_cards(text)
        if parts:
            since = BEFORE_BEGINS if file.extension in _CALENDARS and begins is None else None
            return Reading(FileFacts(encoding=encoding, taken=begins), parts, since=since)
    if file.extension in _MARKUP_EXTENSIONS:
        text = blank_markup(text)
    text = blank_noise(text)
    if not text or text.isspace():
        raise UnreadableFile("no text inside")
    return Reading(FileFacts(encoding=encoding), (Part("text", text),))


def _is_surely_text(head: bytes) -> bool:
    return False  # no first bytes rule out that a film or an archive begins so


def _may_be_text(head: bytes, extension: str) -> bool:
    return looks_like_text(head)


def _way_of_reading(extension: str) -> int:
    return (_SUBTITLES | _CARDS).get(extension, int(extension in _MARKUP_EXTENSIONS))


def _not_text(head: bytes) -> str:
    return "binary data in a text file"


READER = Reader(
    medium="text",
    version=2,
    extensions=_EXTENSIONS,
    is_surely=_is_surely_text,
    may_be=_may_be_text,
    mismatch=_not_text,
    versions=dict.fromkeys(_SUBTITLES | _CARDS, 3) | dict.fromkeys(_CALENDARS, 4),
    way_of_reading=_way_of_reading,
    max_bytes=10_000_000,
    read=read_text,
)
