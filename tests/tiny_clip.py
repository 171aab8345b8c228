"""A small random CLIP model in the layout that the hub uses: for tests of how models are loaded, not of quality."""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path


def make_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Writes a transformers CLIPModel with its processor (16 dimensions, 32 px) into `folder` and returns it."""
    import torch
    from transformers import (
        CLIPConfig,
        CLIPImageProcessor,
        CLIPModel,
        CLIPProcessor,
        CLIPTextConfig,
        CLIPTokenizerFast,
        CLIPVisionConfig,
    )

    folder.mkdir(parents=True)
    characters = string.ascii_lowercase + string.digits
    pieces = [*characters, *(f"{character}</w>" for character in characters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=24)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    text = CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=24, bos_token_id=len(pieces) - 2, eos_token_id=len(pieces) - 1,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16))
    model.save_pretrained(folder)
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def make_tiny_siglip(folder: Path, seed: int = 0) -> Path:
    """The same of a transformers SiglipModel: pictures squashed into a square, texts padded to one length.

    Its table of tokens has more rows than it knows tokens: large enough to be quantised.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        PreTrainedTokenizerFast,
        SiglipConfig,
        SiglipImageProcessor,
        SiglipModel,
        SiglipProcessor,
        SiglipTextConfig,
        SiglipVisionConfig,
    )

    folder.mkdir(parents=True)
    pieces = ["<pad>", "</s>", "<unk>", *string.ascii_lowercase, *string.digits, *string.punctuation]
    backend = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="<unk>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=16
    )
    shared = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = SiglipTextConfig(vocab_size=1_200, max_position_embeddings=16, projection_size=16, **shared)
    vision = SiglipVisionConfig(image_size=32, patch_size=8, **shared)
    torch.manual_seed(seed)
    model = SiglipModel(SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))
    model.save_pretrained(folder)
    images = SiglipImageProcessor(size={"height": 32, "width": 32})
    SiglipProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def make_tiny_clap(folder: Path, seed: int = 0, fusion: bool = False) -> Path:
    """Writes a transformers ClapModel with its processor (16 dimensions, 10 s of 48 kHz) into `folder` and returns it.

    With `fusion` it is of the kind that fuses views of sounds that are longer.
    """
    import torch
    from transformers import (
        ClapAudioConfig,
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        ClapProcessor,
        ClapTextConfig,
        RobertaTokenizerFast,
    )

    folder.mkdir(parents=True)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *string.ascii_lowercase, *string.digits, "Ġ"]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=32)
    sounds = ClapFeatureExtractor(
        feature_size=16, hop_length=4_800, truncation="fusion" if fusion else "rand_trunc", padding="repeatpad"
    )
    text = ClapTextConfig(
        vocab_size=len(pieces), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=40, projection_dim=16,
    )  # fmt: skip
    audio = ClapAudioConfig(
        window_size=2, num_mel_bins=16, spec_size=64, patch_size=4, patch_stride=[4, 4], hidden_size=32,
        depths=[1, 1], num_attention_heads=[2, 2], patch_embeds_hidden_size=16, projection_dim=16,
        enable_fusion=fusion,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = ClapModel(ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=16))
    model.save_pretrained(folder)
    ClapProcessor(sounds, tokenizer).save_pretrained(folder)
    return folder


def make_old_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """The same CLIP model in the layout of older sentence-transformers, with the folder 0_CLIPModel."""
    make_tiny_clip(folder / "0_CLIPModel", seed)
    module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    (folder / "modules.json").write_text(json.dumps([module]))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"__version__": {}}))
    return folder


def make_tiny_student(folder: Path, seed: int = 0) -> Path:
    """A model of texts alone, with 16 dimensions as the tiny CLIP: a small BERT, its mean and a projection."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as layers
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, *string.digits]
    pieces += [f"##{character}" for character in (*string.ascii_lowercase, *string.digits)]
    vocabulary = folder / "made" / "vocab.txt"
    vocabulary.parent.mkdir()
    vocabulary.write_text("\n".join(pieces))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(vocabulary.parent)
    BertTokenizerFast(str(vocabulary), model_max_length=32).save_pretrained(vocabulary.parent)
    tower = layers.Transformer(str(vocabulary.parent))
    modules = [tower, layers.Pooling(16), layers.Dense(16, 16, bias=False, activation_function=torch.nn.Identity())]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "saved"))
    return folder / "saved"


def make_tiny_pair(folder: Path, seed: int = 0) -> Path:
    """A student of texts beside the CLIP whose pictures it goes with, in one folder."""
    shutil.copytree(make_tiny_student(folder / "made", seed), folder / "pair" / "text")
    make_tiny_clip(folder / "pair" / "image", seed)
    return folder / "pair"
