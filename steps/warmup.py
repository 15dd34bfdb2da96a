"""Warm-up: train on labelled source images while the target's predictions are drawn to the
source's by one of several methods (MADA, section 3.2, starts from adaptseg).

Inputs   source index (with labels), target_train index (without)
Outputs  M0's checkpoint, the discriminator's if the method has one, and the losses of every
         iteration

Methods  none      source only
         minent    small entropy of target predictions (Vu et al., CVPR 2019)
         adaptseg  adversarial adaptation of probability maps (Tsai et al., CVPR 2018)
         advent    adversarial adaptation of self-information maps (Vu et al., CVPR 2019)
         clan      category-level adversarial adaptation (Luo et al., CVPR 2019)

The first iterations may see the source alone: they take less than half as long, and give methods
that would start from pretrained weights a start where there are none.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from mada.cli import InputError, StepParser, run_step
from mada.files import read_index
from mada.labels import class_set
from mada.nn import arguments, runtime
from mada.nn.deeplab import OUTPUT_STRIDES, DeepLabV3Plus, NetworkDescription
from mada.nn.discriminator import Discriminator
from mada.nn.schedules import set_poly_rate
from mada.nn.segmentation_training import run_training, sgd, trainable, updates
from mada.nn.warmups import METHODS, Warmup


def build(args: argparse.Namespace) -> DeepLabV3Plus:
    description = NetworkDescription(
        args.backbone, len(class_set(args.classes)), args.feature_channels, args.output_stride
    )
    return DeepLabV3Plus(description, None if args.weights == "none" else args.weights)


def target_weight(args: argparse.Namespace) -> float:
    """The weight of what the method makes of the target.

    Raises
    ------
    InputError
        If a setting of the method is missing.
    """
    method = METHODS[args.method]
    needed = ["entropy_weight"] if method.entropy else []
    if method.view is not None:
        needed = ["adversarial_weight", "discriminator_learning_rate", "discriminator_output"]
    missing = ["--" + name.replace("_", "-") for name in needed if getattr(args, name) is None]
    if missing:
        raise InputError(f"{args.method}: expected {', '.join(missing)}, found none")
    return getattr(args, needed[0]) if needed else 0.0


def main(args: argparse.Namespace) -> None:
    method, weight = METHODS[args.method], target_weight(args)
    alone = args.source_only_iterations
    if alone >= args.iterations:
        raise InputError(
            f"source-only iterations: expected fewer than {args.iterations} in all, found {alone}"
        )
    device = runtime.start(args, args.seed)
    streams = [
        arguments.crops(
            args, read_index(args.source, labels=True), "source", args.source_encoding, 0
        )
    ]
    if method.sees_target:
        index = read_index(args.target)
        streams.append(arguments.crops(args, index, "target", None, 1, begins=alone))
    network = device.place(build(args))
    discriminator = None
    if method.view is not None:
        discriminator = device.place(Discriminator(len(class_set(args.classes)), method.view))
    update = updates(args, device)
    model = trainable(network, args, device)
    warmup = Warmup(method, device, update, network, model, discriminator, weight)
    optimizers = {"optimizer": sgd(warmup.parameters(), args)}
    schedules = {"optimizer": (args.learning_rate, 0)}  # rate, and the iteration it decays from
    if discriminator is not None:
        # Adam at 1e-4 with these moments is Tsai et al.'s choice for the discriminator.
        rate = args.discriminator_learning_rate
        schedules["judge"] = rate, alone
        optimizers["judge"] = torch.optim.Adam(
            discriminator.parameters(), lr=rate, betas=(0.9, 0.99)
        )

    def run_iteration(iteration: int, batches) -> dict[str, Tensor]:
        training = []
        for name, (rate, first) in schedules.items():
            if iteration >= first:
                training.append(optimizers[name])
                set_poly_rate(
                    optimizers[name], rate, iteration - first, args.iterations - first, args.power
                )
        losses = warmup.gather_gradients(*batches)
        update.step(*training)
        return losses

    run_training(
        args,
        device,
        network,
        streams,
        run_iteration,
        warmup.stateful() | optimizers | {"updates": update},
        [args.source, args.target],
        beside={args.discriminator_output: discriminator} if discriminator is not None else {},
        finished=warmup.finished,
    )


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_training(parser)
    parser.add_argument("--method", default="adaptseg", choices=METHODS)
    parser.add_argument(
        "--source-only-iterations",
        type=int,
        default=0,
        help="how many of the iterations, the first, see no target image",
    )
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--feature-channels", required=True, type=int, help="D")
    parser.add_argument("--output-stride", required=True, type=int, choices=OUTPUT_STRIDES)
    parser.add_argument("--weights", default="none", help="none, or torchvision's name of them")
    parser.add_argument("--entropy-weight", type=float, help="of minent")
    parser.add_argument("--adversarial-weight", type=float, help="of adaptseg, advent, clan")
    parser.add_argument("--discriminator-learning-rate", type=float)
    parser.add_argument("--discriminator-output", type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
