"""A server that nobody asks for long gives its memory back, and answers as before when somebody does."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from weakref import ref

import pytest

from mmsearch import Library
from mmsearch.cli.remedies import in_words
from mmsearch.encoding.protocol import Encoder
from mmsearch.models import opening
from mmsearch.searching.results import SearchResult

pytest.importorskip("starlette", reason="the serve extra is not installed")

Opened = list["ref[Encoder]"]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """The models that are opened, for as long as somebody has them."""
    found: Opened = []
    real = opening.open_encoder

    def open_and_tell(*given: object) -> Encoder:
        encoder = real(*given)  # type: ignore[arg-type]
        found.append(ref(encoder))
        return encoder

    monkeypatch.setattr(opening, "open_encoder", open_and_tell)
    return found


def test_what_nobody_asks_for_is_let_go_of_and_loaded_again(indexed: Path, opened: Opened) -> None:
    from mmsearch.server.rest.served import Served
    from mmsearch.server.rest.settings import ServeSettings, new_token

    with Library(indexed) as library, library.session() as session:
        served = Served(library, session, ServeSettings(new_token()), in_words, idle_seconds=0.1)

        def search(words: str) -> SearchResult:
            return asyncio.run(served.searches.do(lambda: session.search(words)))

        for turn, words in enumerate(["a cat by a window", "a white cup full of coffee"], start=1):
            found = search(words)
            assert found.hits
            assert len(opened) == turn
            for _ in range(5_000):
                if opened[-1]() is None:
                    break
                threading.Event().wait(0.02)
            assert opened[-1]() is None
        # What is known of a text is not forgotten: no model is loaded for it.
        assert search("a white cup full of coffee").hits == found.hits
        assert len(opened) == 2
        served.close()


def test_a_model_that_somebody_still_has_is_not_loaded_twice(indexed: Path, opened: Opened) -> None:
    with Library(indexed) as library, library.session() as session:
        session.search("a tree by a lake")
        library.let_go()  # as what watches folders does, while a session is open
        library.search("a lake by a tree")
        assert len(opened) == 1
        session.let_go()
        library.let_go()
        assert opened[0]() is None
