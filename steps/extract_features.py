"""Image-level category features of every image of an index (Eqs. 1 and 4), and its scores.

Inputs   index, model, and the discriminator if there is one
Outputs  features (N x C·D float32 .npy, in the order of the index) and beside it .csv: id,
         entropy (Eq. 12), margin, source_probability (f_D, empty without a discriminator)

With --statistics, images of another domain than the model is used on (the source) are normalised
by statistics of their own, as they were in training. With --truth the index's labels take part in
the masks (source images, Eq. 1). Features go straight into a memory-mapped file, so memory does
not grow with N.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mada.cli import StepParser, existing_file, progress, run_step
from mada.files import atomic_path, read_index, write_csv
from mada.nn import arguments, runtime
from mada.nn.checkpoints import load_discriminator, load_network
from mada.nn.normalisation import estimate_statistics
from mada.nn.pooling import MIN_SHARE, category_masks, category_means, prediction_scores


@torch.inference_mode()
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
    classes = network.description.classes
    width = classes * network.description.feature_channels
    ids = read_index(args.images)["id"]
    scores = np.full((len(ids), 3), np.nan)
    rows, loader = images.batches(args.batch_size, args.loader_workers)
    with atomic_path(args.output) as partial:
        features = np.lib.format.open_memmap(partial, "w+", np.float32, (len(ids), width))
        for chosen, (pixels, labels) in zip(rows, progress(loader, "extracting"), strict=True):
            with device.autocast():
                logits, latent, small = network(device.images(pixels))
            truth = device.labels(labels) if encoding else None
            masks = category_masks(small, truth, args.truth)
            features[chosen] = category_means(latent, masks, classes, args.min_share).cpu().numpy()
            entropy, margin = prediction_scores(small)
            scores[chosen, 0], scores[chosen, 1] = entropy.cpu(), margin.cpu()
            if discriminator is not None:
                with device.autocast():
                    probability = discriminator.source_probability(logits.float().softmax(dim=1))
                scores[chosen, 2] = probability.float().cpu()
        features.flush()
        del features
    table = pd.DataFrame(scores, columns=["entropy", "margin", "source_probability"])
    table.insert(0, "id", ids)
    write_csv(args.output.with_suffix(".csv"), table)
    print(f"{args.output}: {len(ids)} images x {width} features")


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
    parser.add_argument("--min-share", type=float, default=MIN_SHARE)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
