"""What became of files comes into the library: contents with their items, failures, and what is counted of it."""

from __future__ import annotations

from collections import Counter

from mmsearch.files.archives import is_gone
from mmsearch.indexing.changes import Candidate
from mmsearch.indexing.encoding import Outcome
from mmsearch.indexing.frames import Begun, begun_of
from mmsearch.indexing.report import FailedFile, Incomplete, IndexReport, Thinned
from mmsearch.reading import STAGES, ReadLimits, details_versions, readers_label
from mmsearch.records import NOTHING_HEARD, Content
from mmsearch.store.protocol import Store

# The stages that look at what readers find: what another version of one has found they have to look at anew.
_OF_PARTS = [stage.name for stage in STAGES if stage.takes_parts]


class Keeper:
    """Stores outcomes of one model, within the caller's transactions, and counts them in a report.

    `changed` are the ids of roots in which something was found, `new_contents` counts at how many new places contents
    were found, by their ids. `sniffed` counts files without an extension that turned out to be of a kind that no reader
    takes, by root, and `sniffed_in` those of them that lie in archives, by archive.
    """

    def __init__(self, store: Store, model_id: int, limits: ReadLimits, report: IndexReport) -> None:
        self._store = store
        self._model_id = model_id
        self._most = limits.max_passages
        self._report = report
        self._readers = readers_label()
        self.changed: set[int] = set()
        self.new_contents: Counter[int] = Counter()
        self.sniffed: Counter[int] = Counter()
        self.sniffed_in: Counter[bytes] = Counter()
        # Documents in which no word was found so far.
        self._wordless: set[bytes] = set()

    def keep(self, outcome: Outcome) -> None:
        """Stores what became of a file, or of some of its parts, and counts it."""
        candidate, report = outcome.candidate, self._report
        path = candidate.file.path
        if outcome.out_of_reach and is_gone(path):
            return
        if outcome.details is not None and outcome.content_id is not None:
            self._store.put_details(outcome.content_id, outcome.details, details_versions())
            report.details_read += 1
            return
        held = self._store.content_at(path) if candidate.touched else None
        is_same = held is not None and held == outcome.content_id
        if not outcome.out_of_reach and not is_same:
            self.changed.add(candidate.root_id)
        if outcome.reason is not None:
            self._keep_failure(outcome, outcome.reason)
            if outcome.reason != NOTHING_HEARD:
                report.failed += 1
                report.failures.append(FailedFile(path, outcome.reason))
            return
        content_id = outcome.content_id
        if outcome.content is not None:
            content_id = self._store.put_content(outcome.content, _OF_PARTS)
            if outcome.anew and outcome.first == 0:
                self._store.remove_items_of([content_id], self._model_id)
            self._store.add_items(content_id, self._model_id, outcome.items, outcome.first, outcome.is_whole)
            if outcome.wordless:
                self._store.note_wordless(content_id, self._model_id)
            self._remark(content_id, outcome.content, outcome)
        if content_id is None:
            self._store.remove_path(path)
            report.others += 1
            report.unread[""] += 1
            self.sniffed[candidate.root_id] += 1
            if candidate.file.archive is not None:
                self.sniffed_in[candidate.file.archive] += 1
            report.removed += candidate.known
            return
        self._store.put_file(outcome.state, content_id)
        if outcome.reader is not None:
            self._store.renew_reader(content_id, outcome.reader)
        if outcome.renewed:
            self._store.renew_digest(content_id, outcome.renewed)
        if outcome.left_out:
            report.thinned.append(Thinned(path, outcome.left_out))
        if is_same or outcome.reader is not None:
            report.unchanged += 1
            return
        self._look_for_words(outcome)
        if outcome.is_whole:
            self._count(outcome, content_id, held)
            if outcome.content is not None and outcome.content.facts.note:
                report.incomplete.append(Incomplete(path, outcome.content.facts.note))

    def _remark(self, content_id: int, content: Content, outcome: Outcome) -> None:
        """Notes what is missing in a content that is whole, and within which limit one was begun that is not."""
        if outcome.is_whole:
            self._store.remark(content_id, self._model_id, content.facts.note, outcome.left_out, self._most)
        elif outcome.first == 0:
            self._store.note_budget(content_id, self._model_id, self._most)

    def _count(self, outcome: Outcome, content_id: int, held: int | None) -> None:
        """Counts a file that is stored; `held` is the content that a file which was only touched held before."""
        candidate, report = outcome.candidate, self._report
        if candidate.unchanged or content_id == held:
            report.encoded += 1
            return
        if candidate.known:
            report.updated += 1
            return
        self.new_contents[content_id] += 1
        if outcome.content is None:
            report.moved += 1
        else:
            report.added += 1

    def _look_for_words(self, outcome: Outcome) -> None:
        """Counts documents of pictures alone, of which what is written there may be read by a stage."""
        path, content = outcome.candidate.file.path, outcome.content
        if content is None or content.medium != "document":
            return
        if outcome.first == 0:
            self._wordless.add(path)
        if any(item.modality == "text" for item in outcome.items):
            self._wordless.discard(path)
        if outcome.is_whole and outcome.items and path in self._wordless:
            self._report.pictured += 1

    def _keep_failure(self, outcome: Outcome, reason: str) -> None:
        """What others have encoded stays found by them, whatever this model or these limits make of it."""
        candidate, store = outcome.candidate, self._store
        if outcome.out_of_reach:
            store.note_out_of_reach(candidate.root_id, candidate.file.path, reason)
            return
        content_id = store.content_called(outcome.digest) if outcome.digest else None
        if content_id is not None:
            store.put_file(outcome.state, content_id)
            if not candidate.known:
                self.new_contents[content_id] += 1
        if outcome.not_encoded or candidate.unchanged:
            is_held = content_id is not None or candidate.unchanged or candidate.touched
            store.note_not_encoded(outcome.state, reason, self._readers, self._model_id, is_held)
        else:
            store.note_failure(outcome.state, reason, self._readers)


def begun_with(store: Store, candidate: Candidate, model_id: int, readers: str) -> Begun:
    """How much of a long file is stored, of which no more had come when the process before ended."""
    file = candidate.file
    known = store.files_at([file.path], model_id, readers).files.get(file.path)
    content_id = store.content_at(file.path)
    if content_id is None or known is None or (known.size, known.mtime_ns) != (file.size, file.mtime_ns):
        return Begun()
    return begun_of(store, content_id, model_id, store.items_begun(content_id, model_id))
