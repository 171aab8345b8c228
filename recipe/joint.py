"""The joint space: how the image tower's features and the text tower's states become comparable vectors.

The two towers meet before any training: the classifier's probabilities times the text vectors of the class
names are an image vector in the text tower's space (Norouzi et al., "Zero-Shot Learning by Convex
Combination of Semantic Embeddings", 2014). Both heads start exactly there and learn the rest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recipe.towers import CLASSES, DIMENSION, POOLED, TextTower, VisionTower, normalise_pixels

# Softmax temperature of the class probabilities; 2 flattens them enough for second objects to count.
CLASS_TEMPERATURE = 2.0
# Regions are windows half the picture wide, half a window apart: a 3 x 3 grid.
REGIONS = 9


class ImageHead(nn.Module):
    """Pooled features and regions to a joint vector.

    ``linear(class anchor) + linear(region anchor) + MLP(pooled)``, float32 [n, 384], not yet normalised. The
    class matrix starts as the class names' text vectors; the MLP starts at zero.
    """

    def __init__(self, class_vectors: Tensor, classifier: nn.Linear, hidden: int = 512, dropout: float = 0.3) -> None:
        super().__init__()
        self.classifier = nn.Linear(POOLED, len(class_vectors))
        self.classifier.load_state_dict(classifier.state_dict())
        self.classes = nn.Parameter(class_vectors.clone())
        self.centre = nn.Parameter(torch.zeros(DIMENSION))
        self.region_centre = nn.Parameter(torch.zeros(DIMENSION))
        self.from_whole = nn.Linear(DIMENSION, DIMENSION)
        self.from_regions = nn.Linear(DIMENSION, DIMENSION)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(POOLED, hidden)
        self.out = nn.Linear(hidden, DIMENSION)
        with torch.no_grad():
            for linear in (self.from_whole, self.from_regions):
                linear.weight.copy_(torch.eye(DIMENSION) * 0.5)
                linear.bias.zero_()
            self.out.weight.zero_()
            self.out.bias.zero_()

    def chances(self, pooled: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Class probabilities [n, 1000] of the whole picture, and the mean of those of its regions."""
        # One product for the picture and its regions keeps a single copy of the classifier in the graph.
        stacked = torch.cat([pooled.unsqueeze(1), regions], dim=1).reshape(-1, POOLED)
        logits = self.classifier(stacked).reshape(-1, 1 + REGIONS, CLASSES)
        probabilities = (logits / CLASS_TEMPERATURE).softmax(-1)
        return probabilities[:, 0], probabilities[:, 1:].mean(1)

    @torch.no_grad()
    def set_centres(self, whole: Tensor, parts: Tensor) -> None:
        """Centre the anchors on their means over a set of photos' class probabilities."""
        self.centre.copy_(F.normalize(whole @ self.classes, dim=-1).mean(0))
        self.region_centre.copy_(F.normalize(parts @ self.classes, dim=-1).mean(0))

    def forward(self, pooled: Tensor, whole: Tensor, parts: Tensor) -> Tensor:
        """From pooled features [n, 1280] and both probabilities [n, 1000]."""
        anchor, region_anchor = F.normalize(torch.cat([whole, parts]) @ self.classes, dim=-1).chunk(2)
        anchor = F.normalize(anchor - self.centre, dim=-1)
        region_anchor = F.normalize(region_anchor - self.region_centre, dim=-1)
        learned: Tensor = self.out(F.gelu(self.hidden(self.dropout(pooled))))
        joined: Tensor = self.from_whole(anchor) + self.from_regions(region_anchor) + learned
        return joined


class TextHead(nn.Module):
    """Mean-pooled text states to a joint unit vector: centred, then a linear map that starts at identity."""

    def __init__(self, centre: Tensor) -> None:
        super().__init__()
        self.centre = nn.Parameter(centre.clone())
        self.linear = nn.Linear(DIMENSION, DIMENSION, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(torch.eye(DIMENSION))

    def forward(self, pooled: Tensor) -> Tensor:
        return F.normalize(self.linear(F.normalize(pooled, dim=-1) - self.centre), dim=-1)


def pool(features: Tensor) -> tuple[Tensor, Tensor]:
    """Tail features [n, 1280, g, g] to pooled [n, 1280] and regions [n, 9, 1280]."""
    grid = features.shape[-1]
    parts = F.avg_pool2d(features, (grid + 1) // 2, grid // 4)
    return features.mean((2, 3)), parts.flatten(2).transpose(1, 2)


class ImageEncoder(nn.Module):
    """uint8 [n, S, S, 3] to joint unit vectors float32 [n, 384]: what is exported as image.onnx."""

    def __init__(self, tower: VisionTower, head: ImageHead) -> None:
        super().__init__()
        self.tower = tower
        self.head = head

    def from_activations(self, activations: Tensor) -> Tensor:
        """The same from the trunk's cached activations."""
        pooled, regions = pool(self.tower.tail(activations))
        return F.normalize(self.head(pooled, *self.head.chances(pooled, regions)), dim=-1)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.from_activations(self.tower.trunk(normalise_pixels(pixels)))


class TextEncoder(nn.Module):
    """Token ids and mask, int64 [n, t], to joint unit vectors float32 [n, 384]: exported as text.onnx."""

    def __init__(self, tower: TextTower, head: TextHead) -> None:
        super().__init__()
        self.tower = tower
        self.head = head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        joint: Tensor = self.head(self.tower(input_ids, attention_mask))
        return joint
