"""What warm-up, fine-tuning and adaptation have in common around the training loop."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD

from mada.cli import InputError
from mada.files import write_csv
from mada.metrics import class_iou
from mada.nn import arguments
from mada.nn.checkpoints import save_network
from mada.nn.datasets import TrainingCrops
from mada.nn.deeplab import DeepLabV3Plus
from mada.nn.evaluation import confusion
from mada.nn.normalisation import estimate_statistics, training_mode
from mada.nn.runtime import Runtime
from mada.nn.training import ResumeState, train
from mada.nn.updates import Updates

EVALUATION_BATCH = 8


def sgd(parameters: Iterable[nn.Parameter], args: argparse.Namespace) -> SGD:
    return SGD(
        parameters,
        lr=args.learning_rate,
        momentum=args.momentum,
        weight_decay=args.weight_decay,
    )


def trainable(network: DeepLabV3Plus, args: argparse.Namespace, runtime: Runtime) -> nn.Module:
    """The network as a training calls it: compiled if asked for, and spread over processes."""
    synchronised = runtime.processes > 1 and runtime.device.type == "cuda"
    if synchronised and args.batch_norm == "batch":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # in place, batch norms being inside
    if args.compile:
        network.compile()
    return runtime.parallel(network)


def updates(args: argparse.Namespace, runtime: Runtime) -> Updates:
    """How a training turns losses into steps.

    Raises
    ------
    InputError
        If the batch cannot be shared out evenly.
    """
    made = Updates(runtime, args.accumulate)
    if args.batch_size % made.pieces:
        raise InputError(
            f"batch size: expected a multiple of {runtime.processes} processes times "
            f"{args.accumulate} micro-batches, found {args.batch_size}"
        )
    return made


def run_training(
    args: argparse.Namespace,
    runtime: Runtime,
    network: DeepLabV3Plus,
    streams: list[TrainingCrops],
    run_iteration: Callable[[int, Any], dict[str, Tensor]],
    stateful: Mapping[str, Any],
    inputs: list[Path],
    beside: Mapping[Path, nn.Module] | None = None,
    finished: Callable[[], DeepLabV3Plus] | None = None,
) -> None:
    """Train on batches of all streams at once, then write the history and the trained networks.

    ``beside`` names what else is trained and where it is written; ``finished`` returns the network
    to score and to write, where it is not the one that trains.  The resume state goes last, when
    every output stands.
    """
    finished = finished or (lambda: network)
    stride = network.description.output_stride
    together = args.batch_size // (args.accumulate * runtime.processes)
    if args.batch_norm == "batch" and together == 1 and max(args.crop) <= stride:
        raise InputError(
            f"crop: expected more than {stride} pixels a side for an image at a time, found "
            f"{'x'.join(map(str, args.crop))}: batch norm would see a single value"
        )
    inputs = [*inputs, args.statistics, *([args.tune] if args.tune else [])]
    computed = {"on": runtime.device.type, "in": runtime.precision, "by": runtime.processes}
    first = runtime.rank == 0
    resume = ResumeState(args.output, arguments.settings(args) | computed, inputs, writes=first)

    def make_batches(start: int):
        iterators = [
            stream.batches(
                args.batch_size,
                start,
                args.iterations,
                args.loader_workers,
                runtime.rank,
                runtime.processes,
            )
            for stream in streams
        ]
        return zip(*iterators, strict=True)

    target = arguments.whole_images(args, args.statistics, "target", None)
    workers, frozen = args.loader_workers, args.batch_norm == "frozen"

    def settle_statistics() -> None:
        # Every process over the same images, and so to the same statistics.  On GPUs they wait for
        # each other all the same, batch norms being synchronised whenever they train.
        if not frozen:
            estimate_statistics(network, target, EVALUATION_BATCH, runtime, workers)

    evaluate = None
    if args.tune is not None and args.tune_every:
        images = arguments.whole_images(args, args.tune, "tune", args.tune_encoding)

        def evaluate() -> float:
            # Running statistics take no part in training, so this changes no weight.
            settle_statistics()
            counts = confusion(finished(), images, EVALUATION_BATCH, runtime, workers)
            training_mode(network, frozen)
            return float(np.nanmean(class_iou(counts)))

    training_mode(network, frozen)
    history = train(
        run_iteration,
        make_batches,
        stateful,
        args.iterations,
        runtime,
        resume,
        args.save_every,
        evaluate,
        args.tune_every,
    )
    settle_statistics()
    if first:
        write_csv(args.history, history)
        for path, trained in {**(beside or {}), args.output: finished()}.items():
            save_network(trained, path, args.classes, arguments.settings(args))
    resume.remove()


class Anchors:
    """Target anchors as something with a state, so that an interrupted run keeps them."""

    def __init__(self, values: torch.Tensor):
        self.values = values

    def state_dict(self) -> dict:
        return {"values": self.values}

    def load_state_dict(self, state: dict) -> None:
        self.values.copy_(state["values"])
