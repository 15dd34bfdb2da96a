"""What warm-up, fine-tuning and adaptation have in common around the training loop."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import SGD

from mada.files import write_csv
from mada.metrics import class_iou
from mada.nn import arguments
from mada.nn.checkpoints import save_network
from mada.nn.datasets import TrainingCrops
from mada.nn.deeplab import DeepLabV3Plus
from mada.nn.evaluation import confusion
from mada.nn.normalisation import estimate_statistics
from mada.nn.runtime import Runtime
from mada.nn.training import ResumeState, train

EVALUATION_BATCH = 8


def sgd(network: DeepLabV3Plus, args: argparse.Namespace) -> SGD:
    return SGD(
        network.parameters(),
        lr=args.learning_rate,
        momentum=args.momentum,
        weight_decay=args.weight_decay,
    )


def run_training(
    args: argparse.Namespace,
    runtime: Runtime,
    network: DeepLabV3Plus,
    streams: list[TrainingCrops],
    run_iteration: Callable[[int, Any], dict[str, float]],
    stateful: Mapping[str, Any],
    inputs: list[Path],
    beside: Mapping[Path, nn.Module] | None = None,
) -> None:
    """Train on batches of all streams at once, then write the history and the trained networks.

    ``beside`` names what else is trained and where it is written.  The resume state goes last,
    when every output stands.
    """
    inputs = [*inputs, args.statistics]
    computed = {"on": runtime.device.type, "in": runtime.precision}
    resume = ResumeState(args.output, arguments.settings(args) | computed, inputs)

    def make_batches(start: int):
        iterators = [
            stream.batches(args.batch_size, start, args.iterations, args.loader_workers)
            for stream in streams
        ]
        return zip(*iterators, strict=True)

    target = arguments.whole_images(args, args.statistics, "target", None)
    workers = args.loader_workers
    evaluate = None
    if args.tune is not None and args.tune_every:
        images = arguments.whole_images(args, args.tune, "tune", args.tune_encoding)

        def evaluate() -> float:
            # Running statistics take no part in training, so this changes no weight.
            estimate_statistics(network, target, EVALUATION_BATCH, runtime, workers)
            counts = confusion(network, images, EVALUATION_BATCH, runtime, workers)
            return float(np.nanmean(class_iou(counts)))

    network.train()
    history = train(
        run_iteration,
        make_batches,
        stateful,
        args.iterations,
        resume,
        args.save_every,
        evaluate,
        args.tune_every,
    )
    estimate_statistics(network, target, EVALUATION_BATCH, runtime, workers)
    write_csv(args.history, history)
    for path, trained in {**(beside or {}), args.output: network}.items():
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
