"""Label the images of a folder with a trained model.

Inputs   a folder of images of any size, a model
Outputs  a folder: labels/ (8-bit PNG of label ids, as classes.csv there says), overlays/ (JPEG: the
         image under the classes' colours), index.csv

Images go through the network whole, at their own size or a working size; with ``--window`` a
window slides over them and its predictions are averaged, for images larger than those that the
model was trained on.  Labels come out at each image's full size either way.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch.nn.functional as F
from torch import Tensor

from mada.annotation.bundle import class_table, save_id_map
from mada.annotation.classes import annotation_classes
from mada.annotation.gallery import overlaid
from mada.cli import InputError, StepParser, existing_file, progress, refuse, run_step
from mada.files import atomic_directory, write_csv
from mada.images import read_image
from mada.labels import class_set
from mada.layouts import NO_LABELS, list_items
from mada.nn import arguments, runtime
from mada.nn.checkpoints import load_network
from mada.nn.datasets import WholeImages
from mada.nn.deeplab import DeepLabV3Plus
from mada.nn.evaluation import most_probable, predictions
from mada.nn.windows import windowed_probabilities


def main(args: argparse.Namespace) -> None:
    if not 0 <= args.overlap < 1:
        raise InputError(f"overlap: expected a share below 1, found {args.overlap}")
    device = runtime.start(args)
    index = folder_index(args.images)
    classes = annotation_classes(args.classes)
    network = device.place(load_network(args.model, args.classes)).eval()
    images = WholeImages(index, None, args.images_size)
    labels = [f"labels/{image_id}.png" for image_id in index["id"]]
    overlays = [f"overlays/{image_id}.jpg" for image_id in index["id"]]
    with atomic_directory(args.output) as folder:
        for row, predicted in label_maps(network, images, args, device):
            train_ids = predicted.cpu().numpy()
            save_id_map(folder / labels[row], train_ids, classes)
            overlay = overlaid(
                read_image(index.loc[row, "image"]), train_ids, classes.painted(train_ids)
            )
            (folder / overlays[row]).parent.mkdir(parents=True, exist_ok=True)
            overlay.save(folder / overlays[row], quality=90)
        names = [*class_set(args.classes).names, "unlabelled"]
        write_csv(folder / "classes.csv", class_table(classes).assign(name=names))
        write_csv(folder / "index.csv", index.assign(label=labels, overlay=overlays))
    print(f"{args.output}: {len(index)} images labelled")


def folder_index(root: Path) -> pd.DataFrame:
    """Every image below a folder with its upright size; InputError with all that cannot be read."""
    rows, problems = [], []
    for item in progress(list_items("folder", root, "train", "**/*", NO_LABELS), "reading images"):
        try:
            width, height = read_image(item.image).size
            rows.append((item.id, os.fspath(item.image), width, height))
        except InputError as error:
            problems.append(str(error))
    refuse(problems, str(root))
    return pd.DataFrame(rows, columns=["id", "image", "width", "height"])


def label_maps(
    network: DeepLabV3Plus, images: WholeImages, args: argparse.Namespace, device: runtime.Runtime
) -> Iterator[tuple[int, Tensor]]:
    """Yield (row, training ids (H, W) uint8) at each image's full size."""
    if args.window is None:
        workers = args.loader_workers
        found = predictions(network, images, args.batch_size, device, workers, most_probable)
        for row, train_ids, _ in found:
            yield row, train_ids
        return
    rows, loader = images.batches(1, args.loader_workers)
    for (row,), (pixels, _) in zip(rows, progress(loader, "predicting"), strict=True):
        p = windowed_probabilities(
            network, pixels[0], args.window, args.overlap, args.batch_size, device
        )
        width, height = (int(side) for side in images.sizes[row])
        p = F.interpolate(p[None], (height, width), mode="bilinear", align_corners=False)[0]
        yield row, most_probable(p)


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_network_use(parser)
    parser.add_argument("--images", required=True, type=Path, help="folder of images")
    parser.add_argument("--images-size", type=arguments.size, help="WIDTHxHEIGHT or own")
    parser.add_argument("--window", type=arguments.size, help="WIDTHxHEIGHT or own: no window")
    parser.add_argument("--overlap", type=float, default=0.5, help="of windows, a share")
    parser.add_argument("--model", required=True, type=existing_file)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
