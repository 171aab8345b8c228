"""Where torch computes, and what happens when its memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch

from mmsearch import Library, MmsearchError
from mmsearch.encoding.devices import Device
from mmsearch.records import FloatMatrix

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

    with pytest.raises(MmsearchError, match="--device cpu"):
        Device("cpu").in_batches(range(5), encode)


def test_other_errors_are_not_taken_for_it() -> None:
    def encode(part: Sequence[int]) -> FloatMatrix:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Device("cpu").in_batches(range(5), encode)


def test_a_device_that_is_not_there_is_one_sentence(command: Mmsearch, home: Path, tmp_path: Path) -> None:
    tiny = make_tiny_clip(tmp_path / "tiny")
    away = next(name for name in ("mps", "cuda") if name != Device("auto").name)
    for arguments in (("--model", str(tiny), "--device", away), ("--device", away), ("--device", "abacus")):
        done = command("index", home, *arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert "--device" in done.err or "there is no device" in done.err.lower()
    assert not (tmp_path / "library").exists()


def test_the_processor_gives_what_the_chosen_device_gives(home: Path, tmp_path: Path) -> None:
    tiny = str(make_tiny_clip(tmp_path / "tiny"))
    found = []
    for device in ("auto", "cpu"):
        with Library(tmp_path / device, device) as library:
            library.index([home], model=tiny)
            hits = library.search("a cat", model=tiny).hits
            found.append({hit.path: hit.similarity for hit in hits})
    assert found[0].keys() == found[1].keys()
    assert all(found[1][path] == pytest.approx(value, abs=0.01) for path, value in found[0].items())
