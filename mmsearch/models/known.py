"""Models that are known to be good, from small to best, with what is published of them.

Recall is that of immich's documentation ("Searching", table of models): text to image on Crossmodal-3600, zero-shot,
the mean of recall@1, @5 and @10 in per cent. So are the times, of which only the ratio to clip-ViT-B-32 is kept. Sizes
and licences are those of the hub's repositories.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmsearch.records import BUILTIN_MODEL, CROPS_ENDING, OPTIMISED_ENDING

RECALL_SOURCE = "immich's documentation: text to image, Crossmodal-3600, mean of recall@1, @5 and @10"


@dataclass(frozen=True)
class KnownModel:
    """A model on the hub. `images_by` is the repository of its image tower where that is another one.

    `megabytes` are those to download, `time` that of one item as a multiple of clip-ViT-B-32's, recall is in per cent;
    None where nothing is published that could be compared. One that `hears` finds sound.
    """

    name: str
    repository: str
    megabytes: int
    dimension: int
    languages: str
    licence: str
    time: float | None = None
    recall_english: float | None = None
    recall_german: float | None = None
    images_by: str = ""
    remark: str = ""
    hears: bool = False

    @property
    def is_english(self) -> bool:
        """Whether it finds little by words of other languages: less than four fifths of what it finds in English, as
        far as that is published. Some that were made for English have learnt others all the same.
        """
        return self.languages == "English" and (self.recall_german or 0) < 0.8 * (self.recall_english or 100)


KNOWN_MODELS = (
    KnownModel(
        BUILTIN_MODEL, "", 30, 384, "English", "MIT, see its card", remark="built in; a tenth of the time of any below"
    ),
    KnownModel(
        "clip-ViT-B-32",
        "sentence-transformers/clip-ViT-B-32",
        605, 512, "English", "not stated", 1.0, 59.4, remark="the first CLIP; those below are better",
    ),
    KnownModel(
        "clip-ViT-B-32-multilingual-v1",
        "sentence-transformers/clip-ViT-B-32-multilingual-v1",
        1_145, 512, "50 and more", "Apache-2.0", images_by="sentence-transformers/clip-ViT-B-32",
        remark="texts in the space of clip-ViT-B-32",
    ),
    KnownModel(
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        605, 512, "English", "MIT", 1.0, 68.8, 36.6,
    ),
    KnownModel(
        "google/siglip-base-patch16-224", "google/siglip-base-patch16-224",
        813, 768, "English", "Apache-2.0", 2.6, 71.6, 75.2,
    ),
    KnownModel(
        "google/siglip-base-patch16-256-multilingual", "google/siglip-base-patch16-256-multilingual",
        1_480, 768, "about 100", "Apache-2.0", 3.0, 69.4, 83.3, remark="best for rarer languages",
    ),
    KnownModel(
        "google/siglip2-base-patch32-256", "google/siglip2-base-patch32-256",
        1_550, 768, "about 100", "Apache-2.0", 1.5, 73.2, 84.4, remark="the choice for a processor",
    ),
    KnownModel(
        "google/siglip2-base-patch16-224", "google/siglip2-base-patch16-224",
        1_540, 768, "about 100", "Apache-2.0", 2.6, 75.2, 86.4, remark="as good as the largest in English",
    ),
    KnownModel(
        "google/siglip2-large-patch16-256", "google/siglip2-large-patch16-256",
        3_565, 1024, "about 100", "Apache-2.0", 10.5, 74.3, 88.8,
    ),
    KnownModel(
        "google/siglip2-so400m-patch16-384", "google/siglip2-so400m-patch16-384",
        4_585, 1152, "about 100", "Apache-2.0", 25.0, 75.1, 89.8, remark="the best in many languages; wants a GPU",
    ),
)  # fmt: skip


# None comes with the package. Sizes are those of the weights, which their number gives.
KNOWN_SOUND_MODELS = (
    KnownModel(
        "laion/clap-htsat-unfused", "laion/clap-htsat-unfused",
        615, 512, "English", "Apache-2.0", remark="everyday sounds: the first choice", hears=True,
    ),
    KnownModel(
        "laion/larger_clap_general", "laion/larger_clap_general",
        776, 512, "English", "Apache-2.0", remark="sounds, music and speech; slower", hears=True,
    ),
    KnownModel(
        "laion/larger_clap_music", "laion/larger_clap_music",
        776, 512, "English", "Apache-2.0", remark="music; slower", hears=True,
    ),
)  # fmt: skip


def known_model(name: str) -> KnownModel | None:
    """The known model of that name, or in that repository of the hub."""
    known = (*KNOWN_MODELS, *KNOWN_SOUND_MODELS)
    return next((model for model in known if name in (model.name, model.repository)), None)


def knows_english_alone(name: str) -> bool:
    """Whether the model of a library by that name, in whatever revision or form, is a known one that knows English
    alone. Of others nothing is said: they are taken to know what they are asked in.
    """
    beneath = name.removesuffix(CROPS_ENDING).removesuffix(OPTIMISED_ENDING).partition("@")[0]
    known = known_model(beneath)
    return known is not None and known.is_english
