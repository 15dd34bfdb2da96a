"""Image-level category features of every image of an index (Eqs. 1 and 4), and its scores.

Inputs   index, model, and the discriminator if there is one
Outputs  features (N x C·D float32 .npy, in the order of the index) and beside it .csv: id,
         entropy (Eq. 12), margin, source_probability (f_D, empty without a discriminator)

With --statistics, images of another domain than the model is used on (the source) are normalised
by statistics of their own, as they were in training. With --truth the index's labels take part in
the masks (source images, Eq. 1). Features go straight into a memory-mapped file, so memory does
not grow with N.

--shard 2-of-8 takes the second eighth of the batches alone; merge_features puts the parts together.
A batch is the same in any shard, so that their number changes no byte.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from mada.cli import StepParser, existing_file, progress, run_step
from mada.files import atomic_path, read_index, write_csv
from mada.nn import arguments, runtime
from mada.nn.checkpoints import load_discriminator, load_network
from mada.nn.extraction import SCORES, features_and_scores
from mada.nn.normalisation import estimate_statistics


def main(args: argparse.Namespace) -> None:
    device = runtime.start(args)
    encoding = args.images_encoding if args.truth != "none" else None
    images = arguments.whole_images(args, args.images, "images", encoding)
    network = device.place(load_network(args.model, args.classes)).eval()
    if args.statistics is not None:
        domain = arguments.whole_images(args, args.statistics, "images", None)
        estimate_statistics(network, domain, args.batch_size, device, args.loader_workers)
    discriminator = None
    if args.discriminator is not None:
        discriminator = device.place(load_discriminator(args.discriminator, args.classes)).eval()
    batches, _ = images.batches(args.batch_size, 0)
    rows = [row for batch in part_of(batches, *args.shard) for row in batch]
    # They begin with a whole batch, so that they fall into the same batches again.
    _, loader = images.batches(args.batch_size, args.loader_workers, rows)
    table = read_index(args.images)[["id"]].iloc[rows]
    scores = np.empty((len(rows), len(SCORES)), np.float32)
    width = network.description.classes * network.description.feature_channels
    with atomic_path(args.output) as partial:
        features = np.lib.format.open_memmap(partial, "w+", np.float32, (len(rows), width))
        start = 0
        for means, some in features_and_scores(
            network,
            discriminator,
            progress(loader, "extracting"),
            device,
            args.truth,
        ):
            place = slice(start, start + len(means))
            features[place], scores[place], start = means, some, place.stop
        features.flush()
        del features
        table[list(SCORES)] = scores.astype(np.float64)
        write_csv(args.output.with_suffix(".csv"), table)
    print(f"{args.output}: {len(rows)} images x {width} features")


def part_of(batches: list[list[int]], number: int, shards: int) -> list[list[int]]:
    """The batches of a shard, ``number`` counting from 1; shards differ by at most one batch."""
    return batches[len(batches) * (number - 1) // shards : len(batches) * number // shards]


def shard(text: str) -> tuple[int, int]:
    """argparse type: ``2-of-8`` as (2, 8)."""
    found = re.fullmatch(r"([1-9]\d*)-of-([1-9]\d*)", text)
    if not found or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"expected a shard such as 2-of-8, found {text!r}")
    return int(found[1]), int(found[2])


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_network_use(parser)
    arguments.add_domain(parser, "images", labels=True)
    parser.add_argument("--model", required=True, type=existing_file)
    parser.add_argument(
        "--statistics",
        type=existing_file,
        help="index of images that batch-norm statistics are taken from anew",
    )
    parser.add_argument("--discriminator", type=existing_file)
    parser.add_argument(
        "--truth",
        choices=("none", "agreement", "label"),
        default="none",
        help="how labels take part in the masks of Eq. 1",
    )
    parser.add_argument("--shard", type=shard, default=(1, 1), help="NUMBER-of-SHARDS")
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
