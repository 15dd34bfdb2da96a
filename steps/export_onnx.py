"""Export a model as ONNX with its class table, and write its model card.

Inputs   model, indexes of the source and the target, annotations, scores where there are some
Outputs  model.onnx, model-card.md

The graph takes images (N, 3, H, W), float32 RGB in [0, 1], and returns logits (N, C, H, W); N, H
and W are free.  Its metadata hold the classes in order of channel.  onnxruntime must agree with
PyTorch to ``TOLERANCE`` on the sizes that are tried, or nothing is written.
"""

import argparse
import io
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mada.annotation.bundle import class_table
from mada.annotation.classes import annotation_classes
from mada.annotation.model_card import Facts, model_card
from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import atomic_path, read_index, read_json
from mada.labels import class_set, class_set_name, read_label, train_id_table
from mada.nn.checkpoints import load_network, load_plain
from mada.nn.deeplab import DeepLabV3Plus
from mada.version import VERSION

TOLERANCE = 1e-3  # of logits
TRACED, TRIED = (1, 96, 128), ((1, 96, 128), (2, 129, 187))  # images, height, width
INPUT, OUTPUT, OPSET = "image", "logits", 17


class Logits(nn.Module):
    """The network with its logits alone, resized by what ONNX knows at any size."""

    def __init__(self, network: DeepLabV3Plus):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        scores = self.network.classifier(self.network.encode(images))
        return F.interpolate(scores, images.shape[2:], mode="bilinear", align_corners=False)


def main(args: argparse.Namespace) -> None:
    network = Logits(load_network(args.model, args.classes)).eval()
    checkpoint = load_plain(args.model)
    names = class_set(args.classes).names
    table = class_table(annotation_classes(args.classes)).assign(name=[*names, "unlabelled"])
    exported = onnx_model(network)
    metadata = {
        "classes": json.dumps(table.to_dict("records")),
        "input": "RGB, float32, 0 to 1, (N, 3, height, width)",
        "output": "logits, float32, (N, classes, height, width); channels in order of train_id",
        "version": VERSION,
    }
    onnx.helper.set_model_props(exported, metadata)
    packed = exported.SerializeToString(deterministic=True)
    difference = largest_difference(network, packed)
    if difference > TOLERANCE:
        raise InputError(
            f"{args.model}: expected logits within {TOLERANCE} of PyTorch's, "
            f"found a difference of {difference:.2g}"
        )
    labels = []  # M0 has none of the target
    for folder in args.annotations:
        labels += [*read_index(folder / "index.csv", labels=True)["label"]]
    card = model_card(
        Facts(
            variant=args.variant,
            made_by=args.made_by,
            classes=table,
            network=checkpoint["network"],
            settings=checkpoint["settings"],
            source_images=len(read_index(args.source)),
            target_images=len(read_index(args.target)),
            annotated_images=len(labels),
            annotated_by=args.annotated_by,
            annotated_pixels=labelled_pixels(labels, args.classes)[: len(names)],
            scores=read_json(args.scores) if args.scores else None,
            scored_on=args.scored_on,
            difference=difference,
        )
    )
    with atomic_path(args.card) as partial:
        partial.write_text(card, encoding="utf-8")
    with atomic_path(args.output) as partial:
        partial.write_bytes(packed)
    print(f"{args.output}: logits within {difference:.1e} of PyTorch's")


def onnx_model(network: Logits) -> onnx.ModelProto:
    """The network as an ONNX graph of any number and size of images."""
    buffer = io.BytesIO()
    free = {0: "N", 2: "H", 3: "W"}
    count, height, width = TRACED
    with warnings.catch_warnings():
        # The newer exporter needs a package more and fixes the sizes of some resizes.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(count, 3, height, width),),
            buffer,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: free, OUTPUT: free},
            opset_version=OPSET,
        )
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return model


@torch.inference_mode()
def largest_difference(network: Logits, packed: bytes) -> float:
    """Largest difference of a logit between onnxruntime and PyTorch, over the sizes tried."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(packed, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    differences = []
    for count, height, width in TRIED:
        images = rng.random((count, 3, height, width), np.float32)
        (found,) = session.run([OUTPUT], {INPUT: images})
        expected = network(torch.from_numpy(images)).numpy()
        differences.append(float(np.abs(found - expected).max()))
    return max(differences)


def labelled_pixels(labels: list[str], classes: str) -> np.ndarray:
    """Pixels of each training id (256,) int64 in label maps."""
    table = train_id_table("train-ids", classes)
    total = np.zeros(256, np.int64)
    for path in labels:
        total += np.bincount(read_label(Path(path), table).ravel(), minlength=256)
    return total


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--model", required=True, type=existing_file)
    parser.add_argument("--variant", required=True, help="what the model card calls it")
    parser.add_argument("--made-by", required=True, help="preset and the like, for the card")
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--source", required=True, type=existing_file, help="index CSV")
    parser.add_argument("--target", required=True, type=existing_file, help="index CSV")
    parser.add_argument(
        "--annotations",
        nargs="+",
        default=[],
        type=Path,
        help="folders with index.csv, of all rounds",
    )
    parser.add_argument("--annotated-by", required=True, help="who made them, for the card")
    parser.add_argument("--scores", type=existing_file, help="JSON of evaluate")
    parser.add_argument("--scored-on", default="", help="images of the scores, for the card")
    parser.add_argument("--card", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
