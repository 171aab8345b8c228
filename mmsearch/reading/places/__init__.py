"""Coordinates → the nearest city, and a city's name → its coordinates, by a table that comes with the package.

The table is made by recipe/cities.py; README.md beside this module says from what. It is loaded when it is first asked.
"""

from __future__ import annotations

import gzip
import os
import re
import threading
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.records import EARTH_KM

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TABLE = os.path.join(os.path.dirname(__file__), "cities.tsv.gz")
FURTHEST_KM = 50.0
_MARKS = re.compile(r"[\W_]+")
_loading = threading.Lock()


@dataclass(frozen=True)
class City:
    """A city of the table, by its name there and that of its country in English; latitude and longitude in degrees."""

    name: str
    country: str
    latitude: float
    longitude: float
    population: int

    @property
    def label(self) -> str:
        """`Lisbon, Portugal`."""
        return f"{self.name}, {self.country}" if self.country else self.name


def nearest_city(latitude: float, longitude: float) -> City | None:
    """The city whose centre is nearest, None where none lies within FURTHEST_KM. Degrees, north and east positive."""
    import numpy as np

    table = _table()
    place = unit_vectors([latitude], [longitude])[0]
    cosines = table.centres @ place
    number = int(cosines.argmax())
    if float(np.arccos(min(1.0, cosines[number]))) * EARTH_KM > FURTHEST_KM:
        return None
    return table.city(number)


def cities_called(name: str) -> list[City]:
    """The cities of that name, the most populous first; `Paris, France` or `Paris, FR` names a country too.

    Case and accents do not matter, and of large cities other languages' names are known too.
    """
    table = _table()
    found = table.called(folded(name))
    if not found and "," in name:
        city, _, country = name.rpartition(",")
        wanted = folded(country)
        found = [one for one in table.called(folded(city)) if wanted in table.country_names(one)]
    return sorted((table.city(number) for number in found), key=lambda city: -city.population)


def folded(text: str) -> str:
    """The words of a text in small letters without accents, with one space between them."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return _MARKS.sub(" ", plain).strip()


def unit_vectors(latitudes: npt.ArrayLike, longitudes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Points of the unit sphere, float64 [n, 3], of degrees [n]."""
    import numpy as np

    north, east = np.radians(latitudes), np.radians(longitudes)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=1)


@dataclass(frozen=True)
class _Table:
    """All cities: `latitudes` and `longitudes` in degrees, float64 [n], and `lines` [n] with the rest, joined too.

    `centres`, float64 [m, 3], are the first ones, which do not lie within larger ones.
    """

    countries: dict[str, str]
    latitudes: npt.NDArray[np.float64]
    longitudes: npt.NDArray[np.float64]
    lines: list[str]
    joined: str
    centres: npt.NDArray[np.float64]

    def city(self, number: int) -> City:
        population, code, name = self.lines[number].split("\t", 3)[:3]
        latitude, longitude = float(self.latitudes[number]), float(self.longitudes[number])
        return City(name, self.countries.get(code, code), latitude, longitude, int(population))

    def called(self, name: str) -> list[int]:
        """The numbers of the cities with that folded name."""
        if not name:
            return []
        places = [match.start() for match in re.finditer(rf"\t{re.escape(name)}(?=[\t\n])", self.joined)]
        return list(dict.fromkeys(self.joined.count("\n", 0, place) for place in places))

    def country_names(self, number: int) -> tuple[str, str]:
        code = self.lines[number].split("\t", 2)[1]
        return folded(code), folded(self.countries.get(code, code))


_loaded: list[_Table] = []


def _table() -> _Table:
    with _loading:
        if not _loaded:
            _loaded.append(_read_table())
        return _loaded[0]


def _read_table() -> _Table:
    import numpy as np

    with gzip.open(TABLE, "rt", encoding="utf-8") as file:
        countries, places, cities = file.read().split("\n\n")
    count, *degrees = places.split("\n")
    latitudes, longitudes = (np.array(written.split(), np.float64) for written in degrees)
    named = dict(line.split("\t") for line in countries.split("\n"))
    centres = unit_vectors(latitudes[: int(count)], longitudes[: int(count)])
    return _Table(named, latitudes, longitudes, cities.split("\n"), f"{cities}\n", centres)
