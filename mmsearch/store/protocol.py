"""What a store is asked for: a ledger of what lies where, and the items with their vectors.

`store/sqlite/` is the one of a single machine. A second store does what is written here, and passes the contract tests.

**Transactions.** What changes something does so within a `transaction()` of a store that was opened for writing, of
which there is one at a time; readers are never held up, and see one state of the library within `one_state()`.
`state()` rises with each transaction that wrote something.

**The change sequence.** Items are numbered in the order of their commits, and no number is given twice: `latest_item()`
is how far the numbers have come, `items_removed()` how many items were ever removed. So whoever has seen all items up
to a number finds what has come since behind it, by `vectors_after`, and how much of the rest may be gone. All files
that are derived from a store stand on this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from mmsearch.records import (
    Content,
    Counts,
    Details,
    Failure,
    FileFacts,
    FileState,
    KnownFiles,
    Medium,
    ModelIdentity,
    Root,
)
from mmsearch.store.archive_ledger import ArchiveLedger
from mmsearch.store.measures import Measured
from mmsearch.store.nearest_items import NearestItems
from mmsearch.store.queue_state import Queued
from mmsearch.store.stage_ledger import StageLedger
from mmsearch.store.vector_store import VectorStore
from mmsearch.store.whole_rows import WholeRows
from mmsearch.store.word_index import WordIndex

if TYPE_CHECKING:
    from mmsearch.encoding.query_bank import QueryBank
    from mmsearch.store.adapters import StoredAdapter

# So many paths are asked for at once, at most: every SQLite takes as many values in one statement.
MOST_PATHS = 500


class Ledger(Protocol):
    """Roots, files, contents, failures, settings, models and adapters."""

    def close(self) -> None: ...

    @property
    def longest_path(self) -> int | None:
        """How many bytes a path may have at most that is to be kept; None where there is no limit but the system's."""

    def transaction(self) -> AbstractContextManager[None]:
        """All writes within become durable together, or none does. The library is in another state after them."""

    def one_state(self) -> AbstractContextManager[None]:
        """What is read within is all of one state of the library, whatever is written meanwhile."""

    def state(self) -> tuple[str, int]:
        """The library's id, and a number that rises with each transaction that writes something."""

    def now(self) -> str:
        """The present moment in UTC, ISO 8601, to the second: by the clock of all moments that the store keeps."""

    def setting(self, key: str) -> str | None: ...

    def number_setting(self, key: str) -> int:
        """That setting as a whole number; 0 where there is none, or damage has made it none."""

    def set_setting(self, key: str, value: str) -> None: ...

    def remove_setting(self, key: str) -> None: ...

    def remove_settings_of(self, fingerprint: str) -> None:
        """Forgets the records of the files that were derived from that model's vectors."""

    def roots(self) -> list[Root]: ...

    def put_root(self, path: bytes, rules: str) -> Root:
        """Adds a root or replaces its rules."""

    def set_mounts(self, root_id: int, mounts: Iterable[bytes]) -> None: ...

    def set_absent(self, root_id: int, count: int) -> None: ...

    def mark_changed(self, root_ids: Iterable[int]) -> None: ...

    def remove_root(self, root_id: int) -> None: ...

    def files_in_root(self, root: Root) -> int: ...

    def files_at(self, paths: Sequence[bytes], model_id: int, readers: str) -> KnownFiles:
        """What is known of these paths, at most MOST_PATHS of them.

        A file that other `readers` than these could not read has failed in another state than it has now.
        """

    def files_of_root(self, root: Root, folder: bytes | None = None) -> Iterator[tuple[int, bytes]]:
        """The id and path of each file that this root brought, all of which lie below it; or those below `folder`."""

    def files_below(self, folder: bytes) -> list[int]:
        """The ids of the file `folder` itself or of all files below the folder, whichever root brought them."""

    def count_files_below(self, folder: bytes) -> int:
        """How many files of the library lie below that folder, the file itself counted."""

    def file_count(self) -> int: ...

    def content_at(self, path: bytes) -> int | None:
        """The id of the content that the file at `path` held when it was last read, or None."""

    def put_file(self, file: FileState, content_id: int) -> None:
        """Says that the file holds that content; it fails no model that has encoded that."""

    def give_file_to(self, file_id: int, root_id: int) -> None: ...

    def remove_path(self, path: bytes) -> None:
        """Says that there is nothing to be searched at `path`."""

    def remove_files(self, file_ids: Iterable[int]) -> None: ...

    def note_failure(self, file: FileState, reason: str, readers: str) -> None:
        """Says that these readers cannot read the file; what it held before leaves the library."""

    def note_not_encoded(self, file: FileState, reason: str, readers: str, model_id: int, is_held: bool) -> None:
        """Says that this model cannot encode the file's content; the others may.

        Unless that content `is_held` by the library, what the file held before leaves it.
        """

    def note_out_of_reach(self, root_id: int, path: bytes, reason: str) -> None:
        """Says that what lies at `path` could not be looked at. What is known of it stays; the next run tries again."""

    def failure_at(self, path: bytes) -> int | None:
        """The id of what was noted of that path."""

    def failures(self) -> list[Failure]:
        """What could not be read or encoded, by path, but for files that are found by their sound."""

    def found_by_sound(self, model_id: int) -> set[bytes]:
        """The paths of files that this model could not encode, and that a model of sound has heard."""

    def failures_of_root(self, root_id: int) -> Iterator[tuple[int, bytes]]: ...

    def failures_below(self, folder: bytes) -> list[int]: ...

    def remove_failures(self, failure_ids: Iterable[int]) -> None: ...

    def remove_failures_of_root(self, root_id: int) -> None: ...

    def remove_failures_of_model(self, model_id: int) -> None:
        """Forgets what that model could not encode."""

    def count_not_encoded(self, model_id: int, reason: str | None = None) -> int:
        """How many files of the library that model could not encode: all, or those for that reason."""

    def unread(self, root_id: int | None = None) -> dict[str, int]:
        """How many files of each extension no reader takes, most first: of one root, or of all."""

    def put_unread(self, root_id: int, counts: Mapping[str, int]) -> None:
        """Keeps how many files of each extension a walk of the root came upon that no reader takes."""

    def contents_of(self, file_ids: Iterable[int]) -> dict[int, int]:
        """The ids of the contents that those files hold, by file."""

    def contents_among(self, content_ids: Iterable[int]) -> set[int]:
        """Those of the ids that are those of contents of the library: others may have dropped some meanwhile."""

    def has_older_digests(self) -> bool:
        """Whether there are contents with digests that an older mmsearch has made."""

    def has_older_digest(self, digest: bytes) -> bool:
        """Whether an older mmsearch has made that digest of some content."""

    def renew_digest(self, content_id: int, digest: bytes) -> None:
        """Gives that digest to a content that has one of an older mmsearch."""

    def content_called(self, digest: bytes) -> int | None:
        """The id of that content if some model has encoded it, else None."""

    def digests_among(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the digests that are those of contents of the library."""

    def content_with_items(self, digest: bytes, model_id: int, reader: int) -> int | None:
        """The id of that content if it was read by that version of its reader, and this model has encoded all of it."""

    def items_begun(self, content_id: int, model_id: int) -> int:
        """How many items of that content this model has encoded, where there are more to come; else 0."""

    def frames_begun(self, content_id: int, model_id: int) -> tuple[int, float]:
        """How many frames of that content this model has encoded, and until when the last of them lasts, in seconds."""

    def files_without_items(self, model_id: int, media: Sequence[Medium] | None = None) -> set[int]:
        """Files whose content this model has not encoded whole, but for those that it could not encode as they are.

        Of those media alone, where some are given.
        """

    def files_read_otherwise(self, versions: Mapping[str, int]) -> set[int]:
        """The ids of files whose content was read by another version of its medium's reader than that one; under
        medium and extension ("text .srt") stands that of files with it.
        """

    def put_content(self, content: Content) -> int:
        """Stores a content, unless it is there already as that version of its reader reads it. Returns its id.

        What another version has found in it is dropped, for all models. Details that another version of them has read
        are read anew, and the rest stays.
        """

    def remove_orphans(self) -> None:
        """Drops contents that no file holds any more, with their items and vectors."""

    def put_details(self, content_id: int, details: Details, versions: Mapping[Medium, int]) -> None:
        """Says what a content tells of itself, in that version of its medium's reader, in the place of what it told."""

    def files_detailed_otherwise(self, versions: Mapping[Medium, int]) -> set[int]:
        """The ids of files whose details were read in another version of their medium's reader, or not yet."""

    def sidecar_states(self, root: Root) -> dict[bytes, tuple[int, str]]:
        """The files of the root that have sidecars, by their paths: the id of each, and the state of its sidecars."""

    def file_ids_at(self, paths: Sequence[bytes]) -> dict[bytes, int]:
        """The ids of the files that are known at those paths, at most MOST_PATHS of them."""

    def put_sidecars(self, file_id: int, state: str, facts: FileFacts) -> None:
        """Says what the sidecars of a file, which are in that state, tell of its date and details."""

    def remove_sidecars(self, file_ids: Iterable[int]) -> None:
        """Says that these files have no sidecars any more."""

    def retire_orphans(self) -> None:
        """Drops contents that no file has held since the last call, and marks those that no file holds now.

        So a file that is moved from one root to another keeps its vectors though the roots are indexed one by one.
        What a file has let go of since the last call is marked 2, by triggers, and what was marked by it 1.
        """

    def mark_orphans(self) -> None:
        """Looks at all contents for some that no file holds, where nothing has marked them."""

    def has_orphans(self) -> bool:
        """Whether there are contents that no file holds, or did not hold for a while."""

    def mark_files_to_encode(self) -> None:
        """Says that there may be files that the models of the library have not encoded."""

    def counts(self, model_id: int) -> Counts:
        """How much there is; items are those of that model."""

    def some_pictures(self, most: int) -> list[bytes]:
        """The paths of so many pictures, drawn from all of the library."""

    def model_rows(self) -> list[tuple[int, ModelIdentity]]:
        """The id and identity of each model, the oldest first."""

    def insert_model(self, identity: ModelIdentity) -> int:
        """Adds a model that has encoded nothing yet. Returns its id."""

    def rename_model(self, model_id: int, identity: ModelIdentity) -> None:
        """Says that the model is called as that identity is."""

    def delete_model(self, model_id: int) -> None:
        """Removes the row of the model, and nothing else."""

    def may_lack_files(self, model_id: int) -> bool:
        """Whether there may be files that the model has not encoded."""

    def set_caught_up(self, model_id: int) -> None:
        """Says that the model has encoded all files."""

    def query_bank_name(self, model_id: int) -> str | None:
        """By what the query bank of the model is known, without reading it; None where it has none."""

    def query_bank(self, model_id: int) -> QueryBank:
        """The query bank of a model that has one."""

    def put_query_bank(self, model_id: int, bank: QueryBank) -> None:
        """Gives the model that query bank, in the place of an earlier one."""

    def adapters(self, adapter_id: int | None = None) -> list[StoredAdapter]:
        """The adapters, by name and version; with `adapter_id` that one alone."""

    def insert_adapter(self, name: str, version: int, model_fingerprint: str, weights: bytes, about: str) -> int:
        """Adds an adapter. Returns its id."""

    def delete_adapter(self, adapter_id: int) -> None:
        """Removes an adapter."""


class Store(
    Ledger, ArchiveLedger, StageLedger, VectorStore, NearestItems, WordIndex, WholeRows, Queued, Measured, Protocol
):
    """All of it, over one connection."""
