"""Time the extraction of features against the bare forward pass over the same tensors.

    python benchmarks/extraction.py [--threads 2]

Both take images that are decoded already, so that what is compared is the extraction's own work:
masks, category means, scores, writing. The bare forward pass is f_C(f_E(x)) at the feature map's
size, all that features need; resizing the scores to the image's size, which the network's own
forward pass adds, and the discriminator, which the ranking of AADA needs, are told apart. Rounds
of both are measured by turns in one process: ratios hold across machines better than seconds.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from mada.nn import runtime
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.discriminator import Discriminator
from mada.nn.extraction import SCORES, features_and_scores
from measure import by_turns

CLASSES = 19
# Network, width, height, images a batch, rounds; the first is the demo's, the last the paper's.
CASES = (
    (NetworkDescription("resnet18", CLASSES, 64, 32), 256, 128, 4, 60),
    (NetworkDescription("resnet18", CLASSES, 256, 16), 256, 128, 4, 40),
    (NetworkDescription("resnet101", CLASSES, 256, 16), 1024, 512, 1, 5),
)


@torch.inference_mode()
def compare(case: tuple, device: runtime.Runtime, folder: Path) -> None:
    description, width, height, batch, rounds = case
    network = device.place(DeepLabV3Plus(description)).eval()
    discriminator = device.place(Discriminator(CLASSES)).eval()
    pixels = torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)
    ready = device.images(pixels)
    shape = (batch, CLASSES * description.feature_channels)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, shape)
    scores = np.empty((batch, len(SCORES)), np.float32)

    def bare() -> None:
        with device.autocast():
            network.classifier(network.encode(ready))

    def whole() -> None:
        with device.autocast():
            network(ready)

    def extraction(judge: Discriminator | None = None) -> None:
        batches = [(pixels, torch.empty(0))]
        for features[:], scores[:] in features_and_scores(network, judge, batches, device):
            pass

    print(f"{description.backbone}, D = {description.feature_channels}, {width}x{height}:")
    for name, other in (("bare forward pass", bare), ("with scores at full size", whole)):
        ours, theirs, ratio = by_turns(extraction, other, rounds)
        print(
            f"  extraction {ours:.3f} s; {name} {theirs:.3f} s; "
            f"speed {1 / ratio:.3f} of it (to hold: 0.95)"
        )
    ours, theirs, ratio = by_turns(lambda: extraction(discriminator), extraction, rounds)
    print(f"  with discriminator {ours:.3f} s; without {theirs:.3f} s; takes {ratio:.3f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    runtime.add_arguments(parser)
    parser.set_defaults(threads=2, device="cpu")
    parser.add_argument("--cases", nargs="+", type=int, default=range(len(CASES)), help="by number")
    args = parser.parse_args()
    device = runtime.start(args)
    with tempfile.TemporaryDirectory() as folder:
        for number in args.cases:
            compare(CASES[number], device, Path(folder))


if __name__ == "__main__":
    main()
