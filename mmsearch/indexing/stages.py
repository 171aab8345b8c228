"""Stages: second readings of files (`reading/stage.py`), after the vectors, one file after the other.

What a stage finds in a content is kept as texts, and of these each model of the library makes items: a model that comes
later needs no second reading. Of each content it is known in which version a stage has read it, also where it found
nothing; so a copy, a moved file and an unchanged tree are not read again, and a run that was killed goes on with the
file that it was at.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field, replace

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import Invalid, MmsearchError
from mmsearch.files.archives import is_file_at, is_gone
from mmsearch.files.crash_points import crash_point
from mmsearch.indexing.encoding import rows_of_parts
from mmsearch.indexing.journal import InFlight
from mmsearch.indexing.pipeline import DRAIN_SECONDS, IndexOptions
from mmsearch.indexing.report import FailedFile, StageReport
from mmsearch.reading import STAGES, Engine, Stage, UnreachableFile, UnreadableFile, open_known
from mmsearch.records import EncodedItem, FileToRead, Modality, Part, Progress, Root, StageState
from mmsearch.store.protocol import Store
from mmsearch.store.settings import want_stages, wanted_stages

# Of so many contents the texts that a model lacks are encoded together.
_AT_ONCE = 32


class _Stopped(Exception):
    """The run is being ended; the file in work is given up."""


@dataclass(frozen=True)
class _Found:
    """What became of one file: texts, or why there are none. Nothing of both: it is out of reach."""

    parts: tuple[Part, ...] | None = None
    failure: str | None = None


def resolved_stages(asked: Mapping[str, str | None]) -> dict[str, str | None]:
    """What is asked of stages, models as they are remembered.

    Raises:
        MmsearchError: there is no such stage, what it needs is not installed, or its model is not there.
    """
    stages = {stage.name: stage for stage in STAGES}
    unknown = next((name for name in asked if name not in stages), None)
    if unknown is not None:
        raise Invalid(f"There is no stage {unknown} (there are: {', '.join(stages)}).")
    return {name: None if model is None else stages[name].resolved(_folder_of(model)) for name, model in asked.items()}


def _folder_of(model: str) -> str:
    """Where a model of this disk lies that is called so; a folder itself.

    Raises:
        Damaged: files of it are missing.
    """
    from mmsearch.models.installed import check_files, installed_model

    installed = None if os.path.isdir(os.path.expanduser(model)) else installed_model(model)
    if installed is None:
        return model
    check_files(installed)
    return installed.folder


def begin_stages(store: Store, asked: Mapping[str, str | None]) -> None:
    """Says which stages the library has from now on. What failed before is read again where one begins that takes files
    in which there was nothing to be found by.
    """
    known = wanted_stages(store, [stage.name for stage in STAGES])
    begun = [stage for stage in STAGES if asked.get(stage.name) is not None and stage.name not in known]
    if any(stage.takes_wordless for stage in begun):
        with store.transaction():
            for root in store.roots():
                store.remove_failures_of_root(root.id)
    want_stages(store, asked)


def state_of(stage: Stage, version: str) -> StageState:
    """The stage as a store knows it."""
    return StageState(stage.name, version, stage.source, stage.media)


@dataclass
class StageRun:
    """The stages of a library in one run, with one of its models. The caller holds the writer's lock."""

    store: Store
    folder: str
    model_id: int
    encoder: Encoder
    options: IndexOptions
    _has_given_way: bool = field(default=False, init=False)

    def run(self, roots: Sequence[Root]) -> list[StageReport]:
        """Encodes texts that the model lacks, and reads files of the roots that the wanted stages have not read.

        What is committed stays when this is interrupted; the next run goes on from there.
        """
        reports = {stage.name: StageReport(stage.name) for stage in STAGES}
        for stage in STAGES:
            self._encode_kept(state_of(stage, ""), reports[stage.name])
        wanted = wanted_stages(self.store, [stage.name for stage in STAGES])
        for stage in STAGES:
            if stage.name in wanted:
                self._read(stage, wanted[stage.name], roots, reports[stage.name])
        return [one for one in reports.values() if one.stage in wanted or one.failed or one.left]

    def _gives_way(self) -> bool:
        """Whether what is left is to wait; once that is so it stays so."""
        self._has_given_way = self._has_given_way or self.options.gives_way()
        return self._has_given_way

    def _encode_kept(self, state: StageState, report: StageReport) -> None:
        """Makes items of the texts that a stage has found and this model has not encoded."""
        contents = self.store.contents_to_encode(state, self.model_id)
        for first in range(0, len(contents), _AT_ONCE):
            if self.options.stop.is_set() or (first and self._gives_way()):
                report.left += len(contents) - first
                return
            self._tell("encoding texts that were found before", first, len(contents))
            some = contents[first : first + _AT_ONCE]
            parts = {content_id: self.store.stage_parts(content_id, state) for content_id in some}
            try:
                encoded = {content_id: self._encoded(parts[content_id]) for content_id in some}
            except _Stopped:
                return
            with self.store.transaction():
                for content_id in self.store.contents_among(some):
                    failed = self._store_items(content_id, state, encoded[content_id])
                    report.failed += bool(failed)
                    report.failures += failed[:1]
            crash_point("found texts encoded")

    def _read(self, stage: Stage, model: str, roots: Sequence[Root], report: StageReport) -> None:
        try:
            state = state_of(stage, stage.version(model))
            files = _by_content(self.store.files_to_read(state, [root.id for root in roots], self.model_id))
            report.left += len(files)
            if files and not self.options.stop.is_set() and not self._has_given_way:
                reading = _Reading(stage, model, self.options, InFlight(self.folder, stage.name))
                self._keep_all(state, reading, files, report)
        except MmsearchError as error:
            report.left = 0  # until that is put right
            report.hindered, report.remedy = f"{stage.doing} was not possible: {error.message}", error.remedy

    def _keep_all(
        self, state: StageState, reading: _Reading, files: Mapping[int, Sequence[FileToRead]], report: StageReport
    ) -> None:
        self._tell(reading.stage.doing, 0, len(files))
        with closing(reading.found_in(files)) as all_found:
            for done, (content_id, path, found) in enumerate(all_found, start=1):
                if found.parts is not None or found.failure is not None:
                    try:
                        failure = self._keep(content_id, state, found)
                    except _Stopped:
                        return
                    report.read += failure is None
                    report.found += failure is None and bool(found.parts)
                    if failure is not None:
                        report.failed += 1
                        report.failures.append(FailedFile(path, failure))
                report.left -= 1
                self._tell(reading.stage.doing, done, len(files))
                if done < len(files) and self._gives_way():
                    return

    def _keep(self, content_id: int, state: StageState, found: _Found) -> str | None:
        """Stores what was found in a content, with its items. Returns why it could not be read, or None."""
        parts = found.parts or ()
        encoded = self._encoded(parts)
        with self.store.transaction():
            if self.store.contents_among([content_id]):  # else its last file has left meanwhile
                self.store.put_stage(content_id, state, parts, found.failure)
                self._store_items(content_id, state, encoded)
            crash_point("stage written")
        crash_point("stage committed")
        return encoded if isinstance(encoded, str) else found.failure

    def _encoded(self, parts: Sequence[Part]) -> tuple[EncodedItem, ...] | str:
        """The items of one content, or why this model cannot encode its texts; another may."""
        try:
            return self._items(parts)
        except (MmsearchError, _Stopped):
            raise
        except Exception as error:
            return f"{self.encoder.identity.label} could not encode what was found: {_first_line(error)}"

    def _store_items(
        self, content_id: int, state: StageState, encoded: tuple[EncodedItem, ...] | str
    ) -> list[FailedFile]:
        """Stores the items of a content, or why there are none; returns its files in that case."""
        if not isinstance(encoded, str):
            self.store.add_stage_items(content_id, self.model_id, encoded)
            return []
        paths = self.store.note_texts_not_encoded(content_id, state, self.model_id, encoded)
        return [FailedFile(path, encoded) for path in paths]

    def _items(self, parts: Sequence[Part]) -> tuple[EncodedItem, ...]:
        """The texts as passages that fit the model's window, with their vectors."""
        passages = [
            replace(part, payload=part.payload[span.start : span.end])
            for part in parts
            for span in self.encoder.windows(part.payload)
        ]
        rows = rows_of_parts(self.encoder, passages, self._check_stop)
        return tuple(
            EncodedItem(part.modality, row, part.locator, part.source, part.payload)
            for part, row in zip(passages, rows, strict=True)
        )

    def _check_stop(self, modality: Modality) -> None:
        if self.options.stop.is_set():
            raise _Stopped

    def _tell(self, doing: str, done: int, total: int) -> None:
        self.options.on_progress(Progress(doing, done, total, "files"))


