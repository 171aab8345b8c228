"""CLAP models, which bring sounds and texts into one space: loaded by sentence-transformers, run by torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from mmsearch.encoding.facts import LoadedFacts
from mmsearch.encoding.protocol import Family, ModelFolder
from mmsearch.encoding.sentence_transformers import SentenceTransformersEncoder, Towers, found_out_once
from mmsearch.errors import Unsupported
from mmsearch.records import FloatMatrix, Hearing, Modality, Sound

MODEL_TYPE = "clap"


class ClapEncoder(SentenceTransformersEncoder):
    """The model of sound in `folder`, called `name`; needs the `clip` extra.

    Raises:
        Unsupported: the extra is not installed, or the model does not encode sounds and texts.
        Unavailable: the device is not there.
    """

    @property
    def hearing(self) -> Hearing:
        return Hearing(self._facts.sound_rate, self._facts.sound_seconds)

    @property
    def image_side(self) -> int:
        return 0

    @property
    def modalities(self) -> frozenset[Modality]:
        return frozenset({"audio", "text"})

    def encode(self, modality: Modality, payloads: Sequence[Any]) -> FloatMatrix:
        if modality == "text":
            return self._encode_texts(payloads)
        if modality != "audio":
            raise Unsupported(f"{self._name} is a model of sound and encodes no {modality}s; choose another for them.")
        return self._encode("audio", [self._input(sound) for sound in payloads])

    def _input(self, sound: Sound) -> dict[str, Any]:
        # Of what is longer a part would be drawn at random. Without its rate it would be taken as it is.
        most = round(self.hearing.seconds * self.hearing.rate)
        samples = np.ascontiguousarray(sound.samples[:most], np.float32)
        return {"audio": {"array": samples, "sampling_rate": sound.rate}}

    def _features(self, modality: Modality, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        features = super()._features(modality, inputs)
        if modality == "audio":
            # A model that fuses views of what is longer than its window is given one at random as if it were: for its
            # training. None is.
            features["is_longer"] = features["is_longer"] & False
        return features

    def _loaded_facts(self) -> LoadedFacts:
        tower = self.towers.text  # says what is not installed
        import torch

        prepares = tower[0].processor.feature_extractor
        rate = int(prepares.sampling_rate)
        silence = {"audio": {"array": np.zeros(rate, np.float32), "sampling_rate": rate}}
        dimensions = []
        for modality, one in (("text", {"text": "a"}), ("audio", silence)):
            features = self._features(modality, [one])
            with self._turn, torch.inference_mode(), self._device.within_memory():
                dimensions.append(int(tower(self._device.moved(features))["sentence_embedding"].shape[1]))
        if dimensions[0] != dimensions[1]:
            raise Unsupported(
                f"{self._name} gives texts {dimensions[0]} dimensions and sounds {dimensions[1]}: they do not belong "
                "together."
            )
        return LoadedFacts(
            dimensions[0], image_side=0, sound_rate=rate, sound_seconds=float(prepares.nb_max_samples) / rate
        )

    @found_out_once
    def towers(self) -> Towers:
        """What sentence-transformers has loaded."""
        model = self._load(self._folder)
        if not {"audio", "text"} <= set(model.modalities):
            raise Unsupported(f"{self._name} does not encode both sounds and texts; choose a CLAP model.")
        return Towers(model, model)


def _takes(folder: str) -> bool:
    return any(_described(path).get("model_type") == MODEL_TYPE for path in _configurations(folder))


def _configurations(folder: str) -> Iterator[str]:
    """The files that may say what kind of model lies in the folder: its own, and in older layouts its first part's."""
    yield os.path.join(folder, "config.json")
    parts = _described(os.path.join(folder, "modules.json")).get("modules")
    if isinstance(parts, list) and parts and isinstance(parts[0], dict):
        yield os.path.join(folder, str(parts[0].get("path", "")), "config.json")


def _described(path: str) -> dict[str, Any]:
    """What a JSON file says; a list is taken for the modules that it is in `modules.json`."""
    with suppress(OSError, ValueError, RecursionError), open(path, encoding="utf-8") as file:
        found = json.load(file)
        if isinstance(found, list):
            return {"modules": found}
        if isinstance(found, dict):
            return found
    return {}


def _open(model: ModelFolder) -> ClapEncoder:
    return ClapEncoder(model.folder, model.name, model.device, model.trust_remote_code)


FAMILY = Family(takes=_takes, open=_open)
