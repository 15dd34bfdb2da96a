"""Step 1 of the adaptation: fine-tune on labelled source images and the active samples (Eq. 6).

Inputs   model (M0, or an earlier round's), source index, index of the collected annotations
Outputs  M1's checkpoint and the losses of every iteration

``--target`` is the index of the annotations: active samples with training ids, of the newest round
where there are several.
"""

import argparse

from torch import Tensor

from mada.cli import StepParser, existing_file, run_step
from mada.files import read_index
from mada.nn import arguments, runtime
from mada.nn.checkpoints import load_network
from mada.nn.losses import cross_entropy, labelled_pixels
from mada.nn.schedules import set_poly_rate
from mada.nn.segmentation_training import run_training, sgd, trainable, updates

STREAMS_PER_ROUND = 10  # 0 and 1 are the warm-up's, 4 to 6 the adaptation's


def main(args: argparse.Namespace) -> None:
    device = runtime.start(args, args.seed)
    # Every round draws crops of its own: the model has seen those of the rounds before.
    first = 2 + STREAMS_PER_ROUND * len(args.earlier)
    source = arguments.crops(
        args, read_index(args.source, labels=True), "source", args.source_encoding, first
    )
    annotated, files = arguments.annotations(args)
    active = arguments.crops(args, annotated, "target", "train-ids", first + 1)
    network = device.place(load_network(args.model, args.classes))
    model = trainable(network, args, device)
    optimizer, update = sgd(network.parameters(), args), updates(args, device)

    def run_iteration(iteration: int, batches) -> dict[str, Tensor]:
        set_poly_rate(optimizer, args.learning_rate, iteration, args.iterations, args.power)
        losses = {}
        for name, (images, labels, _) in zip(("source", "active"), batches, strict=True):
            labels = device.labels(labels)
            pixels = device.total(labelled_pixels(labels))
            losses[name] = 0
            for x, y in update.passes(model, images, labels, final=name == "active"):
                with device.autocast():
                    logits, _, _ = model(device.images(x))
                losses[name] += update.backward(cross_entropy(logits, y, pixels))
        update.step(optimizer)
        return losses

    run_training(
        args,
        device,
        network,
        [source, active],
        run_iteration,
        {"network": network, "optimizer": optimizer, "updates": update},
        [args.model, args.source, *files],
    )


def parser() -> StepParser:
    parser = StepParser(__doc__)
    arguments.add_training(parser)
    arguments.add_earlier(parser)
    parser.add_argument("--model", required=True, type=existing_file)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
