"""Step 3 of the adaptation: semi-supervised training on source, active and unlabelled target
images (Eqs. 8-11), in any rung of the ablation ladder.

Inputs   M1, source index, annotations index, pseudo-label index (all unlabelled target images),
         target anchors
Outputs  the variant's checkpoint and the losses of every iteration

    M1+  L_seg alone: M1 continued for as long, the control for what the losses add
    M2   L_seg + soft alignment to fixed target anchors (Eq. 9)
    M3   M2, the anchors following by exponential moving average (Eq. 8)
    M4   M3 + cross-entropy against pseudo labels (Eqs. 10 and 11)

The alignment loss is taken on crops of all target images of the batch, annotated or not.
"""

import argparse
from dataclasses import dataclass

import torch

from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import read_index, read_npy
from mada.labels import VOID
from mada.nn import arguments, runtime
from mada.nn.alignment import soft_alignment, update_anchors
from mada.nn.checkpoints import load_network, save_network
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


def online_pseudo_labels(logits: torch.Tensor, padded: torch.Tensor, threshold: float):
    """The current model's own prediction, (B, H, W), void below the threshold and on padding."""
    confidence, label = logits.detach().float().softmax(dim=1).max(dim=1)
    return torch.where((confidence < threshold) | padded, VOID, label)


def main(args: argparse.Namespace) -> None:
    variant = VARIANTS[args.variant]
    needs_unlabelled = variant.alignment or variant.pseudo
    if needs_unlabelled and (args.pseudo_labels is None or args.anchors is None):
        raise InputError(f"{args.variant}: expected --pseudo-labels and --anchors, found none")
    device = runtime.start(args, args.seed)
    network = device.place(load_network(args.model, args.classes))
    classes = network.description.classes
    source = arguments.crops(
        args, read_index(args.source, labels=True), "source", args.source_encoding, 4
    )
    active = arguments.crops(args, read_index(args.target, labels=True), "target", "train-ids", 5)
    streams, inputs = [source, active], [args.model, args.source, args.target]
    anchors = Anchors(torch.zeros(1, 1))
    if needs_unlabelled:
        index = read_index(args.pseudo_labels, labels=True)
        streams.append(arguments.crops(args, index, "target", "train-ids", 6))
        inputs += [args.pseudo_labels, args.anchors]
        width = classes * network.description.feature_channels
        values = torch.from_numpy(read_npy(args.anchors, columns=width).copy())
        anchors = Anchors(values.to(device.device))
    optimizer = sgd(network, args)

    def run_iteration(iteration: int, batches) -> dict[str, float]:
        set_poly_rate(optimizer, args.learning_rate, iteration, args.iterations, args.power)
        optimizer.zero_grad(set_to_none=True)
        (x_s, y_s), (x_l, y_l) = batches[:2]
        with device.autocast():
            logits, _, _ = network(device.images(x_s))
        loss = cross_entropy(logits, device.labels(y_s))
        loss.backward()
        losses = {"source": loss.item()}

        # Annotated and unlabelled target images share a batch: they are one domain to batch norm.
        x_t = torch.cat([x_l, batches[2][0]]) if needs_unlabelled else x_l
        with device.autocast():
            logits, latent, scores = network(device.images(x_t))
        loss = cross_entropy(logits[: len(x_l)], device.labels(y_l))
        losses["active"] = loss.item()
        features = None
        if variant.alignment:
            features = category_means(latent, category_masks(scores), classes)
            alignment = soft_alignment(features, anchors.values)
            loss = loss + args.alignment_weight * alignment
            losses["alignment"] = alignment.item()
        if variant.pseudo:
            unlabelled = logits[len(x_l) :]
            labels = device.labels(batches[2][1])
            if args.pseudo_source == "online":
                labels = online_pseudo_labels(unlabelled, labels == VOID, args.pseudo_threshold)
            pseudo = cross_entropy(unlabelled, labels)
            loss = loss + args.pseudo_weight * pseudo
            losses["pseudo"] = pseudo.item()
        loss.backward()
        optimizer.step()
        if variant.moving_anchors:
            update_anchors(anchors.values, features, args.ema_decay)
        return losses

    resume = run_training(
        args,
        device,
        network,
        streams,
        run_iteration,
        {"network": network, "optimizer": optimizer, "anchors": anchors},
        inputs,
    )
    save_network(network, args.output, args.classes, arguments.settings(args))
    resume.remove()


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_training(parser)
    parser.add_argument("--model", required=True, type=existing_file)
    parser.add_argument("--variant", required=True, choices=sorted(VARIANTS))
    parser.add_argument("--pseudo-labels", type=existing_file, help="index CSV")
    parser.add_argument("--anchors", type=existing_file, help="target anchors (.npy)")
    # 0.7 is the authors' weight, made for a mean over C·D; the paper's text has none.
    parser.add_argument("--alignment-weight", type=float, default=0.7)
    parser.add_argument("--pseudo-weight", type=float, default=1.0)
    parser.add_argument("--ema-decay", type=float, default=0.999, help="alpha of Eq. 8")
    parser.add_argument("--pseudo-source", choices=("fixed", "online"), default="fixed")
    parser.add_argument("--pseudo-threshold", type=float, default=0.0)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
