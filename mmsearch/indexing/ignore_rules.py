"""gitignore's patterns: typed by a person, or read from an ignore file, and which of them hold in a folder.

They are matched here rather than by pathspec: its `[[:alpha:]]` and `folder/**` differ from git's, its patterns stop at
a line end inside a name, and some take for ever. A test compares this with git itself.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mmsearch.errors import Invalid
from mmsearch.files.paths import with_parents
from mmsearch.files.regular import open_without_waiting
from mmsearch.files.remote_paths import is_remote
from mmsearch.indexing.globs import Glob, GlobError, parsed_glob
from mmsearch.reading.unpacking import file_bytes

OWN_IGNORE_FILES = (b".mmsearchignore", b".ignore")
GIT_IGNORE_FILE = b".gitignore"
VENV_MARK = b"pyvenv.cfg"
_IGNORE_FILE_LIMIT = 1_000_000
_OWN_IGNORE_FILES = (b".mmsearchignore", b".ignore")
_GIT_IGNORE_FILE = b".gitignore"
_SEP = os.fsencode(os.sep)

# Whose presence in a folder bears on what a walk takes there.
RULING_NAMES = frozenset({*_OWN_IGNORE_FILES, _GIT_IGNORE_FILE, b".git", VENV_MARK})

# Is told of a path what is wrong with it.
Complain = Callable[[bytes, str], None]
# Gives so many bytes of the file at a path; None of what is no file. Raises OSError.
ReadBeginning = Callable[[bytes, int], bytes | None]


@dataclass(frozen=True)
class Line:
    """A pattern, `negated` if a `!` stands before it; for whole paths if it is `anchored`, else for names."""

    negated: bool
    folders_only: bool
    anchored: bool
    glob: Glob


def parsed_line(line: str) -> Line:
    """The pattern that a line of an ignore file is.

    Raises:
        GlobError: it is none.
    """
    negated = line.startswith("!")
    text = line[1:] if negated else line
    folders_only = text.endswith("/")
    text = text[:-1] if folders_only else text
    anchored = "/" in text
    text = text[1:] if text.startswith("/") else text
    if not text:
        raise GlobError("it names nothing")
    return Line(negated, folders_only, anchored, parsed_glob(text))


class Patterns:
    """The patterns of one source, relative to the folder `base`. The last one that matches decides.

    Plain names and paths, and endings (`*.jpg`), are looked up: only what is left is tried one by one.
    """

    def __init__(self, base: bytes, lines: Sequence[Line]) -> None:
        self._said = (base, tuple(lines))
        self._cut = len(base) if base.endswith(_SEP) else len(base) + 1
        self._negated = tuple(line.negated for line in lines)
        # The number of the last pattern for a name; for a path behind a slash; for a folder with one at the end.
        self._plain: dict[str, int] = {}
        self._endings: dict[str, int] = {}
        self._others: list[tuple[int, Line]] = []
        for number, line in enumerate(lines):
            plain = line.glob.literal
            ending = None if line.anchored or line.folders_only else line.glob.last.ending
            if plain is not None:
                self._plain[f"{'/' * line.anchored}{plain}{'/' * line.folders_only}"] = number
            elif ending is not None:
                self._endings[ending] = number
            else:
                self._others.append((number, line))
        self._others.reverse()
        self._ending_lengths = sorted({len(ending) for ending in self._endings})

    @cached_property
    def mark(self) -> str:
        """What tells these patterns from others."""
        return hashlib.blake2b(repr(self._said).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()

    @property
    def tried_one_by_one(self) -> int:
        """How many patterns are neither plain nor an ending."""
        return len(self._others)

    def verdict(self, path: bytes, is_folder: bool) -> bool | None:
        """True where a pattern matches, False where a `!` pattern does, None where none does."""
        within = os.fsdecode(path[self._cut :])
        if os.sep != "/":
            within = within.replace(os.sep, "/")
        names = within.split("/")
        name = names[-1]
        plain = (name, f"/{within}", *((f"{name}/", f"/{within}/") if is_folder else ()))
        last = max(self._plain.get(key, -1) for key in plain)
        for length in self._ending_lengths:
            if length <= len(name):
                last = max(last, self._endings.get(name[len(name) - length :], -1))
        for number, line in self._others:
            if number < last:
                break
            if line.folders_only and not is_folder:
                continue
            if line.glob.matches(names) if line.anchored else line.glob.last.matches(name):
                last = number
                break
        return None if last < 0 else not self._negated[last]


def typed_patterns(base: bytes, patterns: tuple[str, ...], option: str) -> Patterns | None:
    """The patterns that a person has given as `option`, "include" or "exclude".

    Raises:
        Invalid: one of them is none.
    """
    return Patterns(base, [_typed_line(pattern, option) for pattern in patterns]) if patterns else None


def _typed_line(pattern: str, option: str) -> Line:
    try:
        return parsed_line(pattern)
    except GlobError as error:
        raise Invalid(
            f"The {option} pattern {pattern!r} is not one: {error}; write it as a line of a .gitignore file."
        ) from None


def _without_end_spaces(line: str) -> str:
    stripped = line.rstrip(" ")
    escapes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if escapes % 2 and len(line) > len(stripped) else stripped


def read_ignore_file(folder: bytes, name: bytes, complain: Complain, read: ReadBeginning) -> Patterns | None:
    path = os.path.join(folder, name)
    try:
        content = read(path, _IGNORE_FILE_LIMIT + 1)
        if content is None:
            return None
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        complain(path, f"ignore file not read: {reason_of(error)}")
        return None
    if len(content) > _IGNORE_FILE_LIMIT:  # the rest of a line would be another pattern, that may match more
        content = content[: content.rfind(b"\n", 0, _IGNORE_FILE_LIMIT) + 1]
        obeyed = content.count(b"\n")
        complain(path, f"ignore file over {_IGNORE_FILE_LIMIT:,} bytes, its first {obeyed:,} lines are obeyed")
    lines = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        line = _without_end_spaces(os.fsdecode(raw.removesuffix(b"\r")))
        if not line or line.startswith("#") or line == "/":
            continue
        try:
            lines.append(parsed_line(line))
        except GlobError as error:
            complain(path, f"line {number} is not a pattern: {error}")
    return Patterns(folder, lines) if lines else None


def _beginning(path: bytes, count: int) -> bytes | None:
    """So many bytes of a regular file; None of anything else. Raises OSError."""
    if is_remote(path):
        return file_bytes(path, count)
    with open(path, "rb", opener=open_without_waiting) as file:
        return file.read(count) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None


def reason_of(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


@dataclass(frozen=True)
class Scope:
    """What holds inside one folder. Each chain of patterns is deepest first."""

    own: tuple[tuple[Patterns, ...], ...] = ((), ())
    git: tuple[Patterns, ...] = ()
    in_git: bool = False
    included: bool = True
    chain: tuple[Patterns, ...] = field(init=False)

    def __post_init__(self) -> None:
        # As in ripgrep, a tool's own ignore file outranks git's at any depth.
        object.__setattr__(self, "chain", (*self.own[0], *self.own[1], *self.git))

    def inside(self, folder: bytes, names: set[bytes], complain: Complain, read: ReadBeginning = _beginning) -> Scope:
        """This scope with the ignore files of `folder`, which holds `names` and whose files `read` gives; `complain` is
        told what is wrong there.
        """
        own = list(self.own)
        git, in_git = self.git, self.in_git
        for rank, name in enumerate(_OWN_IGNORE_FILES):
            if name in names and (patterns := read_ignore_file(folder, name, complain, read)):
                own[rank] = (patterns, *own[rank])
        if b".git" in names:
            git, in_git = (), True
        if in_git and _GIT_IGNORE_FILE in names:
            found = read_ignore_file(folder, _GIT_IGNORE_FILE, complain, read)
            git = (found, *git) if found else git
        return replace(self, own=tuple(own), git=git, in_git=in_git)


def scope_above(folder: bytes, complain: Complain) -> Scope:
    """What the folders above `folder` say, from the topmost down."""
    scope = Scope()
    for parent in reversed(list(with_parents(folder))[1:]):
        wanted = (*_OWN_IGNORE_FILES, _GIT_IGNORE_FILE, b".git")
        names = {name for name in wanted if os.path.lexists(os.path.join(parent, name))}
        scope = scope.inside(parent, names, complain) if names else scope
    return scope
