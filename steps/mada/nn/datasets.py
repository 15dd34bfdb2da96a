"""Images and labels as tensors: endless training crops, and whole images in order."""

import signal
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mada.images import read_image
from mada.labels import read_label
from mada.nn.transforms import CropSettings, random_crop, working_size

Size = tuple[int, int] | None  # (width, height)


def outlast_termination(_: int) -> None:
    """Have a loader process ignore SIGTERM, which a scheduler sends to all of a job: the training
    saves its state first, and then ends its loaders itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class TrainingCrops(Dataset):
    """An endless stream of crops; position p is a pure function of (seed, stream, p).

    Each pass over the N images goes in an order of its own.  Since nothing is remembered, a run
    resumed at any position goes on exactly, with any number of loader workers.

    Parameters
    ----------
    index : pd.DataFrame
        image, and label where there are labels.
    table : np.ndarray or None
        From ``train_id_table``; None leaves all labels void.
    resize : (width, height) or None
        Working size of this data set.
    seed, stream : int
        ``stream`` tells apart the data sets of one training.
    begins : int
        The first iteration that the training sees this data set in.
    """

    def __init__(
        self,
        index: pd.DataFrame,
        table: np.ndarray | None,
        resize: Size,
        settings: CropSettings,
        seed: int,
        stream: int,
        begins: int = 0,
    ):
        self.begins = begins
        self.images = index["image"].to_numpy(dtype=str)
        self.labels = index["label"].to_numpy(dtype=str) if table is not None else None
        self.table, self.resize, self.settings = table, resize, settings
        self.entropy = (seed, stream)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor, Tensor]:
        turn, place = divmod(position, len(self.images))
        row = np.random.default_rng((*self.entropy, 0, turn)).permutation(len(self.images))[place]
        image = read_image(str(self.images[row]))
        label = None if self.labels is None else read_label(str(self.labels[row]), self.table)
        rng = np.random.default_rng((*self.entropy, 1, position))
        pixels, labels, inside = map(
            torch.from_numpy, random_crop(image, label, self.resize, self.settings, rng)
        )
        return pixels.permute(2, 0, 1), labels, inside

    def batches(
        self, size: int, start: int, stop: int, workers: int, rank: int = 0, processes: int = 1
    ) -> Iterator:
        """Yield the share of process ``rank`` in the batches of iterations start … stop-1.

        Each is images (B, 3, h, w) uint8, labels (B, h, w) uint8 and inside (B, h, w) bool, which
        is False on padding; B = size / processes.  Iterations before ``begins`` get None, for
        which no image is opened.
        """
        share = size // processes
        opens = max(start, self.begins)
        firsts = [i * size + rank * share for i in range(opens, stop)]
        positions = [range(first, first + share) for first in firsts]
        loader = DataLoader(
            self,
            batch_sampler=positions,
            num_workers=workers,
            worker_init_fn=outlast_termination,
        )
        return chain(repeat(None, opens - start), loader)


class WholeImages(Dataset):
    """Whole images at their working size in the order of the index, with labels at full size."""

    def __init__(self, index: pd.DataFrame, table: np.ndarray | None, resize: Size):
        self.images = index["image"].to_numpy(dtype=str)
        self.sizes = index[["width", "height"]].to_numpy()
        self.labels = index["label"].to_numpy(dtype=str) if table is not None else None
        self.table, self.resize = table, resize

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image = read_image(str(self.images[row]))
        size = working_size(image.size, self.resize)
        if size != image.size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        if self.labels is None:
            return pixels, torch.empty(0, dtype=torch.uint8)
        return pixels, torch.from_numpy(read_label(str(self.labels[row]), self.table))

    def batches(
        self, size: int, workers: int, order: Sequence[int] | None = None
    ) -> tuple[list[list[int]], DataLoader]:
        """Return the rows of each batch and a loader over them; a batch holds one image size.

        ``order`` names the rows to take; without it they are all, in the order of the index.
        """
        rows: list[list[int]] = []
        for row in range(len(self.images)) if order is None else order:
            if (
                rows
                and len(rows[-1]) < size
                and (self.sizes[row] == self.sizes[rows[-1][-1]]).all()
            ):
                rows[-1].append(row)
            else:
                rows.append([row])
        return rows, DataLoader(
            self,
            batch_sampler=rows,
            num_workers=workers,
            worker_init_fn=outlast_termination,
        )
