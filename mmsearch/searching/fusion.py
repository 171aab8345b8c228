"""Learned fusion: what the scores of each channel are worth in one library, as queries with known answers show.

A channel's score `s` becomes `1 / (1 + exp(-(slope logit(s) + shift)))`, a logistic regression of one number, before
the channels are merged as ever: the merged score stays a probability, and the order within a channel stays as it is.
A literal match is worth no less than vectors are of half its score: so that of a rare word or name stays above vague
neighbours, whatever was learned. And what a picture weighs in a query that has words too, where 1 is as much as these.

The library has any number of fusions, by number, and one or none in use. Without one nothing is computed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mmsearch.errors import Damaged, NotFound, Remedy

if TYPE_CHECKING:
    from mmsearch.searching.query import Query, Term
    from mmsearch.store.protocol import Store

# What a fusion is called begins so; then come its number, or words for none and for all.
PREFIX = "fusion@"
NO_FUSION, ALL_FUSIONS = f"{PREFIX}none", f"{PREFIX}all"
_SETTING = "fusions"
# What words alone have found is told of under this name.
WORDS = "words"
# What vectors give less than this share of the score of a literal match is vague beside it.
VAGUE = 0.5
# Scores below, and above, as much are told by their logits no better.
_LEAST = 1e-6

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ChannelWeights:
    """How the scores of a channel are moved; 1 and 0 leave them as they are. A `slope` is above 0."""

    slope: float = 1.0
    shift: float = 0.0

    def moved(self, scores: Scores) -> Scores:
        """Scores in [0, 1], any shape; 0 and 1 stay."""
        found = 1 / (1 + np.exp(-np.clip(self.slope * logits(scores) + self.shift, -60, 60)))
        return np.where(scores <= 0, 0.0, np.where(scores >= 1, 1.0, found)).astype(np.float32)


@dataclass(frozen=True)
class Fusion:
    """The weights of channels: of vectors by their modality, and of `words`. Others stay as they are.

    `picture_weight` is what the weights of pictures are multiplied by where a query has words too.
    """

    channels: Mapping[str, ChannelWeights]
    picture_weight: float = 1.0

    def moved(self, channel: str, scores: Scores) -> Scores:
        """What the scores of a channel, in [0, 1], are worth."""
        weights = self.channels.get(channel)
        return scores if weights is None else weights.moved(scores)

    def moved_one(self, channel: str, score: float) -> float:
        """The same for one score."""
        return float(self.moved(channel, np.array([score], np.float32))[0]) if channel in self.channels else score

    def moved_words(self, score: float) -> float:
        """What a literal match of that score is worth: no less than a vague neighbour, by whichever vectors."""
        vague = (self.moved_one(channel, VAGUE * score) for channel in self.channels if channel != WORDS)
        return max(self.moved_one(WORDS, score), *vague, 0.0)


@dataclass(frozen=True)
class StoredFusion:
    """A fusion as the library holds it; `about` tells how it was learned and how it did."""

    number: int
    fusion: Fusion
    added: str
    about: dict[str, Any]
    in_use: bool = False

    JSON_FIELDS: ClassVar = ("label", "in_use", "added", "channels", "picture_weight", "about")

    @property
    def label(self) -> str:
        """As it is shown, for example `fusion@2`."""
        return f"{PREFIX}{self.number}"

    @property
    def channels(self) -> Mapping[str, ChannelWeights]:
        """Its weights."""
        return self.fusion.channels

    @property
    def picture_weight(self) -> float:
        """What a picture weighs beside words."""
        return self.fusion.picture_weight


def logits(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The logits of scores, kept finite."""
    inside = np.clip(scores.astype(np.float64), _LEAST, 1 - _LEAST)
    return np.asarray(np.log(inside / (1 - inside)))


