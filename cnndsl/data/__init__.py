"""Data sets, their files, preparation and order."""

from cnndsl.data import cifar10, digits, fashion_mnist, mnist, synthetic
from cnndsl.data.base import DATASETS, Dataset, DatasetSource, Places, Split, open_dataset
from cnndsl.data.folder import FolderOptions, open_folder
from cnndsl.data.loader import Batch, batches, steps_per_epoch
from cnndsl.data.preparation import PreparedData, PreparedSplit, prepare
from cnndsl.data.sources import open_data
from cnndsl.data.spec import Crop, DataSpec, Flip, Jitter, Shift

__all__ = [
    "DATASETS",
    "Batch",
    "Crop",
    "DataSpec",
    "Dataset",
    "DatasetSource",
    "Flip",
    "FolderOptions",
    "Jitter",
    "Places",
    "PreparedData",
    "PreparedSplit",
    "Shift",
    "Split",
    "batches",
    "open_data",
    "open_dataset",
    "open_folder",
    "prepare",
    "steps_per_epoch",
]

DATASETS.register("digits", digits.SOURCE)
DATASETS.register("mnist", mnist.SOURCE)
DATASETS.register("fashion_mnist", fashion_mnist.SOURCE)
DATASETS.register("cifar10", cifar10.SOURCE)
DATASETS.register("synthetic", synthetic.SOURCE)
