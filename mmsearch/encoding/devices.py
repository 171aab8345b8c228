"""Where torch computes: the processor or a graphics card, in what precision, and how many inputs at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np

from mmsearch.errors import Invalid, Remedy, Unavailable

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[DeviceName, ...] = get_args(DeviceName)

Input = TypeVar("Input")

_AT_ONCE_ON_PROCESSOR = 8
# More gains nothing, and pictures wait for each other.
_AT_ONCE_AT_MOST = 64
# Activations of the largest models in the table take about so much a picture, in half precision.
_BYTES_A_PICTURE = 64_000_000
# CUDA's libraries take memory of their own as they begin, and say of the lack of it that they failed.
_BYTES_OF_LIBRARIES = 512_000_000


def device_called(name: str) -> DeviceName:
    """The device of that name.

    Raises:
        Invalid: there is no such kind of device.
    """
    for known in DEVICES:
        if name == known:
            return known
    raise Invalid(f"There is no device {name!r}; it is one of {', '.join(DEVICES)}.")


class _OutOfMemory(Unavailable):
    """The memory of a device does not suffice."""


class Device:
    """The device of that name; `auto` is the best that is there.

    Raises:
        Unavailable: it is not there, or has no memory left.
    """

    def __init__(self, name: DeviceName) -> None:
        import torch

        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if name == "auto":
            name = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
        if not there[name]:
            raise Unavailable(
                f"There is no device {name} that torch {torch.__version__} could use here", Remedy("device.other_torch")
            )
        self.name: DeviceName = name
        self._torch = torch
        with self.within_memory():
            self.at_once = self._fitting()

    def _fitting(self) -> int:
        """How many pictures to encode at a time: a power of two, by the memory that is free."""
        if self.name == "cpu":
            return _AT_ONCE_ON_PROCESSOR
        if self.name == "mps":  # shares the processor's memory, and does not tell how much is free
            return 2 * _AT_ONCE_ON_PROCESSOR
        free, _ = self._torch.cuda.mem_get_info()
        fitting = max(1, min(_AT_ONCE_AT_MOST, free // 2 // _BYTES_A_PICTURE))
        return 1 << (int(fitting).bit_length() - 1)

    @contextmanager
    def within_memory(self) -> Iterator[None]:
        """What a model does within a `with` block: where the device's memory does not suffice for it, that is said.

        Raises:
            Unavailable: it did not suffice.
        """
        try:
            yield
        except Exception as error:
            if not self._ran_out(error):
                raise
            raise _OutOfMemory(
                f"The device {self.name} has not enough memory for this model", Remedy("device.processor")
            ) from error

    def _ran_out(self, error: Exception) -> bool:
        """torch says so in a class of its own on CUDA, and in words elsewhere."""
        said = str(error)
        if isinstance(error, MemoryError) or "out of memory" in said or "can't allocate memory" in said:
            return True
        if self.name != "cuda" or not ("cuDNN error" in said or "CUBLAS_STATUS" in said):
            return False
        free, _ = self._torch.cuda.mem_get_info()
        return bool(free < _BYTES_OF_LIBRARIES)

    def precision(self) -> AbstractContextManager[Any]:
        """Half precision where that is faster and as good, within a `with` block."""
        if self.name == "cuda":
            return cast("AbstractContextManager[Any]", self._torch.autocast("cuda", self._torch.float16))
        return nullcontext()

    def moved(self, features: dict[str, Any]) -> dict[str, Any]:
        """Tensors brought to the device; a card copies from pinned memory while it computes."""
        if self.name == "cpu":
            return features
        pinned = self.name == "cuda"
        return {
            key: (value.pin_memory() if pinned else value).to(self.name, non_blocking=pinned)
            if isinstance(value, self._torch.Tensor)
            else value
            for key, value in features.items()
        }

    def in_batches(
        self, inputs: Sequence[Input], encode: Callable[[Sequence[Input]], np.ndarray[Any, np.dtype[np.float32]]]
    ) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
        """The rows of the inputs, `at_once` of them a call; half as many from then on where memory runs out.

        Raises:
            Unavailable: there is not even room for one.
        """
        rows = []
        start = 0
        while start < len(inputs):
            part = inputs[start : start + self.at_once]
            try:
                with self.within_memory():
                    rows.append(encode(part))
            except _OutOfMemory:
                if len(part) == 1:
                    raise
                self.at_once = max(1, len(part) // 2)
            else:
                start += len(part)
                continue
            # Outside the handler, whose traceback holds on to the tensors.
            if self.name == "cuda":
                self._torch.cuda.empty_cache()
        return rows