def stored_fusions(store: Store) -> list[StoredFusion]:
    """All of the library, by number.

    Raises:
        Damaged: what is stored is not readable.
    """
    written = store.setting(_SETTING)
    if written is None:
        return []
    try:
        held = json.loads(written)
        return [
            StoredFusion(
                int(number),
                Fusion(
                    {name: ChannelWeights(**one) for name, one in fields["channels"].items()},
                    float(fields.get("picture_weight", 1.0)),
                ),
                fields["added"],
                fields["about"],
                held["in_use"] == int(number),
            )
            for number, fields in held["fusions"].items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Damaged("What was learned for merging is damaged", Remedy("fusions.remove")) from None


def fusion_for(query: Query, learned: Fusion | None) -> Fusion | None:
    """The fusion that is used for a query: none but for one of texts, as it was learned from such alone."""
    is_of_texts = all(term.modality == "text" for term in query.terms) and not (query.like or query.unlike)
    return learned if is_of_texts else None


def weighed(query: Query, learned: Fusion | None) -> tuple[Term, ...]:
    """The terms of a query, with the learned weight of pictures where words are wanted beside them.

    What is to be avoided, and queries with what is liked or not, stay as they are: nothing was learned of these.
    """
    wanted = {term.modality for term in query.terms if term.weight > 0}
    if learned is None or learned.picture_weight == 1.0 or query.like or query.unlike or len(wanted) < 2:
        return query.terms
    return tuple(
        replace(term, weight=term.weight * learned.picture_weight)
        if term.modality == "image" and term.weight > 0
        else term
        for term in query.terms
    )


def fusion_in_use(store: Store, name: str | None = None) -> Fusion | None:
    """The one that searches use, or the one of that name; None for none.

    Raises:
        NotFound: there is no such fusion. Damaged: what is stored is not readable.
    """
    if name == NO_FUSION:
        return None
    fusions = stored_fusions(store)
    if name is None:
        return next((one.fusion for one in fusions if one.in_use), None)
    return find_fusion(fusions, name).fusion


def find_fusion(fusions: list[StoredFusion], name: str) -> StoredFusion:
    """The one that is called by its label or number.

    Raises:
        NotFound: there is none.
    """
    number = name.removeprefix(PREFIX)
    for one in fusions:
        if str(one.number) == number:
            return one
    raise NotFound(f"There is no fusion {name!r}", Remedy("fusions.list"))


def add_fusion(store: Store, fusion: Fusion, about: Mapping[str, Any]) -> StoredFusion:
    """Puts it in use, under the next number. The caller holds the lock."""
    known = stored_fusions(store)
    number = max((store.number_setting(f"{_SETTING} last"), *(one.number for one in known))) + 1
    found = StoredFusion(number, fusion, store.now(), dict(about), in_use=True)
    with store.transaction():
        store.set_setting(f"{_SETTING} last", str(number))
        _keep(store, [*known, found], number)
    return found


def use_fusion(store: Store, number: int | None) -> None:
    """Puts the one of that number in use, or none. The caller holds the lock."""
    with store.transaction():
        _keep(store, stored_fusions(store), number)


def remove_fusion(store: Store, number: int) -> None:
    """Takes it out of the library. The caller holds the lock."""
    known = stored_fusions(store)
    in_use = next((one.number for one in known if one.in_use and one.number != number), None)
    with store.transaction():
        _keep(store, [one for one in known if one.number != number], in_use)


def remove_all_fusions(store: Store) -> None:
    """Takes all out of the library, damaged ones too. The caller holds the lock."""
    with store.transaction():
        store.remove_setting(_SETTING)


def _keep(store: Store, fusions: list[StoredFusion], in_use: int | None) -> None:
    fields = {
        str(one.number): {
            "channels": {name: asdict(weights) for name, weights in one.fusion.channels.items()},
            "picture_weight": one.fusion.picture_weight,
            "added": one.added,
            "about": one.about,
        }
        for one in fusions
    }
    store.set_setting(_SETTING, json.dumps({"in_use": in_use, "fusions": fields}))
