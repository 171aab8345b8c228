"""Vectors of the patches of a picture, of the vision transformers that transformers has, run by torch.

Of a CLIP they are what the last layer's attention would hand on for each patch if it looked at that patch alone: its
value path, without the queries and keys that mix all patches (Zhou et al., "Extract Free Dense Labels from CLIP",
2022). A SigLIP pools its patches by attention: there each is pooled as if it were the only one.
"""

from __future__ import annotations

import math
from typing import Any


def patch_vectors(tower: Any, features: dict[str, Any]) -> Any | None:
    """Vectors of the patches of one picture, a tensor [rows, columns, dimension] of any length.

    None for a tower of another build.

    Args:
        tower: the SentenceTransformer that encodes pictures, with what may be differentiated turned off.
        features: what it takes, of one picture, on its device.
    """
    model = getattr(tower[0], "model", None)
    vision = getattr(model, "vision_model", None)
    if vision is None or any(type(module).__name__ != "Normalize" for module in list(tower)[1:]):
        return None
    projection, pooling = getattr(model, "visual_projection", None), getattr(vision, "head", None)
    if projection is not None:
        vectors = projection(_values(vision, features))[1:]  # the first stands for the whole picture
    elif pooling is not None and hasattr(pooling, "probe"):
        tokens = vision(pixel_values=features["pixel_values"]).last_hidden_state[0]
        vectors = pooling(tokens.unsqueeze(1))
    else:
        return None
    side = math.isqrt(len(vectors))
    return vectors.reshape(side, side, -1) if side and side * side == len(vectors) else None


def _values(vision: Any, features: dict[str, Any]) -> Any:
    """What the value path of the last layer makes of each token of a picture, a tensor [tokens, width]."""
    hidden = vision(pixel_values=features["pixel_values"], output_hidden_states=True).hidden_states[-2][0]
    last = vision.encoder.layers[-1]
    values = last.self_attn.v_proj(last.layer_norm1(hidden))
    return vision.post_layernorm(last.self_attn.out_proj(values))
