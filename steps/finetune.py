"""Step 1 of the adaptation: fine-tune on labelled source images and the active samples (Eq. 6).

Inputs   model (M0, or an earlier round's), source index, index of the collected annotations
Outputs  M1's checkpoint and the losses of every iteration

``--target`` is the index of the annotations: active samples with training ids.
"""

import argparse
from pathlib import Path

from mada.cli import StepParser, existing_file, run_step
from mada.files import read_index
from mada.nn import arguments, runtime
from mada.nn.checkpoints import load_network
from mada.nn.losses import cross_entropy
from mada.nn.schedules import set_poly_rate
from mada.nn.segmentation_training import run_training, sgd


def main(args: argparse.Namespace) -> None:
    device = runtime.start(args, args.seed)
    source = arguments.crops(
        args, read_index(args.source, labels=True), "source", args.source_encoding, 2
    )
    annotated = read_index(args.target, labels=True)
    active = arguments.crops(args, annotated, "target", "train-ids", 3)
    network = device.place(load_network(args.model, args.classes))
    optimizer = sgd(network, args)

    def run_iteration(iteration: int, batches) -> dict[str, float]:
        set_poly_rate(optimizer, args.learning_rate, iteration, args.iterations, args.power)
        optimizer.zero_grad(set_to_none=True)
        losses = {}
        for name, (x, y, _) in zip(("source", "active"), batches, strict=True):
            with device.autocast():
                logits, _, _ = network(device.images(x))
            loss = cross_entropy(logits, device.labels(y))
            loss.backward()
            losses[name] = loss.item()
        optimizer.step()
        return losses

    run_training(
        args,
        device,
        network,
        [source, active],
        run_iteration,
        {"network": network, "optimizer": optimizer},
        [args.model, args.source, args.target, *map(Path, annotated["label"])],
    )


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_training(parser)
    parser.add_argument("--model", required=True, type=existing_file)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
