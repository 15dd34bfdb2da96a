"""Predict label maps of target images: pseudo labels, or pre-annotations to start people off.

Inputs   a model, target_train index; for step 2 of the adaptation the index of the annotations,
         whose images are left out, or for people a manifest, whose images alone are taken
Outputs  a folder of label maps (8-bit PNG of training ids) and index.csv in it

A threshold above 0 leaves pixels of lower confidence void; the paper has none.
"""

import argparse
import os
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import atomic_directory, read_csv, read_index, write_csv
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
    if args.manifest:
        listed = read_csv(args.manifest, ("image_id",))["image_id"]
        strangers = sorted(set(listed) - set(index["id"]))
        if strangers:
            raise InputError(f"{args.manifest}: {strangers[0]}: no such image in {args.images}")
        taken = index["id"].isin(listed)
    else:
        annotated = pd.concat([read_index(path)["id"] for path in args.annotations])
        taken = ~index["id"].isin(annotated)
    chosen = index[taken].reset_index(drop=True)
    if chosen.empty:
        raise InputError(f"{args.images}: expected images without annotation, found none")
    images = WholeImages(chosen, None, args.images_size)
    network = device.place(load_network(args.model, args.classes))
    workers = args.loader_workers

    def confident(probabilities: Tensor) -> Tensor:
        confidence, label = probabilities.max(dim=0)
        return torch.where(confidence < args.threshold, VOID, label).to(torch.uint8)

    with atomic_directory(args.output) as folder:
        names = [f"labels/{image_id}.png" for image_id in chosen["id"]]
        found = predictions(network, images, args.batch_size, device, workers, confident)
        for row, label, _ in found:
            save_label(folder / names[row], label.cpu().numpy(), args.classes)
        chosen.insert(2, "label", [os.fspath(args.output / name) for name in names])
        write_csv(folder / "index.csv", chosen)
    print(f"{args.output}: {len(chosen)} label maps")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_network_use(parser)
    arguments.add_domain(parser, "images", labels=False)
    parser.add_argument("--model", required=True, type=existing_file)
    images = parser.add_mutually_exclusive_group(required=True)
    images.add_argument(
        "--annotations", nargs="+", type=existing_file, help="indexes of images to leave out"
    )
    images.add_argument("--manifest", type=existing_file, help="CSV of the images to take")
    parser.add_argument("--threshold", type=float, default=0.0)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
