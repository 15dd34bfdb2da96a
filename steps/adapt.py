"""Step 3 of the adaptation: semi-supervised training on source, active and unlabelled target
images (Eqs. 8-11), in any rung of the ablation ladder.

Inputs   M1, source index, annotations index; from M2 on the target images and target anchors;
         for M4 with fixed pseudo labels their index
Outputs  the variant's checkpoint and the losses of every iteration

    M1+  L_seg alone: M1 continued for as long, the control for what the losses add
    M2   L_seg + soft alignment to fixed target anchors (Eq. 9)
    M3   M2, the anchors following by exponential moving average (Eq. 8)
    M4   M3 + cross-entropy against pseudo labels (Eqs. 10 and 11)

The alignment loss is taken on crops of all target images of the batch, annotated or not.
"""

import argparse
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import read_index, read_npy
from mada.labels import VOID
from mada.nn import arguments, runtime
from mada.nn.alignment import soft_alignment, update_anchors
from mada.nn.checkpoints import load_network
from mada.nn.losses import cross_entropy, labelled_pixels
from mada.nn.pooling import category_masks, category_means
from mada.nn.schedules import set_poly_rate
from mada.nn.segmentation_training import Anchors, run_training, sgd, trainable, updates


@dataclass(frozen=True)
class Variant:
    """Which losses a rung of Table 3 trains with."""

    alignment: bool
    moving_anchors: bool
    pseudo: bool


VARIANTS = {
    "M1+": Variant(alignment=False, moving_anchors=False, pseudo=False),
    "M2": Variant(alignment=True, moving_anchors=False, pseudo=False),
    "M3": Variant(alignment=True, moving_anchors=True, pseudo=False),
    "M4": Variant(alignment=True, moving_anchors=True, pseudo=True),
}


# The settings that each variant reads, of those that no other part of the training shares.
NEEDS = {
    "M1+": (),
    "M2": ("unlabelled", "anchors", "alignment_weight"),
    "M3": ("unlabelled", "anchors", "alignment_weight", "ema_decay"),
    "M4": (
        *("unlabelled", "anchors", "alignment_weight", "ema_decay"),
        *("pseudo_weight", "pseudo_source", "pseudo_threshold"),
    ),
}


def confident_prediction(logits: torch.Tensor, inside: torch.Tensor, threshold: float):
    """The current model's own labels, (B, H, W) int64: void below the threshold and on padding.

    Parameters
    ----------
    logits : Tensor, shape (B, C, H, W)
    inside : Tensor, shape (B, H, W), bool
        False on padding.
    threshold : float
        Probability that the most probable class must reach.
    """
    confidence, label = logits.detach().float().softmax(dim=1).max(dim=1)
    return torch.where((confidence >= threshold) & inside, label, VOID)


