"""Render a handful of images in the folder layouts and at the sizes of the paper's data sets.

    python benchmarks/make_paper_layouts.py --output data/paper-sized
    snakemake -n --config preset=gta5-to-cityscapes source_root=data/paper-sized/GTA5 \
        target_root=data/paper-sized/Cityscapes

What planning, memory and time depend on is as in the real sets: names and folders, sizes, label
encodings, the share of small objects.  Scores of it mean nothing.  Same arguments, same bytes.

    GTA5/images/00001.png, labels/00001.png                        1914x1052; the last 1914x1046
        RGB; paletted PNG of GTA5's ids
    SYNTHIA/RGB/0000000.png, GT/LABELS/0000000.png                 1280x760
        RGB; 16-bit PNG: class, instance, 0
    Cityscapes/leftImg8bit/{train,val}/<city>/…, gtFine/…          2048x1024
        RGB; 8-bit PNG of labelIds
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
from cityscapesscripts.helpers.labels import id2label

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from mada.cli import progress
from mada.labels import NOT_IN_SYNTHIA, SYNTHIA_NAMES
from mada.streets.render import render
from make_demo_data import cityscapes_palette

SIZES = {"GTA5": (1914, 1052), "SYNTHIA": (1280, 760), "Cityscapes": (2048, 1024)}
ODD_SIZE = (1914, 1046)  # not all of GTA5 is of one size
CITIES = {"train": "aachen", "val": "frankfurt"}
INSTANCE = 300  # takes both bytes of its channel


@dataclass(frozen=True)
class Job:
    """One image: its data set, how many came before it, size, and where it and its label go."""

    dataset: str
    number: int
    size: tuple[int, int]
    image: Path
    label: Path


def list_jobs(output: Path, count: int) -> Iterator[Job]:
    """All images at their true sizes."""
    for n in range(count):
        size = ODD_SIZE if n == count - 1 else SIZES["GTA5"]
        images, labels = (output / "GTA5" / folder for folder in ("images", "labels"))
        yield Job("GTA5", n, size, images / f"{n + 1:05d}.png", labels / f"{n + 1:05d}.png")
        images, labels = (output / "SYNTHIA" / folder for folder in ("RGB", "GT/LABELS"))
        yield Job("SYNTHIA", n, SIZES["SYNTHIA"], images / f"{n:07d}.png", labels / f"{n:07d}.png")
        for place, (split, city) in enumerate(CITIES.items()):
            name = f"{split}/{city}/{city}_{n:06d}_000019"
            image = output / "Cityscapes/leftImg8bit" / f"{name}_leftImg8bit.png"
            label = output / "Cityscapes/gtFine" / f"{name}_gtFine_labelIds.png"
            yield Job("Cityscapes", place * count + n, SIZES["Cityscapes"], image, label)


def synthia_label(ids: np.ndarray) -> np.ndarray:
    """Label (H, W, 3) uint16 as SYNTHIA holds it, of Cityscapes' label ids (H, W)."""
    classes = np.zeros(256, np.uint16)
    instances = np.zeros(256, np.uint16)
    for value, label in id2label.items():
        if label.name in SYNTHIA_NAMES and label.name not in NOT_IN_SYNTHIA:
            classes[value] = SYNTHIA_NAMES.index(label.name)
            instances[value] = INSTANCE * label.hasInstances
    return np.stack([classes[ids], instances[ids], np.zeros(ids.shape, np.uint16)], axis=2)


def write(job: Job, shrink: int) -> None:
    """Render one image into its files."""
    rng = np.random.default_rng((list(SIZES).index(job.dataset), job.number))
    domain = "target" if job.dataset == "Cityscapes" else "source"
    image, label, _ = render(domain, *(side // shrink for side in job.size), rng)
    for path in (job.image, job.label):
        path.parent.mkdir(parents=True, exist_ok=True)
    image.save(job.image)
    if job.dataset == "SYNTHIA":
        job.label.write_bytes(imagecodecs.png_encode(synthia_label(np.asarray(label))))
        return
    if job.dataset == "GTA5":
        label.putpalette(cityscapes_palette())
    label.save(job.label)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--images", type=int, default=12, help="of each data set and split")
    parser.add_argument("--shrink", type=int, default=1, help="divide all sizes by this")
    parser.add_argument("--workers", type=int, default=2, help="they change no byte")
    args = parser.parse_args()
    jobs = list(list_jobs(args.output, args.images))
    with ProcessPoolExecutor(args.workers) as pool:
        written = pool.map(partial(write, shrink=args.shrink), jobs)
        list(progress(written, "rendering images", total=len(jobs)))
    print(f"{args.output}: {len(jobs)} images")


if __name__ == "__main__":
    main()
