"""The pipeline: walk, read, encode, store.

A walk compares each file's size and modification time with the catalogue. What differs is read whole and hashed
by a few worker threads, each of which decodes and encodes its own batch; a content that is known under another
name is not encoded again. The main thread stores each finished batch in one transaction.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import MmsearchError
from mmsearch.files.crash_points import crash_point
from mmsearch.files.paths import with_parents
from mmsearch.indexing.journal import InFlight, fatal_files
from mmsearch.indexing.reconciling import Candidate, RootChanges, compare_root, is_gone, settle_gone
from mmsearch.indexing.report import Absence, FailedFile, IndexReport
from mmsearch.indexing.walking import WalkRules
from mmsearch.reading import FileReading, NotAMedium, ReadLimits, UnreachableFile, UnreadableFile, decode, load
from mmsearch.records import EncodedContent, EncodedItem, ImageContent, Root, TextContent
from mmsearch.store.models import files_lacking, note_caught_up
from mmsearch.store.sqlite.store import Catalogue

# How long a stop waits for the pictures in work.
DRAIN_SECONDS = 1.2
TEXTS_AT_ONCE = 16
_COULD_NOT = "the model could not encode it"


@dataclass(frozen=True)
class IndexProgress:
    """How far a run is: `total` is None while the walk goes on, and then the number of files to be read."""

    found: int
    done: int
    total: int | None
    failed: int


@dataclass(frozen=True)
class _Outcome:
    """What became of one candidate: `content_id`, `content` or `reason` is set, or none: it is of another kind.

    `out_of_reach` tells that the system would not give it: nothing is known of its content. `not_encoded` tells that it
    could be read, with that `digest`, and that the model failed at it.
    """

    candidate: Candidate
    size: int
    mtime_ns: int
    content_id: int | None = None
    content: EncodedContent | None = None
    reason: str | None = None
    out_of_reach: bool = False
    not_encoded: bool = False
    digest: bytes | None = None


@dataclass(frozen=True)
class _Picture:
    """A decoded picture that waits for its batch; the file's bytes are let go of."""

    candidate: Candidate
    reading: FileReading
    content: ImageContent

    def outcome(self, item: EncodedItem) -> _Outcome:
        reading, content = self.reading, self.content
        encoded = EncodedContent(
            reading.digest, "image", reading.size, (item,), content.width, content.height, content.taken
        )
        return _Outcome(self.candidate, reading.size, reading.mtime_ns, content=encoded)


class _Stopped(Exception):
    """The run is being ended; the long text in work is given up."""


