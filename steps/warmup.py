"""Adversarial warm-up: train on labelled source images while a discriminator, which tells the
domains apart by their softmax maps, is to be fooled by the target's (MADA, section 3.2).

Inputs   source index (with labels), target_train index (without)
Outputs  M0's checkpoint, the discriminator's, and the losses of every iteration

The adversarial output-space adaptation is written from Tsai et al., CVPR 2018:
L = L_CE(x_s, y_s) + weight · BCE(f_D(softmax(M(x_t))), source), and the discriminator is
trained on both domains' maps.
"""

import argparse
from pathlib import Path
from urllib.error import URLError

import torch

from mada.cli import InputError, StepParser, run_step
from mada.files import read_index
from mada.labels import class_set
from mada.nn import arguments, runtime
from mada.nn.deeplab import OUTPUT_STRIDES, DeepLabV3Plus, NetworkDescription
from mada.nn.discriminator import Discriminator
from mada.nn.losses import SOURCE, TARGET, cross_entropy, domain_loss
from mada.nn.schedules import set_poly_rate
from mada.nn.segmentation_training import run_training, sgd


def build(args: argparse.Namespace) -> DeepLabV3Plus:
    description = NetworkDescription(
        args.backbone, len(class_set(args.classes)), args.feature_channels, args.output_stride
    )
    try:
        return DeepLabV3Plus(description, None if args.weights == "none" else args.weights)
    except (ValueError, KeyError) as error:
        raise InputError(str(error)) from error
    except URLError as error:
        raise InputError(
            f"weights {args.weights}: could not be fetched ({error.reason}); on a machine without "
            f"network place the file in {torch.hub.get_dir()}/checkpoints"
        ) from error


def main(args: argparse.Namespace) -> None:
    device = runtime.start(args, args.seed)
    source = arguments.crops(
        args, read_index(args.source, labels=True), "source", args.source_encoding, 0
    )
    target = arguments.crops(args, read_index(args.target), "target", None, 1)
    network = device.place(build(args))
    discriminator = device.place(Discriminator(len(class_set(args.classes))))
    optimizer = sgd(network, args)
    # Adam at 1e-4 with these moments is Tsai et al.'s choice for the discriminator.
    judge = torch.optim.Adam(
        discriminator.parameters(), lr=args.discriminator_learning_rate, betas=(0.9, 0.99)
    )

    def run_iteration(iteration: int, batches) -> dict[str, float]:
        (x_s, y_s, _), (x_t, _, _) = batches
        total = args.iterations
        set_poly_rate(optimizer, args.learning_rate, iteration, total, args.power)
        set_poly_rate(judge, args.discriminator_learning_rate, iteration, total, args.power)
        optimizer.zero_grad(set_to_none=True)

        with device.autocast():
            logits_s, _, _ = network(device.images(x_s))
        segmentation = cross_entropy(logits_s, device.labels(y_s))
        segmentation.backward()
        map_s = logits_s.detach().float().softmax(dim=1)

        discriminator.requires_grad_(False)
        with device.autocast():
            logits_t, _, _ = network(device.images(x_t))
        map_t = logits_t.float().softmax(dim=1)
        with device.autocast():
            fooled = discriminator(map_t)
        adversarial = domain_loss(fooled, SOURCE)
        (args.adversarial_weight * adversarial).backward()
        optimizer.step()

        discriminator.requires_grad_(True)
        judge.zero_grad(set_to_none=True)
        with device.autocast():
            verdict_s, verdict_t = discriminator(map_s), discriminator(map_t.detach())
        judged = (domain_loss(verdict_s, SOURCE) + domain_loss(verdict_t, TARGET)) / 2
        judged.backward()
        judge.step()
        return {
            "segmentation": segmentation.item(),
            "adversarial": adversarial.item(),
            "discriminator": judged.item(),
        }

    run_training(
        args,
        device,
        network,
        [source, target],
        run_iteration,
        {
            "network": network,
            "optimizer": optimizer,
            "discriminator": discriminator,
            "judge": judge,
        },
        [args.source, args.target],
        beside={args.discriminator_output: discriminator},
    )


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_training(parser)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--feature-channels", required=True, type=int, help="D")
    parser.add_argument("--output-stride", required=True, type=int, choices=OUTPUT_STRIDES)
    parser.add_argument("--weights", default="none", help="none, or torchvision's name of them")
    parser.add_argument("--adversarial-weight", required=True, type=float)
    parser.add_argument("--discriminator-learning-rate", required=True, type=float)
    parser.add_argument("--discriminator-output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
