"""A Whisper model of random weights in CTranslate2's form, and a sound that is taken for speech: what a transcript goes
through can be tried with these, and what it says means nothing.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

RATE = 16_000
# The resonances of three vowels, in Hz.
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240))
_LANGUAGES = ("en", "de", "fr")


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    """Syllables of vowels, mono, float32 [samples]."""
    chance = np.random.default_rng(seed)
    count = int(seconds * RATE)
    pitch = 110 + 25 * np.sin(2 * np.pi * 0.7 * np.arange(count) / RATE)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.zeros(count)
    syllable = RATE // 5
    for first in range(0, count, syllable):
        part = slice(first, min(count, first + syllable))
        vowel = _VOWELS[chance.integers(len(_VOWELS))]
        envelope = np.sin(np.pi * np.linspace(0, 1, part.stop - part.start)) ** 0.5
        for harmonic in range(1, 32):
            frequency = 115.0 * harmonic
            gain = sum(1 / (1 + ((frequency - peak) / 90) ** 2) for peak in vowel) / harmonic**0.3
            sound[part] += gain * np.sin(harmonic * phase[part]) * envelope
    sound += chance.normal(0, 0.02, count)
    return np.asarray(0.4 * sound / np.abs(sound).max(), np.float32)


def write_wav(path: Path, *stretches: np.ndarray) -> Path:
    samples = np.concatenate(stretches)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


def make_tiny_whisper(folder: Path, seed: int = 0) -> Path:
    """The folder of a model that says words of its own making."""
    import ctranslate2
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, WhisperConfig, WhisperForConditionalGeneration

    folder.mkdir(parents=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"Ġ{word}" for word in ("the", "sea", "is", "cold", "and", "old", "boats", "sail", "home")]
    special = [
        "<|endoftext|>", "<|startoftranscript|>", *(f"<|{language}|>" for language in _LANGUAGES), "<|translate|>",
        "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
        *(f"<|{0.02 * number:.2f}|>" for number in range(1501)),
    ]  # fmt: skip
    vocabulary = {token: number for number, token in enumerate([*letters, *words, *special])}
    tokenizer = Tokenizer(models.BPE(vocab={**vocabulary}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<|endoftext|>", eos_token="<|endoftext|>")
    torch.manual_seed(seed)
    end = vocabulary["<|endoftext|>"]
    config = WhisperConfig(
        vocab_size=len(vocabulary), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=80, pad_token_id=end,
        bos_token_id=end, eos_token_id=end, decoder_start_token_id=vocabulary["<|startoftranscript|>"],
        # By default ids of a vocabulary larger than this one: what lies there in memory would be written over.
        begin_suppress_tokens=[end], suppress_tokens=[],
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    original = folder / "original"
    with torch.no_grad():  # words are what it says first, and the end what it comes to
        norm, rows = model.model.decoder.layer_norm, model.model.decoder.embed_tokens.weight
        norm.weight.mul_(0.5)
        norm.bias[0] = 3.0
        rows[[vocabulary[word] for word in words], 0] = 2.0
        rows[end, 0] = 2.1
    model.save_pretrained(original)
    wrapped.save_pretrained(original)
    converter = ctranslate2.converters.TransformersConverter(str(original), copy_files=["tokenizer.json"])
    return Path(converter.convert(str(folder / "converted")))
