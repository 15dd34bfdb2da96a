"""Command-line flags that the training and inference steps share."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from mada.class_tables import as_rows
from mada.cli import InputError, existing_file, positive_int
from mada.files import read_index
from mada.labels import ENCODINGS, class_set, class_set_name, train_id_table
from mada.nn import runtime
from mada.nn.datasets import Size, TrainingCrops, WholeImages
from mada.nn.transforms import CropSettings

# Flags that change how fast or where a step computes, never what: they are no part of what a
# checkpoint records or a resume state is keyed by.
_NOT_SETTINGS = {
    "loader_workers",
    "save_every",
    "device",
    "output",
    "history",
    "discriminator_output",
    "earlier",  # files, whose contents count
}


def size(text: str) -> Size:
    """argparse type: ``256x128`` as (width, height); ``own`` leaves every image its own size."""
    if text == "own":
        return None
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT or own, found {text!r}")
    return int(width), int(height)


def add_domain(parser: argparse.ArgumentParser, name: str, labels: bool, required: bool = True):
    """Add the flags of one data set: its index, working size and, if labelled, encoding."""
    parser.add_argument(f"--{name}", required=required, type=existing_file, help="index CSV")
    parser.add_argument(f"--{name}-size", type=size, default=None, help="WIDTHxHEIGHT or own")
    if labels:
        parser.add_argument(f"--{name}-encoding", choices=ENCODINGS, default="train-ids")


def add_network_use(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every step that runs a network."""
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--batch-size", required=True, type=positive_int, help="images per domain")
    runtime.add_arguments(parser)


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every training step."""
    add_network_use(parser)
    add_domain(parser, "source", labels=True)
    add_domain(parser, "target", labels=False)
    parser.add_argument(
        "--statistics",
        required=True,
        type=existing_file,
        help="index of the target images that batch-norm statistics are taken from",
    )
    add_domain(parser, "tune", labels=True, required=False)
    parser.add_argument("--tune-every", type=int, default=0, help="iterations; 0: never")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--iterations", required=True, type=positive_int)
    parser.add_argument("--learning-rate", required=True, type=float)
    parser.add_argument("--momentum", required=True, type=float)
    parser.add_argument("--weight-decay", required=True, type=float)
    parser.add_argument("--power", required=True, type=float, help="of the polynomial decay")
    parser.add_argument("--crop", required=True, type=size, help="WIDTHxHEIGHT")
    parser.add_argument("--resize-range", required=True, nargs=2, type=float)
    parser.add_argument("--flip", required=True, action=argparse.BooleanOptionalAction)
    parser.add_argument(
        "--colour-jitter",
        type=float,
        default=0.0,
        help="strength of the random change of brightness, contrast, saturation and hue, 0 to 1",
    )
    parser.add_argument(
        "--accumulate",
        type=positive_int,
        default=1,
        help="micro-batches that each process takes its share of a batch in",
    )
    parser.add_argument(
        "--batch-norm",
        choices=("batch", "frozen"),
        default="batch",
        help="normalise by each batch, or by the model's running statistics throughout",
    )
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--save-every", type=int, default=0, help="iterations; 0: never")
    parser.add_argument("--history", required=True, type=Path, help="CSV of losses per iteration")
    parser.add_argument("--output", required=True, type=Path, help="the trained model")


def add_earlier(parser: argparse.ArgumentParser) -> None:
    """Add the flag that ``annotations`` reads beside --target."""
    parser.add_argument(
        "--earlier",
        nargs="*",
        default=[],
        type=existing_file,
        help="indexes of the annotations of earlier rounds, to train on as well",
    )


def annotations(args: argparse.Namespace) -> tuple[pd.DataFrame, list[Path]]:
    """The annotated target images of all rounds, and the files that they are read from.

    Raises
    ------
    InputError
        If an image was annotated in two rounds.
    """
    paths = [*args.earlier, args.target]
    index = pd.concat([read_index(path, labels=True) for path in paths], ignore_index=True)
    twice = index.loc[index["id"].duplicated(), "id"]
    if len(twice):
        raise InputError(f"{args.target}: {twice.iloc[0]!r} was annotated in an earlier round too")
    return index, [*paths, *map(Path, index["label"])]


def crops(
    args: argparse.Namespace,
    index: pd.DataFrame,
    domain: str,
    encoding: str | None,
    stream: int,
    begins: int = 0,
) -> TrainingCrops:
    """Training crops of one data set; ``encoding`` None leaves it without labels."""
    low, high = args.resize_range
    if not 0 < low <= high:
        raise InputError(f"resize range: expected 0 < smallest <= largest, found {low} and {high}")
    if not 0 <= args.colour_jitter <= 1:
        raise InputError(f"colour jitter: expected 0 to 1, found {args.colour_jitter}")
    if args.crop is None:
        raise InputError("crop: expected WIDTHxHEIGHT, found own")
    settings = CropSettings(*args.crop, low, high, args.flip, args.colour_jitter)
    table = None if encoding is None else train_id_table(encoding, args.classes)
    resize = getattr(args, f"{domain}_size")
    return TrainingCrops(index, table, resize, settings, args.seed, stream, begins)


def whole_images(
    args: argparse.Namespace, path: Path, domain: str, encoding: str | None
) -> WholeImages:
    """Whole images of one index; ``encoding`` None leaves them without labels."""
    table: np.ndarray | None = None
    if encoding is not None:
        table = train_id_table(encoding, args.classes)
    return WholeImages(
        read_index(path, labels=table is not None), table, getattr(args, f"{domain}_size")
    )


def settings(args: argparse.Namespace) -> dict:
    """The plain values that determine a training's result, paths left out."""
    chosen = {}
    for name, value in sorted(vars(args).items()):
        if name not in _NOT_SETTINGS and not isinstance(value, Path):
            chosen[name] = list(value) if isinstance(value, tuple) else value
    classes = class_set(args.classes)
    chosen["classes"] = [as_rows(classes), list(classes.void_ids)]
    return chosen
