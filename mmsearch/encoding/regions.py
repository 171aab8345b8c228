"""Regions of a picture as vectors of a model's space: of what is where in it, beside what the whole of it is.

Not every model has them, so they are no part of what an `Encoder` must do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from mmsearch.encoding.protocol import Encoder
from mmsearch.records import FloatMatrix, Region

if TYPE_CHECKING:
    from PIL.Image import Image

WHOLE: Region = (0.0, 0.0, 1.0, 1.0)


class RegionGrid(NamedTuple):
    """Vectors of the cells of a grid over the rectangle of a picture that the model has `seen`, in shares of it.

    `vectors` are unit, float32 [rows, columns, dimension], and may be compared with those of texts.
    """

    vectors: FloatMatrix
    seen: Region


@runtime_checkable
class SeesRegions(Protocol):
    """The part of an encoder that gives regions, where it has one."""

    def regions(self, picture: Image) -> RegionGrid | None:
        """Those of an RGB picture of any size; None where this very model has none."""


def regions_of(encoder: Encoder, picture: Image) -> RegionGrid | None:
    """The regions of a picture, RGB, as the encoder sees them; None where it tells none apart."""
    return encoder.regions(picture) if isinstance(encoder, SeesRegions) else None


def central_square(picture: Image) -> Region:
    """The central square of a picture: what a model sees that cuts off what is too long."""
    width, height = picture.size
    across, down = min(1.0, height / width), min(1.0, width / height)
    return ((1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2)
