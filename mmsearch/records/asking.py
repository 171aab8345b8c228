"""What is asked with: models and what their cosines mean, filters, readings of texts, pages of lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from mmsearch.records.kinds import Medium, Modality

# The radius of the sphere on which places are held to lie.
EARTH_KM = 6371.0


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a vector. Vectors are comparable only where `fingerprint` is equal.

    The fingerprint covers the name, the revision, the weights, the dimension, the preprocessing, and the adapter
    where there is one.
    """

    name: str
    revision: str
    dimension: int
    fingerprint: str
    adapter: str = ""

    @property
    def label(self) -> str:
        """The name and revision as they are shown, for example `mmsearch-mini@1` or `mmsearch-mini@1+pets@2`."""
        return f"{self.name}@{self.revision}" + (f"+{self.adapter}" if self.adapter else "")


@dataclass(frozen=True)
class Background:
    """How the cosines of unrelated pairs lie for one query modality and one item modality, and what a match is.

    The calibrated score of a cosine c is `1 / (1 + exp(-slope * ((c - mean) / std - midpoint)))`: a logistic
    calibration (Platt, "Probabilistic Outputs for Support Vector Machines", 1999) of the cosine's distance from
    the background in standard deviations. `noise_mean` and `noise_std` describe the upper tail of the cosines of a
    query that asks for nothing there is; `scoring.nothing_close` uses them. They hold for a query that is as familiar
    to the query bank as `noise_familiarity`, the mean of such queries; None where that was not looked at.
    """

    mean: float
    std: float
    midpoint: float
    slope: float
    noise_mean: float
    noise_std: float
    noise_familiarity: float | None = None


# (query modality, item modality) -> the background of that pairing
Calibration = Mapping[tuple[Modality, Modality], Background]


@dataclass(frozen=True)
class Near:
    """So many kilometres around a place, in degrees, north and east positive; a city has a `name`."""

    latitude: float
    longitude: float
    km: float = 25.0
    name: str | None = None


@dataclass(frozen=True)
class Filters:
    """Which files may be hits; applied before the ranking.

    `folders`, and `not_folders`, in which they are not, are absolute paths as bytes, `extensions` lower-case with
    their dot. `after` is included and `before` excluded: naive local date-times, compared with the EXIF date where
    there is one, else with the file's modification time. The others compare what a file, or a sidecar of it, says:
    `camera` and `lens` stand in it; `near` is around the place; one of `places` are words of the city's or
    country's name; `rating` is at least that; each of `keywords` are words of one of its keywords. Letters' case
    and accents do not matter. `longer` and `shorter` are seconds, not included.
    """

    medium: Medium | None = None
    folders: tuple[bytes, ...] = ()
    extensions: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None
    camera: str | None = None
    lens: str | None = None
    near: Near | None = None
    places: tuple[str, ...] = ()
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    longer: float | None = None
    shorter: float | None = None
    not_folders: tuple[bytes, ...] = ()

    def json_fields(self) -> dict[str, Any]:
        """Those that filter anything."""
        described = {
            "type": self.medium,
            "in": self.folders,
            "not_in": self.not_folders,
            "ext": self.extensions,
            "after": self.after,
            "before": self.before,
            "camera": self.camera,
            "lens": self.lens,
            "near": self.near,
            "place": self.places,
            "rating": self.rating,
            "keyword": self.keywords,
            "longer": self.longer,
            "shorter": self.shorter,
        }
        return {name: value for name, value in described.items() if value}

    def __bool__(self) -> bool:
        return bool(self.json_fields())


@dataclass(frozen=True)
class Reading:
    """How a text was read that is not in English: the code of its `language` (ISO 639-1), and what it says in
    `english`, the best guess first.

    The language is None for one that is not read, and nothing is in `english` where no word of it is known: such a
    text is searched as it was typed.
    """

    language: str | None
    english: tuple[str, ...] = ()


class Listing(NamedTuple):
    """A page of a list of files: by date, the newest first, or by path; those of one content once, or each of them.

    With a `seed` (0 to 2**64 - 1) they come in an order that is drawn by it and by nothing else. `away` are folders and
    files that are not there: of one content, what lies elsewhere goes before what lies in them.
    """

    by_date: bool
    offset: int
    limit: int
    copies: bool
    seed: int | None = None
    away: tuple[bytes, ...] = ()