def main(args: argparse.Namespace) -> None:
    variant = VARIANTS[args.variant]
    missing = [name for name in NEEDS[args.variant] if getattr(args, name) is None]
    fixed = variant.pseudo and args.pseudo_source == "fixed"
    if fixed and args.pseudo_labels is None:
        missing.append("pseudo_labels")
    if missing:
        flags = ", ".join("--" + name.replace("_", "-") for name in missing)
        raise InputError(f"{args.variant}: expected {flags}, found none")
    device = runtime.start(args, args.seed)
    network = device.place(load_network(args.model, args.classes))
    classes = network.description.classes
    annotated, files = arguments.annotations(args)
    source = arguments.crops(
        args, read_index(args.source, labels=True), "source", args.source_encoding, 4
    )
    streams = [source, arguments.crops(args, annotated, "target", "train-ids", 5)]
    inputs = [args.model, args.source, *files]
    anchors = Anchors(torch.zeros(1, 1))
    if variant.alignment:
        unlabelled = args.pseudo_labels if fixed else args.unlabelled
        index = read_index(unlabelled, labels=fixed)
        index = index[~index["id"].isin(annotated["id"])]
        if index.empty:
            raise InputError(f"{unlabelled}: expected images without annotation, found none")
        streams.append(arguments.crops(args, index, "target", "train-ids" if fixed else None, 6))
        inputs += [unlabelled, args.anchors]
        inputs += map(Path, index["label"]) if fixed else []
        width = classes * network.description.feature_channels
        values = torch.from_numpy(read_npy(args.anchors, columns=width).copy())
        anchors = Anchors(values.to(device.device))
    model = trainable(network, args, device)
    optimizer, update = sgd(network.parameters(), args), updates(args, device)

    def pseudo_loss(logits: Tensor, fixed_labels: Tensor, inside: Tensor, pixels: Tensor) -> Tensor:
        """Share of Eq. 10 of some unlabelled images, whose fixed labels number ``pixels``."""
        if fixed:
            return cross_entropy(logits, fixed_labels, pixels)
        # How many pixels will be confident in later micro-batches nobody knows yet.
        labels = confident_prediction(logits, inside, args.pseudo_threshold)
        return cross_entropy(logits, labels, device.total(labelled_pixels(labels))) / update.parts

    def run_iteration(iteration: int, batches) -> dict[str, Tensor]:
        set_poly_rate(optimizer, args.learning_rate, iteration, args.iterations, args.power)
        batches = [
            (images, device.labels(labels), inside.to(device.device))
            for images, labels, inside in batches
        ]
        pixels = [device.total(labelled_pixels(labels)) for _, labels, _ in batches]
        losses = defaultdict(int)
        for x, y in update.passes(model, *batches[0][:2], final=False):
            with device.autocast():
                logits, _, _ = model(device.images(x))
            losses["source"] += update.backward(cross_entropy(logits, y, pixels[0]))

        features = []  # of the annotated and of the unlabelled images of each micro-batch
        for part in update.passes(model, *itertools.chain(*batches[1:]), final=True):
            # Annotated and unlabelled target images share a batch: they are one domain to batch
            # norm.
            x, inside, labels = torch.cat(part[::3]), torch.cat(part[2::3]), part[1::3]
            annotated_images = len(labels[0])
            with device.autocast():
                logits, latent, scores = model(device.images(x))
            loss = cross_entropy(logits[:annotated_images], labels[0], pixels[1])
            losses["active"] += loss.detach()
            if variant.alignment:
                masks = category_masks(scores, inside=inside)
                means = category_means(latent, masks, classes)
                alignment = soft_alignment(means, anchors.values) / update.pieces
                loss = loss + args.alignment_weight * alignment
                losses["alignment"] += alignment.detach()
                features.append(means.detach().split(annotated_images))
            if variant.pseudo:
                unlabelled = slice(annotated_images, None)
                pseudo = pseudo_loss(logits[unlabelled], labels[1], inside[unlabelled], pixels[2])
                loss = loss + args.pseudo_weight * pseudo
                losses["pseudo"] += pseudo.detach()
            update.backward(loss)
        update.step(optimizer)
        if variant.moving_anchors:
            seen = [device.gather(torch.cat(parts)) for parts in zip(*features, strict=True)]
            update_anchors(anchors.values, torch.cat(seen), args.ema_decay)
        return losses

    run_training(
        args,
        device,
        network,
        streams,
        run_iteration,
        {"network": network, "optimizer": optimizer, "updates": update, "anchors": anchors},
        inputs,
    )


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_training(parser)
    arguments.add_earlier(parser)
    parser.add_argument("--model", required=True, type=existing_file)
    parser.add_argument("--variant", required=True, choices=sorted(VARIANTS))
    parser.add_argument("--unlabelled", type=existing_file, help="index of target images")
    parser.add_argument("--pseudo-labels", type=existing_file, help="index CSV, for fixed ones")
    parser.add_argument("--anchors", type=existing_file, help="target anchors (.npy)")
    parser.add_argument("--alignment-weight", type=float)
    parser.add_argument("--pseudo-weight", type=float)
    parser.add_argument("--ema-decay", type=float, help="alpha of Eq. 8")
    parser.add_argument("--pseudo-source", choices=("fixed", "online"))
    parser.add_argument("--pseudo-threshold", type=float, help="of online pseudo labels")
    return parser


if __name__ == "__main__":
    run_step(main, parser())
