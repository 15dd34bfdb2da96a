"""Render small labelled street scenes for two domains, in the official folder layouts.

The source plays the part of a rendered game (GTA5's layout), the target that of a real camera
in another country (Cityscapes' layout).  Both are mixtures of scene types; they differ in
appearance and in how often each scene type occurs (mada.streets).

Inputs   none: everything follows from the arguments, and the same arguments give the same bytes
Outputs  below --output; an earlier data set there is replaced, other files stay
    source/images/00001.png, source/labels/00001.png
        RGB; paletted PNG of Cityscapes label ids (not train ids)
    target/leftImg8bit/{train,tune,val}/<city>/<city>_000000_000019_leftImg8bit.png
    target/gtFine/{train,tune,val}/<city>/<city>_000000_000019_gtFine_labelIds.png
        RGB; 8-bit PNG of Cityscapes label ids
    scenes.csv
        domain, split, id, scene: what each image shows; for looking at, no step reads it
    dataset.json
        settings, number of files, and a sha256 over them; written last
"""

import argparse
import hashlib
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from cityscapesscripts.helpers.labels import labels as cityscapes_labels

from mada.cli import StepParser, progress, refuse, run_step
from mada.files import atomic_directory, sha256, write_csv, write_json
from mada.streets.render import render

SPLITS = {"source": ("train",), "target": ("train", "tune", "val")}
CITIES = {  # no city is in two splits, as in Cityscapes
    "train": ("alder", "birch", "cedar", "elm"),
    "tune": ("hazel", "juniper"),
    "val": ("maple", "rowan"),
}
LIMITS = {  # the layouts' file names count in five and in six digits
    "seed": (0, math.inf),
    "source_images": (1, 99_999),
    "target_train_images": (1, 999_999),
    "target_tune_images": (1, 999_999),
    "target_val_images": (1, 999_999),
    "width": (64, 4096),
    "height": (64, 4096),
    "workers": (1, math.inf),
}


@dataclass(frozen=True)
class Job:
    """One image to render: which one it is, and where it goes."""

    domain: str
    split: str
    index: int
    name: str
    image: Path
    label: Path


def list_problems(args: argparse.Namespace) -> list[str]:
    """Return what is wrong with the arguments, one line each."""
    problems = []
    for name, (least, most) in LIMITS.items():
        value = getattr(args, name)
        if not least <= value <= most:
            wanted = f"at least {least}" if most == math.inf else f"{least} to {most}"
            problems.append(f"--{name.replace('_', '-')}: expected {wanted}, found {value}")
    if args.output.exists() and not args.output.is_dir():
        problems.append(f"--output: expected a folder, found the file {args.output}")
    return problems


def list_jobs(source: Path, target: Path, counts: dict[tuple[str, str], int]) -> list[Job]:
    """Return all images of the data set; a city's images count up from 000000."""
    jobs = []
    for (domain, split), count in counts.items():
        for i in range(count):
            if domain == "source":
                name = f"{i + 1:05d}"
                image, label = (source / kind / f"{name}.png" for kind in ("images", "labels"))
            else:
                cities = CITIES[split]
                city = cities[i % len(cities)]
                name = f"{city}_{i // len(cities):06d}_000019"
                image = target / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
                label = target / "gtFine" / split / city / f"{name}_gtFine_labelIds.png"
            jobs.append(Job(domain, split, i, name, image, label))
    return jobs


def cityscapes_palette() -> list[int]:
    """Return the Cityscapes colours of label ids 0-255, as PNG wants them."""
    palette = [0] * 768
    for label in cityscapes_labels:
        if label.id >= 0:
            palette[3 * label.id : 3 * label.id + 3] = label.color
    return palette


def render_job(job: Job, seed: int, width: int, height: int) -> str:
    """Render one image into its files and return its scene type.

    Each image has a generator of its own, so neither the number of workers nor the number of
    images changes what it shows.
    """
    place = (list(SPLITS).index(job.domain), SPLITS[job.domain].index(job.split), job.index)
    rng = np.random.default_rng(np.random.SeedSequence([seed, *place]))
    image, label, scene = render(job.domain, width, height, rng)
    if job.domain == "source":
        label.putpalette(cityscapes_palette())  # turns mode L into mode P, values kept
    image.save(job.image, compress_level=1)
    label.save(job.label, compress_level=6)
    return scene


def render_all(jobs: list[Job], args: argparse.Namespace) -> list[str]:
    """Render all images and return their scene types, in order."""
    for folder in sorted({path.parent for job in jobs for path in (job.image, job.label)}):
        folder.mkdir(parents=True, exist_ok=True)
    work = partial(render_job, seed=args.seed, width=args.width, height=args.height)
    with ProcessPoolExecutor(args.workers) as pool:
        scenes = pool.map(work, jobs, chunksize=4)
        return list(progress(scenes, "rendering images", total=len(jobs)))


def folder_digest(folder: Path) -> tuple[int, str]:
    """Return the number of rendered files and a sha256 over their relative paths and bytes."""
    paths = [folder / "scenes.csv", *folder.glob("source/**/*"), *folder.glob("target/**/*")]
    files = sorted((path.relative_to(folder).as_posix(), path) for path in paths if path.is_file())
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(name.encode() + b"\0" + bytes.fromhex(sha256(path)))
    return len(files), digest.hexdigest()


def main(args: argparse.Namespace) -> None:
    refuse(list_problems(args), "the arguments")
    counts = {
        ("source", "train"): args.source_images,
        ("target", "train"): args.target_train_images,
        ("target", "tune"): args.target_tune_images,
        ("target", "val"): args.target_val_images,
    }
    output = args.output
    with (
        atomic_directory(output / "source") as source,
        atomic_directory(output / "target") as target,
    ):
        jobs = list_jobs(source, target, counts)
        scenes = render_all(jobs, args)
        (output / "dataset.json").unlink(missing_ok=True)  # it spoke of the files now replaced
    table = [(job.domain, job.split, job.name, s) for job, s in zip(jobs, scenes, strict=True)]
    columns = ["domain", "split", "id", "scene"]
    write_csv(output / "scenes.csv", pd.DataFrame(table, columns=columns))
    files, digest = folder_digest(output)
    summary = {
        "seed": args.seed,
        "images": {f"{domain}_{split}": count for (domain, split), count in counts.items()},
        "width": args.width,
        "height": args.height,
        "files": files,
        "sha256": digest,
    }
    write_json(output / "dataset.json", summary)
    print(f"{output}: {len(jobs)} images, sha256 {digest}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source-images", type=int, default=600)
    parser.add_argument("--target-train-images", type=int, default=400)
    parser.add_argument("--target-tune-images", type=int, default=100, help="to choose settings on")
    parser.add_argument("--target-val-images", type=int, default=100, help="to report scores on")
    parser.add_argument("--width", type=int, default=256, help="of every image, in pixels")
    parser.add_argument("--height", type=int, default=128, help="of every image, in pixels")
    parser.add_argument("--workers", type=int, default=2, help="they change no byte")
    return parser


if __name__ == "__main__":
    run_step(main, parser())
