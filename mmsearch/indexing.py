"""The pipeline: walk, read, encode, store.

A walk compares each file's size and modification time with the catalogue. What differs is read whole and hashed
by a few worker threads, each of which decodes and encodes its own batch; a content that is known under another
name is not encoded again. The main thread stores each finished batch in one transaction.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from mmsearch.catalogue import Catalogue, EncodedContent, EncodedItem, Root
from mmsearch.encoding import Encoder
from mmsearch.filter_sql import is_below
from mmsearch.items import ImageContent, TextContent
from mmsearch.reading import (
    FileReading,
    NotAMedium,
    ReadLimits,
    UnreadableFile,
    decode,
    load,
    medium_of,
    wants_sniffing,
)
from mmsearch.walking import FoundFile, WalkProblem, WalkRules, walk

BATCH_FILES = 8
TEXTS_AT_ONCE = 16


@dataclass(frozen=True)
class IndexProgress:
    """How far a run is: `total` is None while the walk goes on, and then the number of files to be read."""

    found: int
    done: int
    total: int | None
    failed: int


@dataclass
class IndexReport:
    """What one run did with `model` (name and revision), counted in files.

    `moved` counts files whose content was known under another name; `failed` those that could not be read in this
    run, `failing` those that could not be read before and have not changed since; `others` those of kinds that
    are not searched. `problems` are folders and special files that the walk could not take, `offline` roots that
    are missing or suddenly empty and were left as they are. `resumed` tells that the run before was cut off.
    """

    model: str
    added: int = 0
    updated: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    failing: int = 0
    others: int = 0
    seconds: float = 0.0
    resumed: bool = False
    failures: list[tuple[bytes, str]] = field(default_factory=list)
    problems: list[WalkProblem] = field(default_factory=list)
    offline: list[bytes] = field(default_factory=list)

    @property
    def files(self) -> int:
        """Files of these roots that are searchable now."""
        return self.added + self.updated + self.moved + self.unchanged


@dataclass(frozen=True)
class _Candidate:
    root_id: int
    file: FoundFile
    known: bool


@dataclass
class _Seen:
    """What the walk of one root came upon: ids of known files and failures, and what is to be stored of it."""

    files: set[int] = field(default_factory=set)
    failures: set[int] = field(default_factory=set)
    candidates: list[_Candidate] = field(default_factory=list)
    taken_over: list[int] = field(default_factory=list)
    unreadable: list[bytes] = field(default_factory=list)
    new_problems: list[WalkProblem] = field(default_factory=list)


@dataclass(frozen=True)
class _Outcome:
    """What became of one candidate: `content_id`, `content` or `reason` is set, or none: it is of another kind."""

    candidate: _Candidate
    size: int
    mtime_ns: int
    content_id: int | None = None
    content: EncodedContent | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Picture:
    """A decoded picture that waits for its batch; the file's bytes are let go of."""

    candidate: _Candidate
    reading: FileReading
    content: ImageContent

    def outcome(self, item: EncodedItem) -> _Outcome:
        reading, content = self.reading, self.content
        encoded = EncodedContent(
            reading.digest, "image", reading.size, (item,), content.width, content.height, content.taken
        )
        return _Outcome(self.candidate, reading.size, reading.mtime_ns, content=encoded)


class _Stopped(Exception):
    """The run is being ended; the batch in work is given up."""