@dataclass
class _Reading:
    """Reads files with one stage, in a thread of its own: the main one stays free to store, and to be interrupted."""

    stage: Stage
    model: str
    options: IndexOptions
    journal: InFlight
    _halt: threading.Event = field(default_factory=threading.Event)

    def found_in(self, files: Mapping[int, Sequence[FileToRead]]) -> Generator[tuple[int, bytes, _Found], None, None]:
        """What becomes of each content, with the path at which it was read; of the first ones where a stop comes, or
        where it is closed.
        """
        suspects = self.journal.suspects()
        fatal = self._fatal([some[0].path for some in files.values() if some[0].path in suspects])
        ours = {one.path for some in files.values() for one in some}
        self.journal.start([path for path in suspects if path not in ours and not is_gone(path)])
        executor = ThreadPoolExecutor(1, thread_name_prefix=self.stage.name)
        working: Future[_Found] | None = None
        try:
            engine = executor.submit(self.stage.open, self.model).result()
            for content_id, some in files.items():
                path = some[0].path
                if path in fatal:
                    yield content_id, path, _Found(failure=fatal[path])
                    continue
                working = executor.submit(self._found_in_one, engine, some[0])
                yield content_id, path, working.result()
        except _Stopped:
            return
        finally:
            self._halt.set()
            if working is not None:  # what cannot be waited for stays on the list of the journal
                wait([working], DRAIN_SECONDS)
            executor.shutdown(wait=False, cancel_futures=True)
            self.journal.finish()

    def _fatal(self, suspected: Sequence[bytes]) -> dict[bytes, str]:
        """Those of the files that the last run was killed over and that end another process too, with the reason."""
        if not suspected:
            return {}
        from mmsearch.indexing.suspects import Suspect, fatal_files
        from mmsearch.indexing.trial import TrialSettings

        settings = TrialSettings(self.model, "auto", self.options.limits, self.stage.name)
        found = fatal_files([Suspect(path) for path in suspected], settings, self.options.stop)
        return {path: why.reason for path, why in found.items()}

    def _found_in_one(self, engine: Engine, file: FileToRead) -> _Found:
        self._check_stop()
        number = self.journal.begin([file.path])
        try:
            return self._found_by(engine, file)
        except UnreachableFile:  # the next run tries again
            return _Found()
        except UnreadableFile as error:
            return _Found(failure=error.reason)
        except MemoryError:
            return _Found(failure="too large for this machine's memory")
        except (MmsearchError, _Stopped):
            raise
        except Exception as error:  # of the engine, which meets bytes that nobody has foreseen
            return _Found(failure=f"ended with an error: {_first_line(error)}")
        finally:
            self.journal.end(number)

    def _found_by(self, engine: Engine, file: FileToRead) -> _Found:
        parts: list[Part] = []
        with open_known(file.path, file.size, file.mtime_ns, self.options.limits) as opened:
            for part in engine.parts(opened):
                self._check_stop()
                parts.append(part)
        return _Found(tuple(parts))

    def _check_stop(self) -> None:
        if self._halt.is_set() or self.options.stop.is_set():
            raise _Stopped


def _by_content(files: Sequence[FileToRead]) -> dict[int, list[FileToRead]]:
    """The files by what they hold; those that are not there now, on a drive that is away, are left out."""
    found: dict[int, list[FileToRead]] = {}
    for file in files:
        if is_file_at(file.path):
            found.setdefault(file.content_id, []).append(file)
    return found


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
