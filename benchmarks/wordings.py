"""What the words around a query cost ("my cat", "show me a cat"), and whether templates gain something.

    python -m benchmarks.wordings PAIRS.jsonl [--sources osie,unsplash-web,bsds500] [--model FOLDER] [--photos 1000]

PAIRS is a JSONL of {file, source, by_eye: [sentence, query]}. Each photo is looked for by its query as it is, with such
words around it, and by the mean of the query in several templates (the prompt ensemble of CLIP: Radford et al., 2021).
Of each is told how many photos are among the first ten, and the difference to the query as it is.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.tables import table
from mmsearch.encoding.protocol import text_vectors
from mmsearch.encoding.query_bank import query_bank_of
from mmsearch.evaluation.datasets import Dataset, Example
from mmsearch.evaluation.embedding import embed
from mmsearch.evaluation.metrics import estimate
from mmsearch.models.opening import open_encoder
from mmsearch.output.estimates import percent
from mmsearch.records import FloatMatrix

AROUND = ("my {}", "the {}", "photo of {}", "show me {}", "find pictures of {}", "that photo of my {}")
TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "a close-up of {}")
FIRST = 10


def main() -> None:
    """Encodes the photos and the queries, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--sources", default="osie,unsplash-web,bsds500", help="take photos of these")
    parser.add_argument("--model", default="mmsearch-mini")
    parser.add_argument("--photos", type=int, default=1_000)
    asked = parser.parse_args()
    wanted = set(asked.sources.split(","))
    lines = [json.loads(line) for line in asked.pairs.read_text("utf-8").splitlines()]
    lines = [line for line in lines if line["source"] in wanted and len(line.get("by_eye", ())) == 2]
    lines = random.Random(3).sample(lines, min(asked.photos, len(lines)))
    encoder = open_encoder(asked.model)
    examples = tuple(Example(str(asked.pairs.parent / line["file"])) for line in lines)
    dataset = embed(Dataset("photos", "jsonl", examples), encoder, query_bank=query_bank_of(encoder))
    numbers = dataset.hub_numbers().astype(np.float32)
    queries = [line["by_eye"][1] for line in lines]

    def of_template(template: str) -> FloatMatrix:
        return text_vectors([template.format(query) for query in queries], encoder)

    def found(vectors: FloatMatrix) -> npt.NDArray[np.float64]:
        cosines = vectors @ dataset.images.T + numbers
        own = np.diag(cosines)[:, np.newaxis]
        is_found: npt.NDArray[np.bool_] = (cosines > own).sum(axis=1) < FIRST
        return is_found.astype(np.float64)

    plain = of_template("{}")
    means = np.mean([plain, *(of_template(one) for one in TEMPLATES[1:])], axis=0)
    ways = {"as it is": plain, **{f'"{one.format("…")}"': of_template(one) for one in AROUND}}
    ways[f"the mean of {len(TEMPLATES)} templates"] = means / np.linalg.norm(means, axis=1, keepdims=True)
    as_it_is = found(plain)
    rows = [
        [name, percent(estimate(found(vectors))), percent(estimate(found(vectors) - as_it_is), "+.1f")]
        for name, vectors in ways.items()
    ]
    print(f"{len(lines):,} photos and queries, {dataset.model}")
    print(table(["the query", "R@10", "more than as it is"], rows))


if __name__ == "__main__":
    main()
