"""What the server has done and holds, as Prometheus reads it (text format 0.0.4); nothing of queries or files."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


# Of searches: hits, none, the answer that the client has already, or an error.
OUTCOMES = ("hits", "none", "unchanged", "refused")
# By its name what a value is, of which kind ("gauge" or "counter"), and its values by their labels.
Told = Mapping[str, tuple[str, str, Mapping[str, float]]]


class Metrics:
    """Counts answers by endpoint and status, and how long they took. Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, int]] = Counter()
        self._searches: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self._within: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """One request of that endpoint, which took so long until its answer began."""
        with self._lock:
            self._answers[endpoint, status] += 1
            counts = self._within.setdefault(endpoint, [0] * (len(_BOUNDS) + 1))
            counts[bisect_left(_BOUNDS, seconds)] += 1
            self._seconds[endpoint] = self._seconds.get(endpoint, 0.0) + seconds

    def searched(self, outcome: str) -> None:
        """One search, of which that came."""
        with self._lock:
            self._searches[outcome] += 1

    def text(self, told: Told) -> str:
        """All of it, with what else is told."""
        return "".join(f"{line}\n" for line in self._lines(told))

    def _lines(self, told: Told) -> Iterator[str]:
        with self._lock:
            answers, seconds, searches = dict(self._answers), dict(self._seconds), dict(self._searches)
            within = {endpoint: list(counts) for endpoint, counts in self._within.items()}
        yield "# HELP mmsearch_requests_total Requests that were answered."
        yield "# TYPE mmsearch_requests_total counter"
        for (endpoint, status), count in sorted(answers.items()):
            yield f'mmsearch_requests_total{{endpoint="{endpoint}",status="{status}"}} {count}'
        yield "# HELP mmsearch_searches_total Searches and lists by what came of them."
        yield "# TYPE mmsearch_searches_total counter"
        for outcome, count in searches.items():
            yield f'mmsearch_searches_total{{outcome="{outcome}"}} {count}'
        yield "# HELP mmsearch_request_seconds How long it took until an answer began, waiting included."
        yield "# TYPE mmsearch_request_seconds histogram"
        for endpoint, counts in sorted(within.items()):
            total = 0
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=True):
                total += count
                yield f'mmsearch_request_seconds_bucket{{endpoint="{endpoint}",le="{bound}"}} {total}'
            yield f'mmsearch_request_seconds_sum{{endpoint="{endpoint}"}} {seconds[endpoint]:.6f}'
            yield f'mmsearch_request_seconds_count{{endpoint="{endpoint}"}} {total}'
        for name, (about, kind, values) in told.items():
            yield f"# HELP {name} {about}"
            yield f"# TYPE {name} {kind}"
            for labels, value in values.items():
                yield f"{name}{labels} {value:g}"
