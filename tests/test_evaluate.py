"""The scores of a network on label files, against the official evaluation of its predictions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import labels as CITYSCAPES_LABELS
from PIL import Image

from mada.labels import CLASS_SETS
from mada.nn.checkpoints import save_network
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.evaluation import bands
from tiny import STEPS, index_of, make_tiny, run_step

CLASSES = "cityscapes19"
IDS = {label.name: label.id for label in CITYSCAPES_LABELS}


def test_scores_equal_the_official_evaluation_of_the_predictions(tmp_path, monkeypatch):
    _, target = make_tiny(tmp_path, source=1, train=1, tune=1, val=4)
    index_of("cityscapes", target, "val", labels=True).to_csv(tmp_path / "val.csv", index=False)
    torch.manual_seed(0)
    network = DeepLabV3Plus(NetworkDescription("resnet18", 19, 8, 32))
    with torch.no_grad():
        network.classifier.weight.mul_(100)  # so that it predicts several classes
    save_network(network, tmp_path / "model.pt", CLASSES, {})
    panels, output = tmp_path / "panels", tmp_path / "scores.json"
    result = run_step(
        *("evaluate", "--images", tmp_path / "val.csv", "--images-encoding", "cityscapes-ids"),
        *("--classes", CLASSES, "--model", tmp_path / "model.pt", "--batch-size", 2),
        *("--device", "cpu", "--threads", 1, "--panels", panels, "--panel-count", 4),
        *("--output", output),
    )
    assert result.returncode == 0, result.stderr
    scores = json.loads(output.read_text())
    for option in ("evalInstLevelScore", "evalPixelAccuracy", "JSONOutput"):
        monkeypatch.setattr(official.args, option, False)
    monkeypatch.setattr(official.args, "quiet", True)
    monkeypatch.setattr(official.args, "evalLabels", [])
    ids = np.uint8([IDS[name] for name in CLASS_SETS[CLASSES].names])
    truths, predictions = [], []
    for path in sorted(panels.glob("*.png")):
        truths += [str(p) for p in target.glob(f"gtFine/val/*/{path.stem}_gtFine_labelIds.png")]
        predictions.append(str(tmp_path / path.name))
        Image.fromarray(ids[np.asarray(Image.open(path))]).save(predictions[-1])
        with Image.open(next(target.glob(f"leftImg8bit/val/*/{path.stem}_*.png"))) as image:
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():  # by running statistics, whatever shares the batch
            logits, _, _ = network.eval()(pixels)
        assert (logits[0].argmax(dim=0).numpy() == np.asarray(Image.open(path))).mean() > 0.999
    assert len(truths) == scores["images"] == 4
    theirs = official.evaluateImgLists(predictions, truths, official.args)
    predicted = set()
    for name, value in scores["iou"].items():
        score = theirs["classScores"][name]
        predicted |= {name} if score > 0 else set()
        assert value == pytest.approx(score, abs=1e-6), name
    assert len(predicted) >= 3
    assert scores["miou"] == pytest.approx(theirs["averageScoreClasses"], abs=1e-6)
    assert scores["miou_19"] == scores["miou"]
    assert {"miou_16", "miou_13"} < set(scores)


def resized(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear values at the centres of the pixels, in loops; edges go on as they are."""
    classes, h, w = scores.shape
    made = np.empty((classes, height, width))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * h / height - 0.5, 0), h - 1)
            u = min(max((x + 0.5) * w / width - 0.5, 0), w - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            a, b = v - top, u - left
            above = (1 - b) * scores[:, top, left] + b * scores[:, top, right]
            below = (1 - b) * scores[:, bottom, left] + b * scores[:, bottom, right]
            made[:, y, x] = (1 - a) * above + a * below
    return made


@pytest.mark.parametrize("size", [(37, 53), (16, 24), (5, 4), (4, 6), (1, 1)])
def test_scores_are_resized_to_the_same_bytes_in_bands_of_any_height(size):
    height, width = size
    scores = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32))
    (whole,) = bands(scores, size)
    assert np.abs(whole.numpy() - resized(scores.numpy(), *size)).max() < 1e-5
    theirs = F.interpolate(scores[None], size, mode="bilinear", align_corners=False)[0]
    assert (whole - theirs).abs().max() < 1e-5
    for rows in (1, 2, 5, 36):
        parts = list(bands(scores, size, values=rows * 3 * width))
        assert [part.shape[1] for part in parts[:-1]] == [rows] * ((height - 1) // rows)
        assert torch.equal(torch.cat(parts, dim=1), whole)


# Runs the step once for each index and prints the most memory, in bytes, that it held meanwhile.
WATCHED = r"""
import resource, sys, threading, time
from pathlib import Path
import evaluate
from mada.nn import runtime

runtime.keep_freed_memory = lambda: None  # what is in use is measured, not what is kept

def watch():
    global most
    while True:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        most = max(most, pages * resource.getpagesize())
        time.sleep(0.005)

most = 0
threading.Thread(target=watch, daemon=True).start()
*words, indexes = sys.argv[1:]
for index in indexes.split(","):
    most = 0
    evaluate.main(evaluate.parser().parse_args([*words, "--images", index]))
    print(most)
"""


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_for_a_large_image_is_a_fraction_of_its_probabilities(tmp_path):
    indexes = []
    for width, height in ((400, 300), (4000, 3000)):
        stem = tmp_path / str(width)
        Image.new("RGB", (width, height), (90, 90, 90)).save(f"{stem}.png", compress_level=1)
        Image.new("L", (width, height), 7).save(f"{stem}-label.png", compress_level=1)
        row = {"id": "a", "image": f"{stem}.png", "label": f"{stem}-label.png"}
        row |= {"width": width, "height": height, "sequence": "", "frame": 0}
        pd.DataFrame([row, row | {"id": "b"}]).to_csv(f"{stem}.csv", index=False)
        indexes.append(f"{stem}.csv")
    save_network(
        DeepLabV3Plus(NetworkDescription("resnet18", 19, 8, 32)), tmp_path / "m.pt", CLASSES, {}
    )
    words = ("--images-encoding", "cityscapes-ids", "--images-size", "96x64", "--device", "cpu")
    words += ("--classes", CLASSES, "--batch-size", 2, "--model", tmp_path / "m.pt")
    words += ("--output", tmp_path / "scores.json", ",".join(indexes))
    result = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(STEPS), "MALLOC_MMAP_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    small, large = (int(line) for line in result.stdout.splitlines() if line.isdigit())
    assert json.loads((tmp_path / "scores.json").read_text())["images"] == 2
    print(f"{(large - small) / 2**20:.0f} MiB more")
    # Two such images' probabilities are 1.8 GB.
    assert large - small < 4000 * 3000 * 19 * 4 / 2
