"""The exported model is the same network elsewhere, and brings its classes and its card."""

import json
import re
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

import export_onnx
from handed import hand_out, write_class_table
from mada.annotation.bundle import class_table
from mada.annotation.classes import annotation_classes
from mada.annotation.model_card import Facts, model_card
from mada.cli import InputError
from mada.labels import save_label
from mada.nn.checkpoints import save_network
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription

SCORES = {"images": 5, "miou": 0.25, "iou": {"black ice": 0.5, "background": None}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    classes = write_class_table(folder)
    handed = hand_out(folder, classes, np.random.default_rng(0))
    torch.manual_seed(0)
    network = DeepLabV3Plus(NetworkDescription("resnet18", 4, 8, 16)).eval()
    save_network(network, folder / "model.pt", classes, {"iterations": 7, "target_size": [96, 64]})
    rows = (folder / "index.csv").read_text().replace("width", "label,width", 1).splitlines()
    for place, (image_id, label) in enumerate(handed.labels.items(), start=1):
        label[label == 3] = 0  # nobody saw a tree
        path = folder / f"annotations/labels/{image_id}.png"
        save_label(path, label, classes)
        image = f"{folder}/photographs/{image_id}.png,"
        rows[place] = rows[place].replace(image, f"{image}{path},")
    for name, part in (("annotations", rows[1:3]), ("later", rows[3:])):  # of two rounds
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "index.csv").write_text("\n".join([rows[0], *part]) + "\n")
    (folder / "source.csv").write_text("\n".join(rows[:3]) + "\n")
    (folder / "scores.json").write_text(json.dumps(SCORES))
    export(folder, "--scores", folder / "scores.json", "--scored-on", "the validation split")
    return folder, network, handed


def export(folder, *more: object) -> None:
    words = ["--model", folder / "model.pt", "--variant", "M4-V10", "--made-by", "preset x"]
    words += ["--annotated-by", "people", "--annotations", folder / "annotations", folder / "later"]
    words += ["--classes", folder / "classes.json"]
    words += ["--source", folder / "source.csv", "--target", folder / "index.csv"]
    words += ["--card", folder / "model-card.md", "--output", folder / "model.onnx", *more]
    export_onnx.main(export_onnx.parser().parse_args([str(word) for word in words]))


@pytest.mark.parametrize("shape", [(1, 64, 96), (3, 97, 131), (1, 33, 250)])
def test_logits_are_pytorch_s_at_any_number_and_size_of_images(made, shape):
    folder, network, _ = made
    count, height, width = shape
    images = np.random.default_rng(1).random((count, 3, height, width), np.float32)
    (found,) = onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"image": images})
    with torch.inference_mode():
        expected = network(torch.from_numpy(images))[0].numpy()
    assert found.shape == expected.shape == (count, 4, height, width)
    assert np.abs(found - expected).max() < 1e-3


def test_metadata_hold_the_classes_in_order_of_channel(made):
    folder, _, handed = made
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    rows = json.loads(metadata["classes"])
    assert [row["name"] for row in rows] == [
        *("background", "black ice", "sign: stop", "tree", "unlabelled")
    ]
    assert [row["id"] for row in rows] == [*handed.classes.ids, handed.classes.void_id]
    assert "float32" in metadata["input"] and "train_id" in metadata["output"]


def test_the_same_model_gives_the_same_file(made):
    folder = made[0]
    before = (folder / "model.onnx").read_bytes()
    export(folder, "--scores", folder / "scores.json", "--scored-on", "the validation split")
    assert (folder / "model.onnx").read_bytes() == before
    assert str(folder).encode() not in before


