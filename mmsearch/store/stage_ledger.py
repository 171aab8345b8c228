"""What a store knows of stages: second readings of files, whose texts every model encodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from mmsearch.records import EncodedItem, Failure, FileToRead, Part, StageCounts, StageState


class StageLedger(Protocol):
    """Which stage has read which contents, in which version, and what it found. What writes does so within the
    caller's transaction.
    """

    def files_to_read(self, stage: StageState, root_ids: Iterable[int], model_id: int) -> list[FileToRead]:
        """Files of those roots that the stage has not read in this version, and the model has encoded, by path.

        Of a content that several files hold all are there.
        """

    def put_stage(
        self, content_id: int, stage: StageState, parts: Sequence[Part] = (), failure: str | None = None
    ) -> None:
        """Stores the texts that the stage found in a content, or why it could not read it.

        They take the place of what it found before, whose items are dropped, for all models.
        """

    def contents_to_encode(self, stage: StageState, model_id: int) -> list[int]:
        """The contents with texts of the stage that the model has not encoded, if it has encoded all else of them.

        Those are left out of which it is noted that it cannot.
        """

    def stage_parts(self, content_id: int, stage: StageState) -> list[Part]:
        """The texts that the stage found in a content, in their order."""

    def stage_counts(self, stage: StageState) -> StageCounts:
        """How many files of its media the stage has read, found texts in, could not read, and has not read yet."""

    def stage_failures(self, stage: StageState) -> list[Failure]:
        """The files that it could not read, and those in which it found what a model could not encode, by path."""

    def forget_stage_failures(self) -> None:
        """Forgets what stages could not read, and what models could not encode of what stages found."""

    def note_texts_not_encoded(self, content_id: int, stage: StageState, model_id: int, reason: str) -> list[bytes]:
        """Says that the model cannot encode what the stage found in a content. Returns the paths of its files."""

    def add_stage_items(self, content_id: int, model_id: int, items: Sequence[EncodedItem]) -> None:
        """Stores the items that a model made of what a stage found in a content, which is whole."""
