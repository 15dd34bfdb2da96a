"""Step 2 of the adaptation: pseudo labels of the target images that nobody annotates.

Inputs   M1, target_train index, index of the annotations (its images are left out)
Outputs  a folder of label maps (8-bit PNG of training ids) and index.csv in it

A threshold above 0 leaves pixels of lower confidence void; the paper has none.
"""

import argparse
import os
from pathlib import Path

import torch

from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import atomic_directory, read_index, write_csv
from mada.labels import VOID, save_label
from mada.nn import arguments, runtime
from mada.nn.checkpoints import load_network
from mada.nn.datasets import WholeImages
from mada.nn.evaluation import predictions


def main(args: argparse.Namespace) -> None:
    if not 0 <= args.threshold < 1:
        raise InputError(f"threshold: expected a probability below 1, found {args.threshold}")
    device = runtime.start(args)
    index = read_index(args.images)
    unlabelled = index[~index["id"].isin(read_index(args.annotations)["id"])].reset_index(drop=True)
    if unlabelled.empty:
        raise InputError(f"{args.images}: expected images without annotation, found none")
    images = WholeImages(unlabelled, None, args.images_size)
    network = device.place(load_network(args.model, args.classes))
    workers = args.loader_workers
    with atomic_directory(args.output) as folder:
        names = [f"labels/{image_id}.png" for image_id in unlabelled["id"]]
        for row, p, _ in predictions(network, images, args.batch_size, device, workers):
            confidence, label = p.max(dim=0)
            label = torch.where(confidence < args.threshold, VOID, label).to(torch.uint8)
            save_label(folder / names[row], label.cpu().numpy(), args.classes)
        unlabelled.insert(2, "label", [os.fspath(args.output / name) for name in names])
        write_csv(folder / "index.csv", unlabelled)
    print(f"{args.output}: {len(unlabelled)} pseudo labels")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_network_use(parser)
    arguments.add_domain(parser, "images", labels=False)
    parser.add_argument("--model", required=True, type=existing_file)
    parser.add_argument("--annotations", required=True, type=existing_file, help="index CSV")
    parser.add_argument("--threshold", type=float, default=0.0)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