def test_the_card_tells_data_classes_settings_scores_and_limits(made):
    folder, _, handed = made
    card = (folder / "model-card.md").read_text(encoding="utf-8")
    pixels = {n: sum(int((x == n).sum()) for x in handed.labels.values()) for n in range(4)}
    assert "# Model card: M4-V10" in card and "| of these labelled (people) | 4 |" in card
    assert "| source images, all labelled | 2 |" in card and "| target images | 4 |" in card
    assert f"| labelled target pixels | {sum(pixels.values()):,} |" in card
    assert "one of 4 classes" in card and "logits\n(N, 4, height, width)" in card
    (difference,) = re.findall(r"differ from PyTorch's by (\S+) at most", card)
    assert 0 < float(difference) < 1e-3
    assert f"| 1 | 1 | black ice | 255 255 255 | {pixels[1]:,} | 50.0 |" in card
    assert f"| 0 | 3 | background | 10 20 30 | {pixels[0]:,} | - |" in card
    assert "mIoU 25.0 % on 5 images (the validation split)." in card
    assert "No labelled target pixel shows tree:" in card
    assert "| iterations | 7 |" in card and "backbone resnet18" in card
    assert "Made by preset x." in card and "in training, to 96 x 64 pixels" in card


def test_a_card_without_scores_or_annotations_says_so(made, tmp_path):
    folder = made[0]
    words = ["--model", folder / "model.pt", "--variant", "M0", "--made-by", "preset x"]
    words += ["--classes", folder / "classes.json", "--card", tmp_path / "card.md"]
    words += ["--annotated-by", "people"]
    words += ["--source", folder / "index.csv", "--target", folder / "index.csv"]
    words += ["--output", tmp_path / "model.onnx"]
    export_onnx.main(export_onnx.parser().parse_args([str(word) for word in words]))
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "None: there were no labelled target images" in card
    assert "| of these labelled (people) | 0 |" in card
    assert "No labelled target pixel shows background, black ice, sign: stop, tree:" in card


def test_names_and_settings_cannot_break_the_tables_of_a_card():
    table = pd.DataFrame({"name": ["a|b", "c", "unlabelled"], "id": [7, 8, 0]})
    table = table.assign(train_id=[0, 1, 255], red=1, green=2, blue=3)
    facts = Facts(
        variant="M1",
        made_by="hand",
        classes=table,
        network={},
        settings={"x": "p|q", "classes": "all of them", "target_size": None},
        source_images=1,
        target_images=1,
        annotated_images=1,
        annotated_by="two neighbours",
        annotated_pixels=np.array([0, 1]),
        scores=None,
        scored_on="",
        difference=0.0,
    )
    assert_whole_tables(model_card(facts), 3)
    scores = {"miou": 0.5, "images": 1, "iou": {"a|b": 0.5, "c": 0.5}}
    card = model_card(replace(facts, scores=scores))
    assert_whole_tables(card, 3)
    assert r"| 0 | 7 | a\|b | 1 2 3 | 0 | 50.0 |" in card
    assert r"No labelled target pixel shows a\|b:" in card and r"| p\|q |" in card
    assert "| of these labelled (two neighbours) | 1 |" in card
    assert "all of them" not in card
    seen = model_card(replace(facts, annotated_pixels=np.array([1, 1])))
    assert "No labelled target pixel shows" not in seen


def assert_whole_tables(text: str, count: int) -> None:
    """Each of so many tables has as many cells in every line."""
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == count
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"target_size": [96, 64]}, "Scale images as in training, to 96 x 64 pixels."),
        ({"target_size": None}, "Scale images as in training, to their own size."),
        ({}, "What size images had in training is not known."),  # of a checkpoint from elsewhere
    ],
)
def test_the_card_tells_the_size_of_images_where_it_is_known(settings, expected):
    classes = class_table(annotation_classes("cityscapes19"))
    pixels = np.zeros(19, np.int64)
    facts = Facts("M0", "x", classes, {}, settings, 1, 1, 0, "people", pixels, None, "", 0.0)
    assert f"\n{expected} Network: " in model_card(facts)


def test_a_graph_that_computes_something_else_is_refused(made, tmp_path, monkeypatch):
    folder = made[0]
    convert = export_onnx.onnx_model

    def spoilt(network) -> onnx.ModelProto:
        model = convert(network)
        weights = next(t for t in model.graph.initializer if t.name.endswith("classifier.bias"))
        values = onnx.numpy_helper.to_array(weights) + np.float32(0.01)
        weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
        return model

    monkeypatch.setattr(export_onnx, "onnx_model", spoilt)
    with pytest.raises(InputError, match=r"within 0.001 of PyTorch's, found a difference of 0.01"):
        export(folder, "--output", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