class Indexer:
    """One run over some roots. The caller holds the writer's lock.

    A run that is not the last one of a command keeps contents that files have let go of: another one may find them.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        reader: Catalogue,
        model_id: int,
        encoder: Encoder,
        limits: ReadLimits,
        workers: int,
        in_flight: InFlight,
        on_progress: Callable[[IndexProgress], None],
        is_last: bool = True,
    ) -> None:
        self._catalogue = catalogue
        self._reader = reader
        self._reading = threading.Lock()
        self._model_id = model_id
        self._encoder = encoder
        self._limits = limits
        self._workers = workers
        self._in_flight = in_flight
        self._on_progress = on_progress
        self._is_last = is_last
        self._stop = threading.Event()
        self._found = 0
        self._changed: set[int] = set()
        self._new_contents: set[int] = set()
        self.report = IndexReport(model=encoder.identity.label)

    def run(self, roots: Sequence[tuple[Root, WalkRules]]) -> IndexReport:
        """Brings the library up to date with the files under `roots`.

        What is committed stays when this is interrupted; the next run goes on from there.
        """
        started = time.monotonic()
        self.report.resumed = self._catalogue.setting("interrupted") is not None
        unencoded = files_lacking(self._catalogue, self._model_id)
        # Innermost first: a root within another takes over its files before the outer one looks for them.
        inwards = sorted(roots, key=lambda pair: len(pair[0].path), reverse=True)
        changes = [self._walk_root(root, rules, unencoded) for root, rules in inwards]
        candidates = [candidate for one in changes for candidate in one.candidates]
        if candidates:
            with self._catalogue.transaction():
                self._catalogue.set_setting("interrupted", "1")
            crash_point("run begun")
        if candidates or self._in_flight.is_left:
            suspects = self._in_flight.suspects()
            here = {root.path for root, _ in roots}
            others = {root.path for root in self._catalogue.roots()} - here
            elsewhere = [
                path
                for path in suspects
                if here.isdisjoint(with_parents(path)) and not others.isdisjoint(with_parents(path))
            ]
            self._read_all(candidates, suspects, elsewhere)
        self._finish(changes)
        self.report.seconds = time.monotonic() - started
        return self.report

    def _walk_root(self, root: Root, rules: WalkRules, unencoded: set[int]) -> RootChanges:
        changes = compare_root(self._catalogue, root, rules, self._model_id, unencoded, self._count_files)
        self.report.offline += changes.offline
        self.report.problems += changes.problems
        self.report.unchanged += changes.unchanged
        self.report.failing += changes.failing
        self.report.others += changes.others
        return changes

    def _count_files(self, more: int) -> None:
        self._found += more
        self._tell(0, None)

    def _read_all(self, candidates: Sequence[Candidate], suspects: set[bytes], elsewhere: Sequence[bytes]) -> None:
        """Reads, encodes and stores the candidates: what the run before was killed over first, one file at a time."""
        candidates = self._without_fatal_files(candidates, suspects)
        self._in_flight.start(elsewhere)
        try:
            # Together they may be larger than memory.
            self._take([one for one in candidates if one.file.path in suspects], workers=1, at_once=1)
            others = [one for one in candidates if one.file.path not in suspects]
            self._take(others, self._workers, self._encoder.pictures_at_once)
        finally:
            self._in_flight.finish()

    def _without_fatal_files(self, candidates: Sequence[Candidate], suspects: set[bytes]) -> list[Candidate]:
        """Notes the files among the candidates that ended the run before."""
        suspected = [candidate.file.path for candidate in candidates if candidate.file.path in suspects]
        fatal = fatal_files(suspected, self._encoder.image_side) if suspected else {}
        if fatal:
            self._store([_failed(one, fatal[one.file.path]) for one in candidates if one.file.path in fatal])
            crash_point("suspect noted")
        return [candidate for candidate in candidates if candidate.file.path not in fatal]

    # Reading and encoding, in worker threads

    def _take(self, candidates: Sequence[Candidate], workers: int, at_once: int) -> None:
        if not candidates:
            return
        batches = _batches(candidates, at_once)
        done = 0
        self._tell(done, len(candidates))
        executor = ThreadPoolExecutor(workers, thread_name_prefix="encode")
        running: set[Future[list[_Outcome]]] = set()
        try:
            while True:
                while len(running) < 2 * workers and (batch := next(batches, None)) is not None:
                    running.add(executor.submit(self._encode_batch, batch))
                if not running:
                    break
                finished = wait(running, return_when=FIRST_COMPLETED).done
                for future in finished:
                    outcomes = future.result()
                    self._store(outcomes)
                    running.discard(future)
                    done += len(outcomes)
                    self._tell(done, len(candidates))
        except KeyboardInterrupt:
            self._drain(running)
            executor.shutdown(wait=False)
            raise
        except BaseException:
            self._stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
            raise
        executor.shutdown()

    def _drain(self, running: set[Future[list[_Outcome]]]) -> None:
        """Stores what the workers have encoded so far. A picture that takes too long is left to the next run."""
        self._stop.set()
        begun = [future for future in running if not future.cancel()]
        for future in wait(begun, DRAIN_SECONDS).done:
            if future.exception() is None:
                self._store(future.result())

    def _encode_batch(self, batch: Sequence[Candidate]) -> list[_Outcome]:
        number = self._in_flight.begin([candidate.file.path for candidate in batch])
        try:
            return self._encoded(batch)
        finally:
            self._in_flight.end(number)

    def _encoded(self, batch: Sequence[Candidate]) -> list[_Outcome]:
        """What became of the files of a batch; those that a stop leaves no time for are not among them."""
        outcomes: list[_Outcome] = []
        pictures: list[_Picture] = []
        for candidate in batch:
            if self._stop.is_set():
                break
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
            except _Stopped:
                break
            except NotAMedium:
                outcomes.append(_Outcome(candidate, candidate.file.size, candidate.file.mtime_ns))
            except UnreachableFile as error:
                outcomes.append(replace(_failed(candidate, error.reason), out_of_reach=True))
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
        except MmsearchError:
            raise  # the model itself, or what it runs on, and not this picture
        except Exception as error:
            if len(pictures) == 1:
                return [_not_encoded(pictures[0].candidate, pictures[0].reading, f"{_COULD_NOT}: {error}")]
            return [outcome for picture in pictures for outcome in self._encode_pictures([picture])]
        return [picture.outcome(EncodedItem("image", row)) for picture, row in zip(pictures, rows, strict=True)]

    def _encode_text(self, candidate: Candidate, reading: FileReading, content: TextContent) -> _Outcome:
        try:
            items = tuple(self._text_items(content.text))
        except (_Stopped, MmsearchError):
            raise
        except Exception as error:
            return _not_encoded(candidate, reading, f"{_COULD_NOT}: {error}")
        if not items:
            return _not_encoded(candidate, reading, "no words inside")
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
            crash_point("batch written")
        crash_point("batch committed")

    def _store_one(self, outcome: _Outcome) -> None:
        candidate, report = outcome.candidate, self.report
        path = candidate.file.path
        if outcome.out_of_reach and is_gone(path):
            return
        if not outcome.out_of_reach:
            self._changed.add(candidate.root_id)
        if outcome.reason is not None:
            self._store_failure(outcome, outcome.reason)
            report.failed += 1
            report.failures.append(FailedFile(path, outcome.reason))
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
        if candidate.unchanged:
            report.encoded += 1
            return
        if candidate.known:
            report.updated += 1
            return
        self._new_contents.add(content_id)
        if outcome.content is None:
            report.moved += 1
        else:
            report.added += 1

    def _store_failure(self, outcome: _Outcome, reason: str) -> None:
        """What others have encoded stays found by them, whatever this model or these limits make of it."""
        candidate, catalogue = outcome.candidate, self._catalogue
        state = (candidate.root_id, candidate.file.path, outcome.size, outcome.mtime_ns)
        if outcome.out_of_reach:
            catalogue.note_out_of_reach(candidate.root_id, candidate.file.path, reason)
            return
        content_id = catalogue.content_called(outcome.digest) if outcome.digest else None
        if content_id is not None:
            catalogue.put_file(*state, content_id)
            if not candidate.known:
                self._new_contents.add(content_id)
        if outcome.not_encoded or candidate.unchanged:
            is_held = content_id is not None or candidate.unchanged
            catalogue.note_not_encoded(*state, reason, self._model_id, is_held)
        else:
            catalogue.note_failure(*state, reason)

    def _finish(self, changes: Sequence[RootChanges]) -> None:
        for one in changes:
            settled = settle_gone(self._catalogue, one, self._new_contents)
            self.report.offline += settled.offline
            self.report.removed += settled.removed
            if settled.removed:
                self._changed.add(one.root.id)
            if settled.kept:
                self.report.absent.append(Absence(one.root.path, settled.kept))
        with self._catalogue.transaction():
            if self._is_last and self._catalogue.has_orphans():
                self._catalogue.retire_orphans()
            self._catalogue.remove_setting("interrupted")
            if not files_lacking(self._catalogue, self._model_id):
                note_caught_up(self._catalogue, self._model_id)
            self._catalogue.mark_changed(self._changed)
        crash_point("run finished")

    def _tell(self, done: int, total: int | None) -> None:
        self._on_progress(IndexProgress(self._found, done, total, self.report.failed))


def _batches(candidates: Sequence[Candidate], at_once: int) -> Iterator[Sequence[Candidate]]:
    for first in range(0, len(candidates), at_once):
        yield candidates[first : first + at_once]


def _not_encoded(candidate: Candidate, reading: FileReading, reason: str) -> _Outcome:
    return _Outcome(candidate, reading.size, reading.mtime_ns, reason=reason, not_encoded=True, digest=reading.digest)


def _failed(candidate: Candidate, reason: str) -> _Outcome:
    # The size and time seen by the walk: a file that has changed since is tried again by the next run.
    return _Outcome(candidate, candidate.file.size, candidate.file.mtime_ns, reason=reason)
