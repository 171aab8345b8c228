"""What a score means, and when a person is told that nothing is close."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Mmsearch

from mmsearch import Library, Query
from mmsearch.encoding.adapted import AdaptedEncoder, Adapter, LowRankMap
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.encoding.calibration import as_json, from_json
from mmsearch.encoding.noise import noise_queries, noise_vectors
from mmsearch.encoding.query_bank import QueryBank
from mmsearch.records import Background, Calibration
from mmsearch.searching.query import image_term, text_term
from mmsearch.searching.scoring import (
    FALSE_ALARMS,
    LEAST_SCORE,
    noise_figures,
    nothing_close,
    refreshed,
    scores,
)

OWN = Background(mean=0.0, std=0.1, midpoint=4.0, slope=2.0, noise_mean=0.0, noise_std=0.06)


def calibration() -> Calibration:
    return {(asked, answering): OWN for asked in ("image", "text") for answering in ("image", "text")}


def unit(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_the_noise_that_ships_is_what_the_model_makes_of_it() -> None:
    encoder, chance = BuiltinEncoder(), np.random.default_rng(4)
    size = encoder.identity.dimension
    other = LowRankMap(unit(chance.normal(size=(size, 8))), unit(chance.normal(size=(8, size))))
    adapted = AdaptedEncoder(encoder, Adapter("other", 1, "", {"text": other}, encoder.calibration))
    moved = (noise_vectors(encoder) * noise_vectors(adapted)).sum(axis=1)
    assert moved.max() < 0.99
    for one in (encoder, adapted):
        shipped, encoded = noise_vectors(one), one.encode("text", noise_queries())
        assert shipped is one.noise and shipped.shape == encoded.shape
        assert (shipped * encoded).sum(axis=1).min() > 0.999


@pytest.mark.parametrize("nonsense", ["asdf qwer", "xyzzy plugh", "a submarine", "monetary policy"])
def test_a_query_for_what_is_not_there_says_so(mmsearch: Mmsearch, indexed: Path, nonsense: str) -> None:
    done = mmsearch("search", nonsense, library=indexed)
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("mmsearch: nothing close; the nearest is /")
    everything = mmsearch("search", nonsense, "--min-score", "0", "--paths", library=indexed)
    assert len(everything.out.splitlines()) == 10


def test_only_what_is_close_is_shown(indexed: Path) -> None:
    shown = {os.path.basename(hit.path) for hit in Library(indexed).search("a cat").hits}
    assert shown == {"cat.png", "kitten.txt"}


@pytest.mark.slow
def test_most_nonsense_finds_nothing_and_most_real_queries_find_something(indexed: Path) -> None:
    library = Library(indexed)
    silent = sum(not result.hits for result in library.search_many(noise_queries(60, seed=99)))
    assert silent >= 45
    real = ["a cat", "coffee", "a camera on a tripod", "a temple", "a flower", "a motorcycle", "income tax", "kittens"]
    assert all(result.hits for result in library.search_many(real))


def test_nonsense_finds_nothing_whatever_it_is_to_be_without(mmsearch: Mmsearch, indexed: Path) -> None:
    assert mmsearch("search", "xyzzy plugh", "--not", "people", library=indexed).code == 1
    assert mmsearch("search", "asdf qwer without people", library=indexed).code == 1
    assert mmsearch("search", "a cat", "--not", "people", library=indexed).code == 0


def test_an_example_always_finds_its_nearest(indexed: Path, photos: Path) -> None:
    bricks = image_term(str(photos / "photos" / "bricks.png"))
    result = Library(indexed).search(Query((bricks,), limit=50))
    assert len(result.hits) == 17
    assert result.thresholds == {"image": 0.0, "text": 0.0}


def test_a_score_of_ones_own_replaces_the_threshold(indexed: Path) -> None:
    result = Library(indexed).search(Query((text_term("a cat"),), min_score=0.99))
    assert result.hits == ()
    assert result.thresholds == {"image": 0.99, "text": 0.99}
    assert result.nearest is not None
    assert result.nearest.score < 0.99


def test_the_library_is_measured_once_and_again_when_it_has_changed(library: Library, home: Path) -> None:
    def measured() -> str | None:
        return library._access.reading().setting("calibration")

    library.index([home])
    first = measured()
    assert first is not None
    library.index([home])
    assert measured() == first
    (home / "more.txt").write_text("Nine ravens sit on the town hall.", encoding="utf-8")
    library.index([home])
    assert measured() != first


def test_what_an_older_version_measured_holds_until_it_is_measured_again(library: Library, home: Path) -> None:
    """It told how familiar queries are by other numbers; what else it measured goes on."""

    def thresholds() -> list[float]:
        return [value for query in ("asdf qwer", "a cat") for value in library.search(query).thresholds.values()]

    library.index([home])
    measured = library._access.reading().setting("calibration")
    assert measured is not None
    expected = thresholds()
    older = json.loads(measured)
    for known in older.values():
        for curve in known["curves"].values():
            curve.pop("noise_familiarity", None)
            curve["familiarity"] = 0.35
    with library._access.writing() as store, store.transaction():
        store.set_setting("calibration", json.dumps(older))
    assert thresholds() == pytest.approx(expected, abs=1e-4)
    library.index([home])
    assert library._access.reading().setting("calibration") == measured
    assert thresholds() == expected


def test_the_bound_rises_with_the_number_of_items() -> None:
    bounds = [nothing_close(OWN, rows) for rows in (1, 10, 1_000, 1_000_000)]
    assert bounds == sorted(bounds)
    assert bounds[0] == pytest.approx(0.06 * 1.2816, abs=1e-3)  # the 90 % quantile of one normal number


def test_the_bound_falls_as_a_query_is_nearer_to_what_people_ask_but_never_below_the_least_score() -> None:
    curve = replace(OWN, noise_familiarity=1.5)
    bound = nothing_close(curve, 100_000)
    assert nothing_close(curve, 100_000, 1.5) == bound == nothing_close(OWN, 100_000, 7.0)
    assert nothing_close(curve, 100_000, 1.0) == pytest.approx(bound + 0.5 * OWN.std)
    assert nothing_close(curve, 100_000, 1.7) == pytest.approx(bound - 0.2 * OWN.std)
    least = nothing_close(curve, 100_000, 10.0)
    assert scores(np.array([least], np.float32), curve)[0] == pytest.approx(LEAST_SCORE, abs=1e-4)


def test_familiar_queries_find_what_the_bound_of_nonsense_would_hide() -> None:
    """Queries that are like those of the bank reach as far into the gallery as they are like them."""
    chance = np.random.default_rng(5)
    bank = QueryBank(unit(chance.normal(size=(300, 64))), sharpness=8.0, centre=0.0)
    noise = unit(chance.normal(size=(128, 64)))
    known = {pair: replace(curve, noise_std=1 / 8) for pair, curve in calibration().items()}
    rows, uncorrected = unit(chance.normal(size=(2_000, 64))).astype(np.float16), np.zeros(2_000, np.float16)
    plain = refreshed(known, noise, {"image": [(rows, uncorrected)]})["text", "image"]
    found = refreshed(known, noise, {"image": [(rows, uncorrected)]}, bank)["text", "image"]
    assert plain.noise_familiarity is None
    assert found.noise_familiarity == pytest.approx(float(bank.familiarity(noise).mean()), abs=1e-5)
    asked = unit(bank.vectors[:50] + 0.3 * chance.normal(size=(50, 64)) / 8)
    lowered = np.array([nothing_close(found, 2_000, float(one)) for one in bank.familiarity(asked)])
    assert (lowered < nothing_close(plain, 2_000)).all()
    others = unit(chance.normal(size=(500, 64)))
    bounds = np.array([nothing_close(found, 2_000, float(one)) for one in bank.familiarity(others)])
    passed = (others @ rows.astype(np.float32).T).max(axis=1) > bounds
    assert passed.mean() < 2 * FALSE_ALARMS


# What people write of photos, in words that few others use.
RARELY_SAID = (
    "a boy in a red shirt pulls back a big slingshot",
    "a farmer in a straw hat holds a gps device out in a field",
    "a man holds a tall gold trophy up to the sky",
    "four video games, a watch, a torch and pocket knives on a bedspread",
    "spray paint cans, a toy gun and tape on a round table",
    "smoothie at the cafe with daisies",
    "junior cricket batsman",
    "woman in hijab at pc",
)


def test_what_people_ask_is_more_familiar_than_random_letters_though_the_bank_has_no_such_text() -> None:
    encoder = BuiltinEncoder()
    bank = encoder.query_bank
    assert bank is not None
    noise = bank.familiarity(encoder.encode("text", noise_queries(400, seed=9)))
    assert (bank.familiarity(encoder.encode("text", RARELY_SAID)) > np.quantile(noise, 0.9)).all()


def test_what_all_texts_of_a_model_have_in_common_makes_none_familiar() -> None:
    """Some models have all texts in a narrow cone: then random letters too are near to the whole bank."""
    chance = np.random.default_rng(6)
    kinds, common = chance.normal(size=(30, 64)), 8 * chance.normal(size=64)
    texts = kinds[np.arange(300) % 30] + 0.8 * chance.normal(size=(300, 64))
    like_them, unlike = kinds + 0.8 * chance.normal(size=(30, 64)), chance.normal(size=(30, 64))
    for shared in (0 * common, common):
        bank = QueryBank(unit(texts + shared), sharpness=8.0, centre=0.0)
        assert bank.familiarity(unit(like_them + shared)).min() > bank.familiarity(unit(unlike + shared)).max()


def test_nonsense_passes_the_bound_as_seldom_as_promised() -> None:
    chance = np.random.default_rng(1)
    cosines = chance.normal(0.02, 0.05, (2_000, 400)).astype(np.float32)
    mean, std, _ = noise_figures(cosines)
    assert mean == pytest.approx(0.02, abs=1e-3)
    curve = Background(0.0, 0.1, 4.0, 2.0, mean, std)
    fresh = chance.normal(0.02, 0.05, (2_000, 400)).max(axis=1)
    assert (fresh > nothing_close(curve, 400)).mean() == pytest.approx(FALSE_ALARMS, abs=0.03)


def test_a_library_where_everything_is_near_to_nonsense_moves_its_background() -> None:
    chance = np.random.default_rng(2)
    noise = unit(chance.normal(size=(128, 64)) + 0.3)
    rows = unit(chance.normal(size=(2_000, 64)) + 0.3).astype(np.float16)
    uncorrected = np.zeros(2_000, np.float16)
    few = refreshed(calibration(), noise, {"image": [(rows[:5], uncorrected[:5])]})["text", "image"]
    parts = [(rows[:7], uncorrected[:7]), (rows[7:], uncorrected[7:])]
    many = refreshed(calibration(), noise, {"image": parts})["text", "image"]
    nearest = (noise @ rows.astype(np.float32).T).max(axis=1)
    assert OWN.mean < few.mean < many.mean
    assert many.mean == pytest.approx(float((noise @ rows.astype(np.float32).T).mean()) * 2000 / 2200, abs=1e-3)
    assert (nearest > nothing_close(many, 2_000)).mean() < 0.3
    assert scores(np.array([0.5], np.float32), many)[0] < scores(np.array([0.5], np.float32), OWN)[0]


def test_what_was_not_measured_stays_as_the_model_says() -> None:
    found = refreshed(calibration(), np.eye(4, dtype=np.float32), {"text": []})
    assert found == calibration()


def test_a_calibration_survives_being_written() -> None:
    assert from_json(as_json(calibration())) == calibration()
    own = BuiltinEncoder().calibration
    assert from_json(as_json(own)) == own
    older = {pair: {**numbers, "familiarity": 0.35} for pair, numbers in as_json(calibration()).items()}
    assert from_json(older) == calibration()


def test_nonsense_is_the_same_for_the_same_seed() -> None:
    assert noise_queries(20, seed=3) == noise_queries(20, seed=3)
    assert noise_queries(20, seed=3) != noise_queries(20, seed=4)
    assert all(query.replace(" ", "").isalpha() for query in noise_queries())