class Indexer:
    """One run over some roots. The caller holds the writer's lock."""

    def __init__(
        self,
        catalogue: Catalogue,
        reader: Catalogue,
        model_id: int,
        encoder: Encoder,
        limits: ReadLimits,
        workers: int,
        on_progress: Callable[[IndexProgress], None],
    ) -> None:
        self._catalogue = catalogue
        self._reader = reader
        self._reading = threading.Lock()
        self._model_id = model_id
        self._encoder = encoder
        self._limits = limits
        self._workers = workers
        self._on_progress = on_progress
        self._stop = threading.Event()
        self._found = 0
        self._changed: set[int] = set()
        self.report = IndexReport(encoder.identity.label)

    def run(self, roots: Sequence[tuple[Root, WalkRules]]) -> IndexReport:
        """Brings the library up to date with the files under `roots`.

        What is committed stays when this is interrupted; the next run goes on from there.
        """
        started = time.monotonic()
        self.report.resumed = self._catalogue.setting("interrupted") is not None
        unencoded = self._catalogue.files_without_items(self._model_id)
        # Innermost first: a root within another takes over its files before the outer one looks for them.
        inwards = sorted(roots, key=lambda pair: len(pair[0].path), reverse=True)
        candidates = [candidate for root, rules in inwards for candidate in self._walk_root(root, rules, unencoded)]
        if candidates:
            with self._catalogue.transaction():
                self._catalogue.set_setting("interrupted", "1")
            self._take(candidates)
        self._finish()
        self.report.seconds = time.monotonic() - started
        return self.report

    # The walk

    def _walk_root(self, root: Root, rules: WalkRules, unencoded: set[int]) -> list[_Candidate]:
        if _is_empty_folder(root.path) and self._catalogue.files_in_root(root.id):
            self.report.offline.append(root.path)
            return []
        seen = _Seen()
        inner = [
            other.path for other in self._catalogue.roots() if other.id != root.id and is_below(other.path, root.path)
        ]
        for entry in walk(root.path, rules):
            # A root within this one has rules of its own, and is walked by itself.
            if inner and any(is_below(entry.path, folder) for folder in inner):
                continue
            if isinstance(entry, WalkProblem):
                self._see_problem(entry, seen)
            elif medium_of(entry.path) or wants_sniffing(entry.path) or entry.path == root.path:
                self._see_file(root, entry, unencoded, seen)
            else:
                self.report.others += 1
        self._store_walk(root, seen)
        return seen.candidates

    def _see_file(self, root: Root, file: FoundFile, unencoded: set[int], seen: _Seen) -> None:
        self._found += 1
        self._tell(0, None)
        known = self._catalogue.file_at(file.path)
        if known is None:
            seen.candidates.append(_Candidate(root.id, file, known=False))
            return
        (seen.failures if known.failed else seen.files).add(known.id)
        same = (known.size, known.mtime_ns) == (file.size, file.mtime_ns)
        if same and known.failed:
            self.report.failing += 1
        elif same and known.id not in unencoded:
            self.report.unchanged += 1
            if known.root_id != root.id:
                seen.taken_over.append(known.id)
        else:
            seen.candidates.append(_Candidate(root.id, file, known=not known.failed))

    def _see_problem(self, problem: WalkProblem, seen: _Seen) -> None:
        self.report.problems.append(problem)
        seen.unreadable.append(problem.path)
        known = self._catalogue.file_at(problem.path)
        if known is not None and known.failed:
            seen.failures.add(known.id)
        else:
            seen.new_problems.append(problem)

    def _store_walk(self, root: Root, seen: _Seen) -> None:
        """Drops the root's files that are gone; those below what could not be read may only be out of reach."""
        gone = _missing(self._catalogue.files_of_root(root.id), seen.files, seen.unreadable)
        forgotten = _missing(self._catalogue.failures_of_root(root.id), seen.failures, seen.unreadable)
        if gone or forgotten or seen.taken_over or seen.new_problems:
            with self._catalogue.transaction():
                self._catalogue.remove_files(gone)
                self._catalogue.remove_failures(forgotten)
                for file_id in seen.taken_over:
                    self._catalogue.give_file_to(file_id, root.id)
                for problem in seen.new_problems:
                    self._catalogue.note_failure(root.id, problem.path, 0, 0, problem.reason)
        if gone:
            self._changed.add(root.id)
        self.report.removed += len(gone)

    # Reading and encoding, in worker threads

    def _take(self, candidates: Sequence[_Candidate]) -> None:
        batches = _batches(candidates)
        done = 0
        self._tell(done, len(candidates))
        executor = ThreadPoolExecutor(self._workers, thread_name_prefix="encode")
        running: set[Future[list[_Outcome]]] = set()
        try:
            while True:
                while len(running) < 2 * self._workers and (batch := next(batches, None)) is not None:
                    running.add(executor.submit(self._encode_batch, batch))
                if not running:
                    break
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    outcomes = future.result()
                    self._store(outcomes)
                    done += len(outcomes)
                    self._tell(done, len(candidates))
        finally:
            self._stop.set()
            executor.shutdown(wait=True, cancel_futures=True)

    def _encode_batch(self, batch: Sequence[_Candidate]) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        pictures: list[_Picture] = []
        for candidate in batch:
            if self._stop.is_set():
                raise _Stopped
            try:
                loaded = load(candidate.file.path, self._limits)
                with self._reading:
                    content_id = self._reader.content_with_items(loaded.digest, self._model_id)
                if content_id is not None:
                    outcomes.append(_Outcome(candidate, loaded.size, loaded.mtime_ns, content_id=content_id))
                    continue
                content = decode(loaded, self._encoder.image_side)
                if isinstance(content, ImageContent):
                    pictures.append(_Picture(candidate, loaded.reading, content))
                else:
                    outcomes.append(self._encode_text(candidate, loaded.reading, content))
            except NotAMedium:
                outcomes.append(_Outcome(candidate, candidate.file.size, candidate.file.mtime_ns))
            except UnreadableFile as error:
                outcomes.append(_failed(candidate, error.reason))
            except MemoryError:
                outcomes.append(_failed(candidate, "too large for this machine's memory"))
        return outcomes + self._encode_pictures(pictures)

    def _encode_pictures(self, pictures: Sequence[_Picture]) -> list[_Outcome]:
        if not pictures:
            return []
        try:
            rows = self._encoder.encode_images([picture.content.pixels for picture in pictures])
        except Exception as error:
            if len(pictures) == 1:
                return [_failed(pictures[0].candidate, f"the model could not encode it: {error}")]
            return [outcome for picture in pictures for outcome in self._encode_pictures([picture])]
        return [picture.outcome(EncodedItem("image", row)) for picture, row in zip(pictures, rows, strict=True)]

    def _encode_text(self, candidate: _Candidate, reading: FileReading, content: TextContent) -> _Outcome:
        try:
            items = tuple(self._text_items(content.text))
        except _Stopped:
            raise
        except Exception as error:
            return _failed(candidate, f"the model could not encode it: {error}")
        if not items:
            return _failed(candidate, "no words inside")
        encoded = EncodedContent(reading.digest, "text", reading.size, items, encoding=content.encoding)
        return _Outcome(candidate, reading.size, reading.mtime_ns, content=encoded)

    def _text_items(self, text: str) -> Iterator[EncodedItem]:
        spans = self._encoder.windows(text)
        line, counted = 1, 0
        for first in range(0, len(spans), TEXTS_AT_ONCE):
            if self._stop.is_set():
                raise _Stopped
            group = spans[first : first + TEXTS_AT_ONCE]
            texts = [text[span.start : span.end] for span in group]
            rows = self._encoder.encode_texts(texts)
            for span, stretch, row in zip(group, texts, rows, strict=True):
                line += text.count("\n", counted, span.start)
                counted = span.start
                yield EncodedItem("text", row, span.start, span.end, line, stretch)

    # Storing, in the main thread

    def _store(self, outcomes: Sequence[_Outcome]) -> None:
        with self._catalogue.transaction():
            for outcome in outcomes:
                self._store_one(outcome)

    def _store_one(self, outcome: _Outcome) -> None:
        candidate, report = outcome.candidate, self.report
        path = candidate.file.path
        self._changed.add(candidate.root_id)
        if outcome.reason is not None:
            self._catalogue.note_failure(candidate.root_id, path, outcome.size, outcome.mtime_ns, outcome.reason)
            report.failed += 1
            report.failures.append((path, outcome.reason))
            return
        content_id = outcome.content_id
        if outcome.content is not None:
            content_id = self._catalogue.add_content(self._model_id, outcome.content)
        if content_id is None:
            self._catalogue.remove_path(path)
            report.others += 1
            report.removed += candidate.known
            return
        self._catalogue.put_file(candidate.root_id, path, outcome.size, outcome.mtime_ns, content_id)
        if candidate.known:
            report.updated += 1
        elif outcome.content is None:
            report.moved += 1
        else:
            report.added += 1

    def _finish(self) -> None:
        with self._catalogue.transaction():
            self._catalogue.remove_orphans()
            self._catalogue.remove_setting("interrupted")
            self._catalogue.mark_changed(self._changed)

    def _tell(self, done: int, total: int | None) -> None:
        self._on_progress(IndexProgress(self._found, done, total, self.report.failed))


def _batches(candidates: Sequence[_Candidate]) -> Iterator[Sequence[_Candidate]]:
    for first in range(0, len(candidates), BATCH_FILES):
        yield candidates[first : first + BATCH_FILES]


def _is_empty_folder(path: bytes) -> bool:
    """Whether it is a folder without any entry: where a drive is not mounted."""
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _missing(known: Iterable[tuple[int, bytes]], seen: set[int], unreadable: Sequence[bytes]) -> list[int]:
    return [
        number
        for number, path in known
        if number not in seen and not any(is_below(path, folder) for folder in unreadable)
    ]


def _failed(candidate: _Candidate, reason: str) -> _Outcome:
    # The size and time seen by the walk: a file that changed while it was read is tried again by the next run.
    return _Outcome(candidate, candidate.file.size, candidate.file.mtime_ns, reason=reason)
