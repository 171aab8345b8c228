"""What a person can write in a query, and what is made of it."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch import Filters, MmsearchError, Query
from mmsearch.files.times import in_local_time
from mmsearch.output import visible
from mmsearch.output.json import to_json
from mmsearch.records import Background
from mmsearch.searching.query import (
    AVOIDED,
    AVOIDED_PICTURE,
    image_term,
    parse_date,
    parse_extension,
    parse_weight,
    text_term,
    text_terms,
)
from mmsearch.searching.scoring import combined, measured, scores
from mmsearch.searching.weighted_terms import WeightedTerm


@pytest.mark.parametrize(
    ("written", "weight", "text"),
    [
        ("dog", 1, "dog"),
        ("2:dog", 2, "dog"),
        ("0.5: dog on beach", 0.5, "dog on beach"),
        (".25:dog", 0.25, "dog"),
        ("1:10:30 train", 1, "10:30 train"),
        ("10:30 train", 1, "10:30 train"),
        ("7:05", 1, "7:05"),
        ("7:5 train", 7, "5 train"),
        ("2:2024 report", 2, "2024 report"),
        ("note: buy milk", 1, "note: buy milk"),
        ("2:", 1, "2:"),
        (":dog", 1, ":dog"),
        ("2:two\nlines", 2, "two\nlines"),
    ],
)
def test_weights(written: str, weight: float, text: str) -> None:
    assert parse_weight(written) == (weight, text)


@given(st.floats(0.01, 100).map(lambda number: round(number, 2)), st.text(min_size=1).filter(lambda text: text.strip()))
def test_any_text_can_be_given_a_weight(weight: float, text: str) -> None:
    assert parse_weight(f"{weight}:{text}") == (weight, text.strip())


@given(st.text())
def test_any_text_is_a_query_or_a_sentence(text: str) -> None:
    try:
        query = Query((text_term(text),))
    except MmsearchError as error:
        assert str(error).endswith(".")
    else:
        assert query.terms[0].value.strip()


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2024", datetime(2024, 1, 1)),
        ("2024-05", datetime(2024, 5, 1)),
        ("2024-05-31", datetime(2024, 5, 31)),
        ("2024-05-31T18:00", datetime(2024, 5, 31, 18)),
        ("2024-05-31 18:00:30", datetime(2024, 5, 31, 18, 0, 30)),
    ],
)
def test_dates(written: str, moment: datetime) -> None:
    assert parse_date(written) == moment


def test_a_date_with_an_offset_is_brought_to_local_time() -> None:
    moment = parse_date("2024-05-31T18:00:00+00:00")
    assert moment.tzinfo is None
    assert moment.timestamp() == datetime.fromisoformat("2024-05-31T18:00:00+00:00").timestamp()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set here")
@pytest.mark.parametrize(
    ("zone", "moment"), [("Pacific/Honolulu", datetime(1, 1, 1)), ("Asia/Tokyo", datetime(9999, 12, 31, 23))]
)
def test_a_date_with_an_offset_that_has_no_local_time_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, zone: str, moment: datetime
) -> None:
    try:
        with monkeypatch.context() as context:
            context.setenv("TZ", zone)
            time.tzset()
            assert parse_date(f"{moment.isoformat()}+00:00") == moment
    finally:
        time.tzset()


def test_files_of_before_1970_have_a_time_on_a_system_that_knows_no_local_one_then() -> None:
    class OnWindows(datetime):
        def astimezone(self, tz: object = None) -> Any:
            raise OSError(22, "Invalid argument")

    assert in_local_time(OnWindows(1955, 6, 7, tzinfo=timezone.utc)).isoformat() == "1955-06-07T00:00:00+00:00"


@given(st.text(max_size=12))
def test_any_date_is_a_moment_or_a_sentence(written: str) -> None:
    try:
        assert parse_date(written).tzinfo is None
    except MmsearchError as error:
        assert "is not a date" in str(error)


def test_extensions() -> None:
    assert parse_extension("JPG") == parse_extension("*.jpg") == (".jpg",)
    assert parse_extension(".jpg,png , TAR.gz") == (".jpg", ".png", ".tar.gz")


def test_no_filters_are_false_and_any_is_true() -> None:
    assert not Filters()
    assert Filters(medium="image")
    assert Filters(before=datetime(2020, 1, 1))


BACKGROUND = Background(mean=0.1, std=0.05, midpoint=3.0, slope=2.0, noise_mean=0.1, noise_std=0.04)


def test_the_score_at_the_midpoint_is_one_half() -> None:
    found = scores(np.array([0.1 + 3 * 0.05], np.float32), BACKGROUND)
    assert found[0] == pytest.approx(0.5, abs=1e-4)


@given(st.lists(st.floats(-1, 1, width=32), min_size=2))
def test_scores_rise_with_the_cosine_and_stay_between_0_and_1(cosines: list[float]) -> None:
    found = scores(np.array(sorted(cosines), np.float32), BACKGROUND)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_one_term_has_its_own_background_and_two_have_their_sum() -> None:
    calibration = {(asked, answering): BACKGROUND for asked in ("image", "text") for answering in ("image", "text")}
    first, second = np.eye(2, dtype=np.float32)
    one = combined(calibration, [WeightedTerm("text", 1.0, first)], "image")
    assert (one.mean, one.midpoint, one.slope) == (BACKGROUND.mean, BACKGROUND.midpoint, BACKGROUND.slope)
    assert one.std == pytest.approx(BACKGROUND.std)
    twice = combined(calibration, [WeightedTerm("text", 0.5, first), WeightedTerm("text", 0.5, first)], "image")
    assert twice.std == pytest.approx(BACKGROUND.std)
    both = combined(calibration, [WeightedTerm("text", 0.6, first), WeightedTerm("image", 0.8, second)], "image")
    assert both.mean == pytest.approx(0.14)
    assert both.std == pytest.approx(0.05)
    assert [both.midpoint, both.slope] == pytest.approx([3.0, 2.0])


def test_a_background_is_read_off_vectors() -> None:
    chance = np.random.default_rng(0)
    samples = {}
    for modality in ("image", "text"):
        rows = chance.normal(size=(500, 64)) + (4 if modality == "text" else 0)
        samples[modality] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    calibration = measured(samples)
    assert calibration["text", "text"].mean > 0.9
    assert abs(calibration["image", "image"].mean) < 0.02
    assert calibration["image", "image"].std == pytest.approx(1 / 8, rel=0.1)


@given(st.text())
def test_what_is_shown_cannot_steer_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    shown.encode("utf-8")


@given(st.binary(max_size=40))
def test_any_name_survives_json(name: bytes) -> None:
    import json
    import os

    written = to_json({"path": os.fsdecode(name)})
    assert written.isascii()
    assert os.fsencode(json.loads(written)["path"]) == name


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("a street without cars", [("a street", 1.0), ("cars", -AVOIDED)]),
        ("2:beach, no people", [("beach", 2.0), ("people", -2 * AVOIDED)]),
        ("1:5:a letter without 3:stamps", [("5:a letter", 1.0), ("3:stamps", -AVOIDED)]),
        ("no cars in the street", [("the street", 1.0), ("cars", -AVOIDED)]),
        ("Nobody on the beach", [("the beach", 1.0), ("people", -AVOIDED)]),
        ("0.5:no one at the table", [("the table", 0.5), ("people", -0.5 * AVOIDED)]),
        ("nobody", [("nobody", 1.0)]),
        ("no parking", [("no parking", 1.0)]),
        ('"beach without people"', [('"beach without people"', 1.0)]),
    ],
)
def test_a_short_text_says_what_it_is_to_be_without(typed: str, terms: list[tuple[str, float]]) -> None:
    assert [(term.value, term.weight) for term in text_terms(typed)] == terms


def test_a_letter_is_searched_for_as_a_whole() -> None:
    letter = "Dear Ana,\nwithout your help " + "I would not have found the house by the lake. " * 5
    assert [term.value for term in text_terms(letter)] == [letter]


def test_of_a_picture_to_be_avoided_less_is_taken_away(tmp_path: Path) -> None:
    for name in ("a.jpg", "2:a.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert image_term(str(tmp_path / "a.jpg")).weight == 1.0
    assert image_term(str(tmp_path / "a.jpg"), -1).weight == -AVOIDED_PICTURE
    assert image_term(f"1:{tmp_path / 'a.jpg'}", -1).weight == -1.0
    assert image_term(str(tmp_path / "2:a.jpg"), -1).weight == -AVOIDED_PICTURE
