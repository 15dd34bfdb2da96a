"""Take a checkpoint of one's own as M0 instead of a warm-up.

Input    a checkpoint of this pipeline, or a bare state dict of the network described
Output   M0's checkpoint; refused unless every tensor's name and shape fits
"""

import argparse
from pathlib import Path

from mada.cli import InputError, StepParser, existing_file, run_step
from mada.labels import class_set, class_set_name
from mada.nn.checkpoints import load_network, load_plain, load_state, save_network
from mada.nn.deeplab import OUTPUT_STRIDES, DeepLabV3Plus, NetworkDescription


def main(args: argparse.Namespace) -> None:
    state = load_plain(args.checkpoint)
    classes = len(class_set(args.classes))
    description = NetworkDescription(
        args.backbone, classes, args.feature_channels, args.output_stride
    )
    if "state_dict" in state:
        network = load_network(args.checkpoint, args.classes)
        found = network.description.as_dict()
        differences = [
            f"{name} {found[name]} instead of {value}"
            for name, value in description.as_dict().items()
            if found[name] != value
        ]
        if differences:
            raise InputError(
                f"{args.checkpoint}: expected the network described, found {', '.join(differences)}"
            )
    else:
        network = DeepLabV3Plus(description)
        load_state(network, state, args.checkpoint)
    save_network(network, args.output, args.classes, {})
    print(f"{args.output}: taken from {args.checkpoint}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--checkpoint", required=True, type=existing_file)
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--feature-channels", required=True, type=int, help="D")
    parser.add_argument("--output-stride", required=True, type=int, choices=OUTPUT_STRIDES)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
