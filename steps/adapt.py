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
from dataclasses import dataclass
from pathlib import Path

import torch

from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import read_index, read_npy
from mada.labels import VOID
from mada.nn import arguments, runtime
from mada.nn.alignment import soft_alignment, update_anchors
from mada.nn.checkpoints import load_network
from mada.nn.losses import cross_entropy
from mada.nn.pooling import category_masks, category_means
from mada.nn.schedules import set_poly_rate
from mada.nn.segmentation_training import Anchors, run_training, sgd


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
    annotated = read_index(args.target, labels=True)
    source = arguments.crops(
        args, read_index(args.source, labels=True), "source", args.source_encoding, 4
    )
    streams = [source, arguments.crops(args, annotated, "target", "train-ids", 5)]
    inputs = [args.model, args.source, args.target, *map(Path, annotated["label"])]
    anchors = Anchors(torch.zeros(1, 1))
    if variant.alignment:
        index = read_index(args.pseudo_labels if fixed else args.unlabelled, labels=fixed)
        index = index[~index["id"].isin(annotated["id"])]
        if index.empty:
            raise InputError(f"{args.unlabelled}: expected images without annotation, found none")
        streams.append(arguments.crops(args, index, "target", "train-ids" if fixed else None, 6))
        inputs += [args.pseudo_labels if fixed else args.unlabelled, args.anchors]
        width = classes * network.description.feature_channels
        values = torch.from_numpy(read_npy(args.anchors, columns=width).copy())
        anchors = Anchors(values.to(device.device))
    optimizer = sgd(network, args)

    def run_iteration(iteration: int, batches) -> dict[str, float]:
        set_poly_rate(optimizer, args.learning_rate, iteration, args.iterations, args.power)
        optimizer.zero_grad(set_to_none=True)
        (x_s, y_s, _), (x_l, y_l, inside_l) = batches[:2]
        with device.autocast():
            logits, _, _ = network(device.images(x_s))
        loss = cross_entropy(logits, device.labels(y_s))
        loss.backward()
        losses = {"source": loss.item()}

        # Annotated and unlabelled target images share a batch: they are one domain to batch norm.
        if variant.alignment:
            x_u, y_u, inside_u = batches[2]
            x_l, inside_l = torch.cat([x_l, x_u]), torch.cat([inside_l, inside_u])
        with device.autocast():
            logits, latent, scores = network(device.images(x_l))
        inside = inside_l.to(device.device)
        annotated_images = len(y_l)
        loss = cross_entropy(logits[:annotated_images], device.labels(y_l))
        losses["active"] = loss.item()
        if variant.alignment:
            masks = category_masks(scores, inside=inside)
            features = category_means(latent, masks, classes)
            alignment = soft_alignment(features, anchors.values)
            loss = loss + args.alignment_weight * alignment
            losses["alignment"] = alignment.item()
        if variant.pseudo:
            unlabelled = logits[annotated_images:]
            labels = (
                device.labels(y_u)
                if fixed
                else confident_prediction(
                    unlabelled, inside[annotated_images:], args.pseudo_threshold
                )
            )
            pseudo = cross_entropy(unlabelled, labels)
            loss = loss + args.pseudo_weight * pseudo
            losses["pseudo"] = pseudo.item()
        loss.backward()
        optimizer.step()
        if variant.moving_anchors:
            update_anchors(anchors.values, features, args.ema_decay)
        return losses

    run_training(
        args,
        device,
        network,
        streams,
        run_iteration,
        {"network": network, "optimizer": optimizer, "anchors": anchors},
        inputs,
    )


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_training(parser)
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
