"""How the built-in model is made: what is held out, which text a photo is shown with, how people ask."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="the recipe trains with torch")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A training folder without its pictures: five sources of ten photos."""
    rows = []
    for source in ("coco", "osie", "pacs-photo", "lspet", "flowers102"):
        for number in range(10):
            row: dict[str, Any] = {"file": f"images/{source}/{number}.jpg", "source": source}
            if source in ("pacs-photo", "flowers102"):
                row["label"] = "dog"
            else:
                row["by_eye"] = [f"a sentence of {source} {number}", f"{source} {number}"]
            if source == "coco":
                row["captions"] = [f"what a person said of {number}"]
            rows.append(json.dumps(row))
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_what_is_held_out_trains_nothing(folder: Path) -> None:
    from recipe.data import SplitConfig, load_photos, split_everything, split_photos

    photos = load_photos(folder)
    split = split_photos(photos, SplitConfig(captioned=4, others=("osie",)))
    assert Counter(photos[i].source for i in split.held_out) == {"coco": 4, "osie": 10}
    assert Counter(photos[i].source for i in split.train) == {"coco": 6, "lspet": 10, "flowers102": 10}
    assert not set(split.train) & set(split.held_out)
    assert split == split_photos(photos, SplitConfig(captioned=4, others=("osie",)))
    assert len(split_everything(photos).train) == len(photos)


def test_a_photo_is_shown_with_its_own_texts_and_those_of_narrow_sources_less_often(folder: Path) -> None:
    import torch

    from recipe.data import load_photos
    from recipe.pairing import OwnAndBank, Pairing, PairingConfig, TextVectors, own_texts

    photos = load_photos(folder)
    texts, rows = own_texts(photos)
    own = TextVectors(torch.zeros(len(texts), 3), rows)
    everything = range(len(photos))
    pairing = Pairing(photos, everything, OwnAndBank(own, torch.zeros(0, 3)), None, PairingConfig(), seed=0)
    coco = next(i for i, photo in enumerate(photos) if photo.source == "coco")
    drawn = {texts[pairing.pick(coco)] for _ in range(200)}
    assert drawn == {*photos[coco].captions, *photos[coco].by_eye}

    times: Counter[str] = Counter()
    for _ in range(50):
        times.update(photos[index].source for batch in pairing.epoch(1) for index in batch)
    assert times["coco"] > 1.5 * times["osie"]
    assert times["osie"] > 1.5 * times["lspet"] > 0 and times["flowers102"] > 1.5 * times["lspet"]


@pytest.mark.parametrize("caption", ["A dog on the beach.", "two red cars", "my old house"])
def test_a_caption_is_asked_for_in_many_ways_that_keep_its_words(caption: str) -> None:
    from recipe.text_tuning import ASKED, as_asked

    draw = random.Random(1)
    asked = {as_asked(caption, draw) for _ in range(200)}
    assert len(asked) == len(ASKED)
    last = caption.rstrip(".").split()[-1]
    assert all(one.endswith(last) and one != caption for one in asked)
    assert not any(article in one.split()[1:2] for one in asked if one.startswith("my ") for article in ("a", "the"))


def test_photos_are_shown_whole_or_cut_out_of_what_is_in_them(tmp_path: Path) -> None:
    import torch
    from PIL import Image

    from recipe.pixels import Pixels, Shown

    # Left half red, right half blue: a crop of it has nothing else.
    photo = Image.new("RGB", (90, 60), "red")
    photo.paste("blue", (45, 0, 90, 60))
    photo.save(tmp_path / "halves.png")
    pixels = Pixels.read([tmp_path / "halves.png"] * 3, side=32, device="cpu")
    torch.manual_seed(0)
    rows = torch.tensor([0, 1, 2])
    whole = pixels.shown_whole(rows)
    assert torch.equal(whole[0], whole[2]) and whole.shape == (3, 3, 32, 32)
    assert torch.allclose(pixels.views(rows, Shown(whole=1.0, colour=0.0)), whole, atol=1e-5)
    cut = pixels.views(rows, Shown(whole=0.0, colour=0.0)) * 128 + 127
    assert not torch.allclose(cut[0], cut[1]) and cut.min() > -1 and cut.max() < 256
    assert cut[:, 1].abs().max() < 1
    assert (cut[:, 0] + cut[:, 2] - 255).abs().max() < 8


def test_what_ships_lies_between_the_models_that_it_is_the_mean_of() -> None:
    import torch

    from recipe.joint import TextHead
    from recipe.whole_tower import Model, averaged

    one, other = (TextHead(torch.full((384,), value)) for value in (0.0, 1.0))
    mean = averaged([Model(head, head, head, scale) for head, scale in ((one, 10.0), (other, 20.0))], [0.4, 0.6])
    assert torch.allclose(mean.text_head.centre, torch.full((384,), 0.6)) and mean.scale == 16.0
    assert one.centre.sum() == 0


def test_blocks_are_left_out_of_some_pictures_and_only_while_training() -> None:
    import torch
    from torch import nn

    from recipe.towers import InvertedBottleneck

    torch.manual_seed(0)
    convolutions = {"_depthwise_conv": nn.Conv2d(4, 4, 3, groups=4), "_project_conv": nn.Conv2d(4, 4, 1)}
    norms = {f"_bn{number}": nn.BatchNorm2d(4) for number in (1, 2)}
    block = InvertedBottleneck(SimpleNamespace(**convolutions, **norms))
    pictures = torch.rand(400, 4, 6, 6)
    block.eval()
    block.left_out = 0.25
    whole = block(pictures)
    block.train()
    trained = block(pictures)
    is_left_out = (trained == pictures).flatten(1).all(1)
    assert 60 < int(is_left_out.sum()) < 140
    assert torch.allclose((trained - pictures)[~is_left_out], (whole - pictures)[~is_left_out] / 0.75, atol=1e-5)
