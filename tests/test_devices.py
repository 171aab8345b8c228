"""Where torch computes, and what happens when its memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch, refused

from mmsearch import Library, Query
from mmsearch.encoding.devices import Device, DeviceName
from mmsearch.records import FloatMatrix
from mmsearch.searching.query import text_term

pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
import torch
from tiny_clip import make_tiny_clip


def numbered(part: Sequence[int]) -> FloatMatrix:
    return np.array(part, np.float32)[:, np.newaxis]


def test_half_as_many_at_a_time_where_memory_runs_out_and_none_is_lost() -> None:
    device = Device("cpu")
    device.at_once = 16
    tried: list[int] = []

    def encode(part: Sequence[int]) -> FloatMatrix:
        tried.append(len(part))
        if len(part) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return numbered(part)

    rows = np.concatenate(device.in_batches(range(21), encode))
    assert rows[:, 0].tolist() == list(range(21))
    assert tried[:4] == [16, 8, 4, 2]
    assert set(tried[4:]) <= {1, 2}
    assert device.at_once == 2, "the next call begins with what fitted"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)")])
def test_a_device_without_room_for_one_is_told_of(error: Exception) -> None:
    def encode(part: Sequence[int]) -> FloatMatrix:
        raise error

    with refused("--device cpu"):
        Device("cpu").in_batches(range(5), encode)


def test_other_errors_are_not_taken_for_it() -> None:
    def encode(part: Sequence[int]) -> FloatMatrix:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Device("cpu").in_batches(range(5), encode)


def test_a_model_that_does_not_fit_is_told_of_and_no_other_one_proposed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has 15.56 MiB free.")

    tiny = str(make_tiny_clip(tmp_path / "tiny"))
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", load)
    with Library(tmp_path / "library", "cpu") as library, refused("has not enough memory for this model"):
        library.index([home], model=tiny)


@pytest.mark.parametrize(("free", "told"), [(10_000_000, True), (10_000_000_000, False)])
def test_libraries_that_fail_on_a_full_card_lack_memory(free: int, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(part: Sequence[int]) -> FloatMatrix:
        raise RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 80_000_000_000))
    device = Device("cpu")
    device.name = "cuda"
    with refused("--device cpu") if told else pytest.raises(RuntimeError, match="cuDNN"):
        device.in_batches(range(5), encode)


def test_a_device_that_is_not_there_is_one_sentence(command: Mmsearch, home: Path, tmp_path: Path) -> None:
    tiny = make_tiny_clip(tmp_path / "tiny")
    away = next(name for name in ("mps", "cuda") if name != Device("auto").name)
    for arguments in (("--model", str(tiny), "--device", away), ("--device", away), ("--device", "abacus")):
        done = command("index", home, *arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert "--device" in done.err or "there is no device" in done.err.lower()
    assert not (tmp_path / "library").exists()


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> DeviceName:
    """The graphics card; where there is none, the processor computing in half precision as a card does."""
    chosen = Device("auto").name
    if chosen == "cpu":
        monkeypatch.setattr(Device, "precision", lambda device: torch.autocast("cpu", torch.float16))
    return chosen


def similarities(folder: Path, device: DeviceName, home: Path, model: str) -> dict[str, float]:
    with Library(folder, device) as library:
        library.index([home], model=model)
        hits = library.search(Query((text_term("a cat"),), min_score=0.0), model=model).hits
    return {hit.path: hit.similarity for hit in hits}


def test_the_processor_gives_nearly_what_a_card_gives(
    home: Path, tmp_path: Path, card: DeviceName, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = str(make_tiny_clip(tmp_path / "tiny"))
    ours = similarities(tmp_path / "card", card, home, tiny)
    monkeypatch.undo()
    exact = similarities(tmp_path / "processor", "cpu", home, tiny)
    assert ours.keys() == exact.keys()
    assert len(exact) == 4
    assert ours == pytest.approx(exact, abs=0.01)
    assert ours != exact, "a card computes in half precision"
