"""A stand-in for the model that rclip downloads, for machines that cannot: the same shapes, random weights.

    python -m benchmarks.peer_stand_in FOLDER --vocabulary bpe_simple_vocab_16e6.txt.gz

What it finds means nothing; how long it takes is what the real one takes. Run rclip with RCLIP_DATADIR=FOLDER. Needs
the clip extra and onnx; the vocabulary is part of the package open_clip_torch.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

MODEL = "ViT-B-32-256-datacomp_s34b_b86k"
SIDE, CONTEXT, DIMENSION = 256, 77, 512


def main() -> None:
    """Writes the two towers and the vocabulary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True)
    asked = parser.parse_args()

    import torch

    from mmsearch.encoding.runtime import silenced

    transformers = silenced("transformers")
    vision = transformers.CLIPVisionConfig(image_size=SIDE, patch_size=32, projection_dim=DIMENSION)
    text = transformers.CLIPTextConfig(projection_dim=DIMENSION)
    config = transformers.CLIPConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), projection_dim=DIMENSION
    )
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    model = transformers.CLIPModel(config).eval()

    class Tower(torch.nn.Module):
        def __init__(self, visual: bool) -> None:
            super().__init__()
            self.body = model.vision_model if visual else model.text_model
            self.head = model.visual_projection if visual else model.text_projection

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(values).pooler_output)

    place = asked.folder / MODEL
    place.mkdir(parents=True, exist_ok=True)
    examples = {"visual": torch.zeros(2, 3, SIDE, SIDE), "textual": torch.ones(2, CONTEXT, dtype=torch.int64)}
    for name, example in examples.items():
        torch.onnx.export(
            Tower(name == "visual"),
            (example,),
            str(place / f"{name}.onnx"),
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
    (asked.folder / "tokenizer").mkdir(exist_ok=True)
    shutil.copy(asked.vocabulary, asked.folder / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz")


if __name__ == "__main__":
    main()
