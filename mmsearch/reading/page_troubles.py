"""What was wrong with pages of a file → a few words that name the pages: "pages 3 and 7–9 left out: damaged PDF"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

# A scan of which every second page is damaged is not told page by page.
_MOST_RUNS = 12


class PageTroubles(Sequence[str]):
    """What is told once the pages are through: first what concerns all of the file, then pages by what was wrong."""

    def __init__(self, *of_file: str) -> None:
        self._of_file = of_file
        self._pages: dict[str, list[int]] = {}

    def left_out(self, page: int, reason: str) -> None:
        self._pages.setdefault(f" left out: {reason}", []).append(page)

    def in_part(self, page: int, reason: str) -> None:
        self._pages.setdefault(f" only in part: {reason}", []).append(page)

    def _told(self) -> list[str]:
        return [*self._of_file, *(named(pages) + reason for reason, pages in self._pages.items())]

    def __len__(self) -> int:
        return len(self._of_file) + len(self._pages)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._told()[index]


def named(pages: Sequence[int]) -> str:
    """Pages by their numbers: "page 3", "pages 3, 7–9 and 12"."""
    runs = list(_runs(sorted(pages)))
    said = [f"{first:,}" if first == last else f"{first:,}–{last:,}" for first, last in runs[:_MOST_RUNS]]
    if len(runs) > _MOST_RUNS:
        said.append(f"{sum(last - first + 1 for first, last in runs[_MOST_RUNS:]):,} more")
    *others, last_said = said
    return f"page{'s' if len(pages) > 1 else ''} {', '.join(others)}{' and ' if others else ''}{last_said}"


def _runs(pages: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last page of each stretch without a gap."""
    first = last = pages[0]
    for page in pages[1:]:
        if page > last + 1:
            yield first, last
            first = page
        last = page
    yield first, last
