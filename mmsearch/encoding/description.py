"""`model.json`, which describes a dual encoder of ONNX graphs: checked as a whole before anything believes it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from mmsearch.records import Background

DESCRIPTION = "model.json"
_LARGEST_BYTES = 1_000_000
_MODALITIES = ("image", "text")
_FITS = ("squash", "crop")
_RESAMPLINGS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
# Not all models have it.
_FAMILIARITY = "noise_familiarity"
_CURVE = tuple(field.name for field in fields(Background) if field.name != _FAMILIARITY)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class WrongDescription(ValueError):
    """The message says what is wrong with which entry."""


def read_description(folder: str) -> dict[str, Any]:
    """What the `model.json` in `folder` says. Entries that are not known here are kept.

    Raises:
        OSError: it cannot be read. WrongDescription: it is not JSON, or one of its entries is not what it should be.
    """
    with open(os.path.join(folder, DESCRIPTION), "rb") as file:
        content = file.read(_LARGEST_BYTES + 1)
    if len(content) > _LARGEST_BYTES:
        raise WrongDescription(f"{DESCRIPTION} is too long")
    try:
        described = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WrongDescription(f"{DESCRIPTION} is not JSON") from error
    _Entries(described, DESCRIPTION).check_model()
    checked: dict[str, Any] = described
    return checked


class _Entries:
    """An object of the description, and how it is called in a sentence."""

    def __init__(self, found: Any, name: str) -> None:
        if not isinstance(found, dict):
            raise WrongDescription(f"{name} is not a JSON object")
        self._found: dict[str, Any] = found
        self._name = name

    def check_model(self) -> None:
        for key in ("name", "revision"):
            self._check(key, _is_text, "a text")
        self._check_whole("dimension", 1, 65_536)
        image, text = (self._within(modality) for modality in _MODALITIES)
        for tower in (image, text):
            tower._check("file", _is_plain, "the name of a file in its folder")
        image._check_whole("side", 16, 4096)
        image._check_whole("batch", 1, 1024, is_optional=True)
        image._check("fit", lambda value: value in _FITS, f"one of {', '.join(_FITS)}")
        image._check(
            "resampling", lambda value: value in _RESAMPLINGS, f"one of {', '.join(_RESAMPLINGS)}", is_optional=True
        )
        image._check(
            "ends_from", lambda value: _is_number(value) and value >= 1, "a number from 1 on", is_optional=True
        )
        text._check_whole("window", 4, 100_000)
        text._check("tokenizer", _is_plain, "the name of a file in its folder")
        text._check_whole("overlap", 0, text._found["window"] - 3)  # less than what is left for the text's own tokens
        text._check_whole("pad_id", 0, 2**31 - 1)
        text._check_whole("padded_to", 0, text._found["window"], is_optional=True)
        text._check("lower", lambda value: isinstance(value, bool), "true or false", is_optional=True)
        digests = self._within("sha256")
        for key in {text._found["file"], *digests._found}:
            digests._check(key, _is_digest, "a SHA-256 in hexadecimal digits")
        if self._found.get("query_bank") is not None:
            self._within("query_bank")._check_query_bank()
        if self._found.get("noise") is not None:
            self._within("noise")._check_packed_vectors()
        if self._found.get("calibration") is not None:
            curves = self._within("calibration")
            for pair in curves._found:
                if tuple(pair.split("-")) not in {(one, other) for one in _MODALITIES for other in _MODALITIES}:
                    raise WrongDescription(f"{curves._name} has an entry {pair!r}")
                curve = curves._within(pair)
                if not curve._found.keys() >= set(_CURVE):
                    raise WrongDescription(f"{curve._name} does not have the entries {', '.join(_CURVE)}")
                for key in _CURVE:
                    curve._check(key, _is_number, "a number")
                curve._check(_FAMILIARITY, _is_number, "a number", is_optional=True)

    def _check_packed_vectors(self) -> None:
        self._check("file", _is_plain, "the name of a file in its folder")
        self._check("sha256", _is_digest, "a SHA-256 in hexadecimal digits")

    def _check_query_bank(self) -> None:
        self._check_packed_vectors()
        self._check("sharpness", lambda value: _is_number(value) and value > 0, "a number above 0")
        self._check("centre", _is_number, "a number")

    def _within(self, key: str) -> _Entries:
        return _Entries(self._found.get(key), f"its entry {key!r}")

    def _check_whole(self, key: str, least: int, most: int, *, is_optional: bool = False) -> None:
        self._check(
            key,
            lambda value: type(value) is int and least <= value <= most,
            f"a whole number from {least} to {most}",
            is_optional=is_optional,
        )

    def _check(self, key: str, is_right: Callable[[Any], bool], what: str, *, is_optional: bool = False) -> None:
        if key not in self._found:
            if is_optional:
                return
            raise WrongDescription(f"{self._name} has no entry {key!r}")
        if not is_right(self._found[key]):
            raise WrongDescription(f"the entry {key!r} of {self._name} is not {what}")


def _is_text(value: Any) -> bool:
    # JSON can hold halves of surrogate pairs, which no file and no terminal can.
    return isinstance(value, str) and 0 < len(value) <= 1000 and not any("\ud800" <= one <= "\udfff" for one in value)


def _is_plain(value: Any) -> bool:
    return _is_text(value) and not set(value) & set("/\\:\0") and value not in (".", "..")


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9 and math.isfinite(value)
