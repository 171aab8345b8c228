"""What is written of a photo's place, rating and words, or of a video's length → values of filters."""

from __future__ import annotations

import re
from typing import NamedTuple

from mmsearch.errors import Invalid, NotFound
from mmsearch.records import Near

NEAR_KM = 25.0
_FURTHEST_KM = 20_040.0
_HIGHEST_RATING = 5
_LONGEST_SECONDS = 1e9
_NUMBER = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*(?:km)?\s*")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d(?:\.\d+)?)")


class Around(NamedTuple):
    """A place that was named, and what else is called so: `Paris, United States`."""

    near: Near
    others: tuple[str, ...] = ()


def parse_near(written: str) -> Around:
    """`Lisbon`, `Lisbon,10`, `Lisbon, Portugal, 10`, `38.7,-9.1` or `38.7,-9.1,10`: a place and kilometres around it.

    Of several cities of one name it is the most populous.

    Raises:
        NotFound: the table has no city of that name. Invalid: no place on Earth, or no distance.
    """
    parts = written.split(",")
    numbers = [_number(part) for part in parts]
    if len(parts) in (2, 3) and numbers[0] is not None and numbers[1] is not None:
        latitude, longitude = numbers[0], numbers[1]
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):
            raise Invalid(f"{written!r} is no place: a latitude lies within ±90 degrees, a longitude within ±180.")
        if len(parts) == 3 and numbers[2] is None:
            raise Invalid(f"{parts[2].strip()!r} is no number of kilometres; write a place as 38.7,-9.1,10.")
        return Around(Near(latitude, longitude, _km(numbers[2] if len(parts) == 3 else None)))
    has_km = len(parts) > 1 and numbers[-1] is not None
    return _city(",".join(parts[:-1] if has_km else parts).strip(), _km(numbers[-1] if has_km else None))


def parse_places(written: str) -> tuple[str, ...]:
    """A city or country as it is written and, where other languages call a city so, the names that the table has.

    Raises:
        Invalid: there is no word in it.
    """
    from mmsearch.reading.places import cities_called, folded

    wanted = parse_words(written)
    others = (city.label for city in cities_called(wanted))
    return (wanted, *(label for label in others if f" {folded(wanted)} " not in f" {folded(label)} "))


def parse_words(written: str) -> str:
    """A text with a word in it.

    Raises:
        Invalid: there is none.
    """
    from mmsearch.reading.places import folded

    if not folded(written):
        raise Invalid(f"There is no word in {written!r}; write what is looked for.")
    return written.strip()


def parse_rating(rating: int) -> int:
    """The least rating, 1 to 5.

    Raises:
        Invalid: it is none of these.
    """
    if not 1 <= rating <= _HIGHEST_RATING:
        raise Invalid(f"The rating is {rating}; it must be 1 to {_HIGHEST_RATING}.")
    return rating


def parse_seconds(written: str) -> float:
    """`90`, `1:30` or `1:00:00` → seconds.

    Raises:
        Invalid: it is no length of time.
    """
    text = written.strip()
    clock, number = _CLOCK.fullmatch(text), re.fullmatch(r"\d+(?:\.\d+)?", text)
    if clock is None and number is None:
        raise Invalid(f"{written!r} is no length of time; write seconds as 90, or 1:30.")
    seconds = float(text) if clock is None else 3600 * int(clock[1] or 0) + 60 * int(clock[2]) + float(clock[3])
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise Invalid(f"{written!r} is no length of time that a file has; write seconds as 90, or 1:30.")
    return seconds


def _city(name: str, km: float) -> Around:
    from mmsearch.reading.places import cities_called

    found = cities_called(name)
    if not found:
        raise NotFound(
            f"The table of cities has none called {name!r}; name a larger one, or write latitude and longitude as "
            "38.7,-9.1."
        )
    first, *others = found
    labels = dict.fromkeys(city.label for city in others)
    return Around(Near(first.latitude, first.longitude, km, first.label), tuple(labels))


def _km(number: float | None) -> float:
    if number is None:
        return NEAR_KM
    if not 0 < number <= _FURTHEST_KM:
        raise Invalid(f"{number:g} is no distance in kilometres; it must be more than 0, and no more than 20,040.")
    return number


def _number(written: str) -> float | None:
    match = _NUMBER.fullmatch(written)
    return None if match is None else float(match[1])
