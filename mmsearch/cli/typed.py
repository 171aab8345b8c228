"""What is typed as a query → its terms."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

from mmsearch.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from mmsearch.searching.query import Term

BETWEEN_TERMS = "+"
FROM_STDIN = "-"
_STDIN = (FROM_STDIN, "/dev/stdin")
_PIPES = ("/dev/fd/", "/proc/self/fd/")
_BLOCK_BYTES = 1 << 20


def terms_of_words(words: Sequence[str]) -> Iterator[Term]:
    """Bare words are one text, as they would be if they were quoted; a word `+` begins another term.

    A word that is the path of a picture is a term of its own. A single `-` stands for the text on stdin.

    Raises:
        Invalid: there is nothing before or after a `+`, or what comes from stdin is no text.
    """
    from mmsearch.searching.query import image_term, names_picture, text_terms

    if list(words) == [FROM_STDIN]:
        piped = sys.stdin.buffer.read()
        if b"\0" in piped:
            raise Invalid("What comes from stdin is no text; a picture is taken from there by --image -.")
        yield from text_terms(piped.decode("utf-8", "replace").strip())
        return
    groups = [list(group) for is_between, group in groupby(words, BETWEEN_TERMS.__eq__) if not is_between]
    if words and len(groups) != list(words).count(BETWEEN_TERMS) + 1:
        raise Invalid("There is nothing to look for on one side of a +; put a text or a picture on both.")
    for group in groups:
        together = " ".join(group)
        parts = groupby(group if not names_picture(together) else [together], names_picture)
        for is_picture, some in parts:
            if is_picture:
                yield from (image_term(word) for word in some)
            else:
                yield from text_terms(" ".join(some))


def notes_on_files(words: Sequence[str], found: Collection[str]) -> Iterator[str]:
    """What is to be said of words that look like the path of a file and were looked for as words all the same.

    Nothing of the name of a file that is among those that were found.
    """
    dotted = [word for word in words if "." in word]
    if not dotted:
        return
    from mmsearch.cli.installing import in_shell
    from mmsearch.output import visible
    from mmsearch.reading import medium_of
    from mmsearch.searching.query import names_picture

    names = {os.path.basename(path) for path in found}
    for word in dotted:
        medium = medium_of(os.fsencode(word))
        if medium is None or os.path.basename(word) in names or names_picture(word):
            continue
        if os.path.isfile(os.path.expanduser(word)):
            like = f"`mmsearch search --like {in_shell(word)}`"
            yield f"{visible(word)} is no picture, and its name was looked for; {like} finds what is like that file."
        elif medium == "image" or os.sep in word:
            yield f"there is no file {visible(word)} here, and its name was looked for."


@contextmanager
def pictures_from_pipes() -> Iterator[Callable[[str], str]]:
    """Within the block what it gives puts a picture that comes through a pipe (`-`, `/dev/stdin`, `/dev/fd/63`) into a
    file, and gives `file` or `weight:file` for what was typed; all else it gives back as it is.

    Raises:
        Invalid: nothing comes through the pipe, or more than is read of a picture.
    """
    from mmsearch.searching.query import parse_weight

    with ExitStack() as kept:

        def in_a_file(typed: str) -> str:
            name = parse_weight(typed)[1]
            if os.path.isfile(name) or not (name in _STDIN or name.startswith(_PIPES)):
                return typed
            from tempfile import TemporaryDirectory

            folder = kept.enter_context(TemporaryDirectory(prefix="mmsearch-"))
            path = os.path.join(folder, "stdin" if name in _STDIN else "pipe")
            _copy_pipe(name, path)
            return typed.removesuffix(name) + path

        yield in_a_file


def _copy_pipe(name: str, path: str) -> None:
    from mmsearch.reading import READERS

    if name in _STDIN and sys.stdin.isatty():
        raise Invalid("There is no picture on stdin, which is the terminal; pipe one into it.")
    most = next(reader.max_bytes for reader in READERS if reader.medium == "image")
    size = 0
    try:
        with open(0 if name in _STDIN else name, "rb", closefd=name not in _STDIN) as pipe, open(path, "wb") as file:
            while size <= most and (block := pipe.read(_BLOCK_BYTES)):
                size += file.write(block)
    except OSError as error:
        raise Unavailable(f"The query image {name} cannot be read: {error.strerror}.") from error
    if size == 0:
        raise Invalid(f"Nothing comes through the pipe of the query image {name}; send a picture.")
    if size > most:
        raise Invalid(f"The query image {name} has more than {most:,} bytes.")
