"""mmsearch: find photos, documents, videos and texts on your own disk by meaning, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmsearch.adapters.fusion import FusionRefused, FusionReport
    from mmsearch.adapters.picture_weight import PictureReport
    from mmsearch.adapters.plot import check_plot, plot_training
    from mmsearch.adapters.recipe import AdapterRecipe, AdapterRefused, AdapterReport, Epoch, TrainingLoss
    from mmsearch.adapters.training import AdapterStatus
    from mmsearch.care.copying import Copied
    from mmsearch.care.doctor import Diagnosis, Finding
    from mmsearch.client import Client, connect
    from mmsearch.errors import (
        Busy,
        Damaged,
        Invalid,
        MmsearchError,
        NotFound,
        Refused,
        Remedy,
        Unavailable,
        Unsupported,
    )
    from mmsearch.evaluation.comparison import Comparison, ComparisonResult
    from mmsearch.evaluation.dataset_formats import DatasetFormat
    from mmsearch.evaluation.datasets import Dataset, Example, PictureQuery, read_dataset
    from mmsearch.evaluation.metrics import Estimate
    from mmsearch.evaluation.report import Evaluation, Evaluations
    from mmsearch.evaluation.retrieval import DirectionResult, ZeroShot
    from mmsearch.evaluation.separation import Separation
    from mmsearch.indexing.preview import IndexPreview
    from mmsearch.indexing.pruning import Loss, Losses, Pruned
    from mmsearch.indexing.report import Absence, FailedFile, Incomplete, IndexReport, StageReport, Thinned, Unreached
    from mmsearch.indexing.roots import RootStatus
    from mmsearch.indexing.run import IndexSettings
    from mmsearch.indexing.walking import WalkProblem, WalkRules
    from mmsearch.indexing.watching.events import WatchEvent, WatchEventKind, WatchSettings
    from mmsearch.indexing.watching.watcher import Watcher
    from mmsearch.indexing.work import WorkReport, WorkSettings
    from mmsearch.library import Library
    from mmsearch.library.adapters import Adapters
    from mmsearch.library.care import Care
    from mmsearch.library.contents import Forgotten, StageStatus, Status
    from mmsearch.library.fusions import Fusions
    from mmsearch.library.labels import FailedSidecar, WrittenSidecars
    from mmsearch.library.models import DroppedModel, LibraryModel, ModelOverview, Models, PulledModel
    from mmsearch.library.mounts import Mounts
    from mmsearch.models.installed import InstalledModel, ModelFile, ModelSource, RemovedModel
    from mmsearch.models.known import KnownModel
    from mmsearch.models.optimise.building import OptimisedModel, TowerAgreement
    from mmsearch.models.packing import ExportedModel
    from mmsearch.nearest.scan import Scan
    from mmsearch.output.heat_maps import heat_map_png
    from mmsearch.reading import ReadLimits
    from mmsearch.records import Counts, Failure, Filters, Medium, Modality, Near, Progress, Reading
    from mmsearch.searching.clustering import Cluster, Clusters
    from mmsearch.searching.duplicate_groups import DuplicateClass, DuplicateFile, DuplicateGroup, Duplicates
    from mmsearch.searching.explanations import Explanation, FoundBy, FoundWord, Heat, HeatMap, HeatMethod, TermKind
    from mmsearch.searching.facets import Facet, Facets
    from mmsearch.searching.fusion import ChannelWeights, Fusion, StoredFusion
    from mmsearch.searching.labelling import Labelled, LabelledPhoto, PhotoLabel
    from mmsearch.searching.periods import Period, parse_period
    from mmsearch.searching.query import Group, Query, Sort, Term
    from mmsearch.searching.results import (
        FileList,
        Hit,
        LibraryMark,
        ListedFile,
        Moment,
        NamedPeriod,
        SearchResult,
        Suggestion,
    )
    from mmsearch.searching.session import Session
    from mmsearch.searching.stored_files import Passage, PassagePlace, Passages, StoredFile
    from mmsearch.store.measures import Measure, MeasureGroup
    from mmsearch.store.mounts import Mount
    from mmsearch.store.queue_state import Pause, QueueState, RunState, WorkerState
    from mmsearch.store.sqlite.backup import Backup
    from mmsearch.store.sqlite.compaction import Compacted
    from mmsearch.store.sqlite.salvage import Salvaged

__version__ = "0.1.0"
__all__ = [
    "Absence",
    "AdapterRecipe",
    "AdapterRefused",
    "AdapterReport",
    "AdapterStatus",
    "Adapters",
    "Backup",
    "Busy",
    "Care",
    "ChannelWeights",
    "Client",
    "Cluster",
    "Clusters",
    "Compacted",
    "Comparison",
    "ComparisonResult",
    "Copied",
    "Counts",
    "Damaged",
    "Dataset",
    "DatasetFormat",
    "Diagnosis",
    "DirectionResult",
    "DroppedModel",
    "DuplicateClass",
    "DuplicateFile",
    "DuplicateGroup",
    "Duplicates",
    "Epoch",
    "Estimate",
    "Evaluation",
    "Evaluations",
    "Example",
    "Explanation",
    "ExportedModel",
    "Facet",
    "Facets",
    "FailedFile",
    "FailedSidecar",
    "Failure",
    "FileList",
    "Filters",
    "Finding",
    "Forgotten",
    "FoundBy",
    "FoundWord",
    "Fusion",
    "FusionRefused",
    "FusionReport",
    "Fusions",
    "Group",
    "Heat",
    "HeatMap",
    "HeatMethod",
    "Hit",
    "Incomplete",
    "IndexPreview",
    "IndexReport",
    "IndexSettings",
    "InstalledModel",
    "Invalid",
    "KnownModel",
    "Labelled",
    "LabelledPhoto",
    "Library",
    "LibraryMark",
    "LibraryModel",
    "ListedFile",
    "Loss",
    "Losses",
    "Measure",
    "MeasureGroup",
    "Medium",
    "MmsearchError",
    "Modality",
    "ModelFile",
    "ModelOverview",
    "ModelSource",
    "Models",
    "Moment",
    "Mount",
    "Mounts",
    "NamedPeriod",
    "Near",
    "NotFound",
    "OptimisedModel",
    "Passage",
    "PassagePlace",
    "Passages",
    "Pause",
    "Period",
    "PhotoLabel",
    "PictureQuery",
    "PictureReport",
    "Progress",
    "Pruned",
    "PulledModel",
    "Query",
    "QueueState",
    "ReadLimits",
    "Reading",
    "Refused",
    "Remedy",
    "RemovedModel",
    "RootStatus",
    "RunState",
    "Salvaged",
    "Scan",
    "SearchResult",
    "Separation",
    "Session",
    "Sort",
    "StageReport",
    "StageStatus",
    "Status",
    "StoredFile",
    "StoredFusion",
    "Suggestion",
    "Term",
    "TermKind",
    "Thinned",
    "TowerAgreement",
    "TrainingLoss",
    "Unavailable",
    "Unreached",
    "Unsupported",
    "WalkProblem",
    "WalkRules",
    "WatchEvent",
    "WatchEventKind",
    "WatchSettings",
    "Watcher",
    "WorkReport",
    "WorkSettings",
    "WorkerState",
    "WrittenSidecars",
    "ZeroShot",
    "__version__",
    "check_plot",
    "connect",
    "heat_map_png",
    "parse_period",
    "plot_training",
    "read_dataset",
]

# Where each of them is.
_ROOMS = {
    "mmsearch.adapters.fusion": ("FusionRefused", "FusionReport"),
    "mmsearch.adapters.picture_weight": ("PictureReport",),
    "mmsearch.adapters.plot": ("check_plot", "plot_training"),
    "mmsearch.adapters.recipe": ("AdapterRecipe", "AdapterRefused", "AdapterReport", "Epoch", "TrainingLoss"),
    "mmsearch.adapters.training": ("AdapterStatus",),
    "mmsearch.care.copying": ("Copied",),
    "mmsearch.care.doctor": ("Diagnosis", "Finding"),
    "mmsearch.client": ("Client", "connect"),
    "mmsearch.errors": (
        "Busy",
        "Damaged",
        "Invalid",
        "MmsearchError",
        "NotFound",
        "Refused",
        "Remedy",
        "Unavailable",
        "Unsupported",
    ),
    "mmsearch.evaluation.comparison": ("Comparison", "ComparisonResult"),
    "mmsearch.evaluation.dataset_formats": ("DatasetFormat",),
    "mmsearch.evaluation.datasets": ("Dataset", "Example", "PictureQuery", "read_dataset"),
    "mmsearch.evaluation.metrics": ("Estimate",),
    "mmsearch.evaluation.report": ("Evaluation", "Evaluations"),
    "mmsearch.evaluation.retrieval": ("DirectionResult", "ZeroShot"),
    "mmsearch.evaluation.separation": ("Separation",),
    "mmsearch.indexing.preview": ("IndexPreview",),
    "mmsearch.indexing.pruning": ("Loss", "Losses", "Pruned"),
    "mmsearch.indexing.report": (
        "Absence",
        "FailedFile",
        "Incomplete",
        "IndexReport",
        "StageReport",
        "Thinned",
        "Unreached",
    ),
    "mmsearch.indexing.roots": ("RootStatus",),
    "mmsearch.indexing.run": ("IndexSettings",),
    "mmsearch.indexing.walking": ("WalkProblem", "WalkRules"),
    "mmsearch.indexing.watching.events": ("WatchEvent", "WatchEventKind", "WatchSettings"),
    "mmsearch.indexing.watching.watcher": ("Watcher",),
    "mmsearch.indexing.work": ("WorkReport", "WorkSettings"),
    "mmsearch.library": ("Library",),
    "mmsearch.library.adapters": ("Adapters",),
    "mmsearch.library.care": ("Care",),
    "mmsearch.library.contents": ("Forgotten", "StageStatus", "Status"),
    "mmsearch.library.fusions": ("Fusions",),
    "mmsearch.library.labels": ("FailedSidecar", "WrittenSidecars"),
    "mmsearch.library.models": ("DroppedModel", "LibraryModel", "ModelOverview", "Models", "PulledModel"),
    "mmsearch.library.mounts": ("Mounts",),
    "mmsearch.models.installed": ("InstalledModel", "ModelFile", "ModelSource", "RemovedModel"),
    "mmsearch.models.known": ("KnownModel",),
    "mmsearch.models.optimise.building": ("OptimisedModel", "TowerAgreement"),
    "mmsearch.models.packing": ("ExportedModel",),
    "mmsearch.nearest.scan": ("Scan",),
    "mmsearch.output.heat_maps": ("heat_map_png",),
    "mmsearch.reading": ("ReadLimits",),
    "mmsearch.records": ("Counts", "Failure", "Filters", "Medium", "Modality", "Near", "Progress", "Reading"),
    "mmsearch.searching.clustering": ("Cluster", "Clusters"),
    "mmsearch.searching.duplicate_groups": ("DuplicateClass", "DuplicateFile", "DuplicateGroup", "Duplicates"),
    "mmsearch.searching.explanations": (
        "Explanation",
        "FoundBy",
        "FoundWord",
        "Heat",
        "HeatMap",
        "HeatMethod",
        "TermKind",
    ),
    "mmsearch.searching.facets": ("Facet", "Facets"),
    "mmsearch.searching.fusion": ("ChannelWeights", "Fusion", "StoredFusion"),
    "mmsearch.searching.labelling": ("Labelled", "LabelledPhoto", "PhotoLabel"),
    "mmsearch.searching.periods": ("Period", "parse_period"),
    "mmsearch.searching.query": ("Group", "Query", "Sort", "Term"),
    "mmsearch.searching.results": (
        "FileList",
        "Hit",
        "LibraryMark",
        "ListedFile",
        "Moment",
        "NamedPeriod",
        "SearchResult",
        "Suggestion",
    ),
    "mmsearch.searching.session": ("Session",),
    "mmsearch.searching.stored_files": ("Passage", "PassagePlace", "Passages", "StoredFile"),
    "mmsearch.store.measures": ("Measure", "MeasureGroup"),
    "mmsearch.store.mounts": ("Mount",),
    "mmsearch.store.queue_state": ("Pause", "QueueState", "RunState", "WorkerState"),
    "mmsearch.store.sqlite.backup": ("Backup",),
    "mmsearch.store.sqlite.compaction": ("Compacted",),
    "mmsearch.store.sqlite.salvage": ("Salvaged",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    # Names are imported when they are used: `mmsearch --version` needs none of them.
    if name in _ROOM_OF:
        from importlib import import_module

        return getattr(import_module(_ROOM_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
