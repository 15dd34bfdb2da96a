"""The scores of a network on label files, against the official evaluation of its predictions."""

import json

import numpy as np
import pytest
import torch
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import labels as CITYSCAPES_LABELS
from PIL import Image

from mada.labels import CLASS_SETS
from mada.nn.checkpoints import save_network
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from tiny import index_of, make_tiny, run_step

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
