"""Time an iteration of the fine-tuning against its bare forward and backward passes.

    python benchmarks/training.py [--threads 2]

The iteration is the step's own, from batches as the loader gives them to the losses of the
history. Beside it, on the same tensors: forward pass, torch's cross-entropy, backward pass, for a
batch of each domain, and SGD's step. Rounds of both are measured by turns in one process: ratios
hold across machines better than seconds.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
import finetune
from mada.labels import VOID
from mada.nn import runtime
from mada.nn.checkpoints import save_network
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.training import train
from measure import by_turns

CLASSES = "cityscapes19"
# Network, crop, images a domain, rounds; the first is the demo's, the last the paper's but for
# its batch of 4.
CASES = (
    (NetworkDescription("resnet18", 19, 64, 32), (192, 96), 4, 40),
    (NetworkDescription("resnet18", 19, 256, 16), (256, 128), 2, 20),
    (NetworkDescription("resnet101", 19, 256, 16), (896, 512), 1, 3),
)


class NoState:
    """A resume state that keeps nothing."""

    def load(self) -> None:
        return None


def prepared(case: tuple, args: argparse.Namespace, folder: Path) -> tuple:
    """The fine-tuning step up to its loop: its runtime, network and run_iteration."""
    description, (width, height), batch, _ = case
    save_network(DeepLabV3Plus(description), folder / "model.pt", CLASSES, {})
    row = {"id": "1", "image": "never read", "label": "never read", "sequence": "", "frame": 0}
    pd.DataFrame([row | {"width": width, "height": height}]).to_csv(folder / "i.csv", index=False)
    words = ["--classes", CLASSES, "--batch-size", batch, "--iterations", 1_000_000, "--seed", 0]
    words += ["--crop", f"{width}x{height}", "--resize-range", 1, 1, "--flip", "--power", 0.9]
    words += ["--learning-rate", 1e-3, "--momentum", 0.9, "--weight-decay", 2e-4]
    for name in ("source", "target", "statistics"):
        words += [f"--{name}", folder / "i.csv"]
    words += ["--model", folder / "model.pt", "--history", folder / "history.csv"]
    words += ["--threads", args.threads, "--precision", args.precision, "--device", args.device]
    words += ["--output", folder / "out.pt"]
    found = []
    finetune.run_training = lambda *arguments: found.extend(arguments)
    finetune.main(finetune.parser().parse_args([str(word) for word in words]))
    _, device, network, _, run_iteration, *_ = found
    return device, network, run_iteration


def compare(case: tuple, args: argparse.Namespace, folder: Path) -> None:
    description, (width, height), batch, rounds = case
    device, network, run_iteration = prepared(case, args, folder)
    network.train()
    shape = (batch, height, width)
    batches = [
        (
            torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8),
            torch.randint(0, 19, shape, dtype=torch.uint8),
            torch.ones(shape, dtype=torch.bool),
        )
        for _ in range(2)
    ]
    ready = [(device.images(x), device.labels(y)) for x, y, _ in batches]
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, weight_decay=2e-4)

    def iteration() -> None:
        train(run_iteration, lambda start: iter([batches]), {}, 1, device, NoState(), 0)

    def bare() -> None:
        for images, labels in ready:
            with device.autocast():
                logits, _, _ = network(images)
            F.cross_entropy(logits, labels, ignore_index=VOID).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    ours, theirs, ratio = by_turns(iteration, bare, rounds)
    print(
        f"{description.backbone}, D = {description.feature_channels}, {batch} crops of "
        f"{width}x{height} a domain: iteration {ours:.3f} s; bare {theirs:.3f} s; "
        f"ratio {ratio:.3f} (to hold: at most 1.05)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    runtime.add_arguments(parser)
    parser.set_defaults(threads=2, device="cpu")
    parser.add_argument("--cases", nargs="+", type=int, default=range(len(CASES)), help="by number")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number in args.cases:
            compare(CASES[number], args, Path(folder))


if __name__ == "__main__":
    main()
