"""Score a model on labelled images, and write its predictions of a few of them.

Inputs   model, index with labels
Outputs  JSON (mIoU, IoU of each class, confusion matrix, number of images) and, if asked for, a
         folder of predicted label maps (8-bit PNG of training ids)
"""

import argparse
import contextlib
from pathlib import Path

import numpy as np

from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import atomic_directory, read_index, write_json
from mada.images import evenly_spread
from mada.labels import class_set, save_label
from mada.metrics import score_table
from mada.nn import arguments, runtime
from mada.nn.checkpoints import load_network
from mada.nn.evaluation import confusion


def main(args: argparse.Namespace) -> None:
    device = runtime.start(args)
    ids = read_index(args.images, labels=True)["id"]
    images = arguments.whole_images(args, args.images, "images", args.images_encoding)
    network = device.place(load_network(args.model, args.classes))
    shown = set(evenly_spread(len(ids), args.panel_count).tolist())
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(atomic_directory(args.panels)) if args.panels else None

        def keep(row: int, predicted: np.ndarray) -> None:
            if folder and row in shown:
                save_label(folder / f"{ids[row]}.png", predicted, args.classes)

        total = confusion(network, images, args.batch_size, device, args.loader_workers, keep)
    if not total.sum():
        raise InputError(f"{args.images}: expected labelled pixels, found only void")
    scores = score_table(total, class_set(args.classes).names)
    write_json(args.output, {"images": len(ids), **scores})
    print(f"{args.output}: mIoU {scores['miou']:.4f} over {len(ids)} images")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_network_use(parser)
    arguments.add_domain(parser, "images", labels=True)
    parser.add_argument("--model", required=True, type=existing_file)
    parser.add_argument("--panels", type=Path, help="folder for predicted label maps")
    parser.add_argument("--panel-count", type=int, default=8)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
