"""How many right answers of a first page a search hides, at a given share of nonsense that finds nothing.

    python -m benchmarks.cut_off PAIRS.jsonl [--sources osie,unsplash-web,bsds500] [--model FOLDER] [--refused 0.93]

PAIRS is a JSONL of {file, source, by_eye: [sentence, query]} or {file, captions}; all captions of the sources are
asked. Nonsense are 4,000 queries of random letters other than those that calibrate. What is told is how it is, and how
it would be if the bound of each query were moved by as much as lets the given share of nonsense find nothing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.tables import table
from mmsearch.encoding.noise import NOISE_QUERIES, noise_queries
from mmsearch.encoding.protocol import text_vectors
from mmsearch.encoding.query_bank import query_bank_of
from mmsearch.evaluation.datasets import Dataset, Example
from mmsearch.evaluation.embedding import EmbeddedDataset, embed
from mmsearch.evaluation.metrics import estimate
from mmsearch.models.opening import open_encoder
from mmsearch.output.estimates import share
from mmsearch.records import FloatMatrix
from mmsearch.searching import scoring

PAGE, NONSENSE, SEED = 10, 4_000, 1


def main() -> None:
    """Encodes the photos and their captions, asks, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--sources", help="take photos of these alone; of all by default")
    parser.add_argument("--model", default="mmsearch-mini")
    parser.add_argument("--refused", type=float, default=0.93)
    asked = parser.parse_args()
    sources = asked.sources.split(",") if asked.sources else None
    lines = [json.loads(line) for line in asked.pairs.read_text("utf-8").splitlines()]
    examples = tuple(
        Example(str(asked.pairs.parent / line["file"]), tuple(line.get("by_eye") or line.get("captions", ())))
        for line in lines
        if sources is None or line.get("source") in sources
    )
    encoder = open_encoder(asked.model)
    dataset = embed(Dataset("photos", "jsonl", examples), encoder, query_bank=query_bank_of(encoder))
    noise, nonsense = (
        text_vectors(noise_queries(count, seed), encoder) for count, seed in ((NOISE_QUERIES, 0), (NONSENSE, SEED))
    )
    blocks = {"image": [(dataset.images.astype(np.float16), dataset.hub_numbers())]}
    curve = scoring.refreshed(encoder.calibration or {}, noise, blocks, dataset.query_bank)["text", "image"]

    def above(queries: FloatMatrix) -> tuple[FloatMatrix, npt.NDArray[np.int64]]:
        """How far above its bound the first page of each query lies, float32 [q, 10], and which photos these are."""
        familiar = [None] * len(queries) if dataset.query_bank is None else dataset.query_bank.familiarity(queries)
        bounds = np.array([scoring.nothing_close(curve, len(dataset.images), one) for one in familiar], np.float32)
        cosines = queries @ dataset.images.T + dataset.hub_numbers().astype(np.float32)
        first = np.argsort(-cosines, axis=1)[:, :PAGE]
        return (np.take_along_axis(cosines, first, axis=1) - bounds[:, np.newaxis]).astype(np.float32), first

    of_nonsense, _ = above(nonsense)
    of_captions, first = above(dataset.texts)
    moved = float(np.quantile(of_nonsense[:, 0], asked.refused))
    rows = []
    for name, bound in (("as it is", 0.0), (f"at {asked.refused:.0%} of nonsense", moved)):
        refused = estimate(of_nonsense[:, 0] <= bound)
        rows.append([name, share(refused), *_of_captions(dataset, of_captions > bound, first)])
    print(f"{len(dataset.images):,} photos, {len(dataset.texts):,} captions, {dataset.model}")
    print(table(["bound", "nonsense that finds nothing", "captions that find something", "right ones hidden"], rows))


def _of_captions(dataset: EmbeddedDataset, is_shown: npt.NDArray[np.bool_], first: npt.NDArray[np.int64]) -> list[str]:
    """The share of captions that are shown something and, of right photos on a first page, those that are hidden."""
    is_right = first == dataset.owners[:, np.newaxis]
    return [share(estimate(is_shown.any(axis=1))), share(estimate(~is_shown[is_right]))]


if __name__ == "__main__":
    main()
