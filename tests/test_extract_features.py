"""Extraction as a step: what stands in a row, shards, memory, and outputs whole or not at all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import extract_features
import merge_features
import rank_targets
from mada.cli import InputError
from mada.labels import train_id_table
from mada.nn.checkpoints import save_network
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.discriminator import Discriminator
from mada.nn.pooling import category_masks, category_means, prediction_scores
from tiny import STEPS, index_of, make_tiny

CLASSES, CHANNELS, BATCH = "cityscapes19", 8, 3
COMMON = ("--classes", CLASSES, "--batch-size", BATCH, "--device", "cpu")


pytestmark = pytest.mark.usefixtures("torch_settings")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> SimpleNamespace:
    """An index of labelled images of two sizes, so that not all batches are full, and networks."""
    root = tmp_path_factory.mktemp("tiny")
    gta5, _ = make_tiny(root, source=14)
    index = index_of("gta5", gta5, labels=True)
    for row in (4, 5, 6, 7, 8, 11):
        for path in (index["image"][row], index["label"][row]):
            Image.open(path).crop((0, 0, 64, 64)).save(path)
        index.loc[row, ["width", "height"]] = 64, 64
    index.to_csv(root / "index.csv", index=False)
    torch.manual_seed(0)
    network = DeepLabV3Plus(NetworkDescription("resnet18", 19, CHANNELS, 32))
    network.classifier.weight.data.mul_(20)  # so that the network is sure of something
    for module in network.modules():  # and batch norms that do not leave all as it is
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    save_network(network, root / "model.pt", CLASSES, {})
    save_network(Discriminator(19), root / "discriminator.pt", CLASSES, {})
    return SimpleNamespace(
        root=root,
        index=root / "index.csv",
        model=root / "model.pt",
        discriminator=root / "discriminator.pt",
    )


def extract(data: SimpleNamespace, output: Path, *more: object) -> None:
    words = (*COMMON, "--images", data.index, "--images-encoding", "gta5-ids")
    words += ("--model", data.model, "--output", output, *more)
    extract_features.main(extract_features.parser().parse_args([str(word) for word in words]))


def merge(index: Path, parts: list[Path], output: Path) -> None:
    words = ["--images", index, "--features", *parts, "--output", output]
    merge_features.main(merge_features.parser().parse_args([str(word) for word in words]))


def extract_in_shards(data: SimpleNamespace, folder: Path, shards: int, *more: object) -> Path:
    """Extract shard by shard, the last one first, and merge; return the features' file."""
    folder.mkdir()
    parts = [folder / f"part-{number}.npy" for number in range(1, shards + 1)]
    for number in range(shards, 0, -1):
        extract(data, parts[number - 1], "--shard", f"{number}-of-{shards}", *more)
    merge(data.index, parts, folder / "features.npy")
    return folder / "features.npy"


def expected_rows(data: SimpleNamespace, truth: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and scores of each image on its own."""
    network = extract_features.load_network(data.model, CLASSES).eval()
    discriminator = extract_features.load_discriminator(data.discriminator, CLASSES).eval()
    table = train_id_table("gta5-ids", CLASSES)
    features, scores = [], []
    for row in pd.read_csv(data.index).itertuples():
        image = torch.from_numpy(np.array(Image.open(row.image))).permute(2, 0, 1)[None] / 255
        label = torch.from_numpy(table[np.array(Image.open(row.label))].astype(np.int64))[None]
        with torch.no_grad():
            logits, latent, small = network(image)
            masks = category_masks(small, *(() if truth == "none" else (label, truth)))
            features.append(category_means(latent, masks, 19)[0])
            probability = discriminator.source_probability(logits.softmax(dim=1))
        scores.append(torch.cat([*prediction_scores(small), probability]))
    return torch.stack(features).numpy(), torch.stack(scores).numpy()


@pytest.mark.parametrize("truth", ["none", "agreement", "label"])
def test_each_row_is_the_feature_of_its_image_and_beside_it_its_scores(data, tmp_path, truth):
    more = ("--truth", truth, "--discriminator", data.discriminator)
    extract(data, tmp_path / "f.npy", *more)
    features, scores = expected_rows(data, truth)
    found = np.load(tmp_path / "f.npy")
    assert found.dtype == np.float32
    assert len(np.unique(features.round(4), axis=0)) == 14
    np.testing.assert_allclose(found, features, rtol=1e-4, atol=1e-5)
    table = pd.read_csv(tmp_path / "f.csv", dtype={"id": str})
    assert list(table) == ["id", "entropy", "margin", "source_probability"]
    assert table["id"].tolist() == pd.read_csv(data.index, dtype={"id": str})["id"].tolist()
    np.testing.assert_allclose(table.iloc[:, 1:].to_numpy(), scores, rtol=1e-4, atol=1e-6)


def test_features_are_the_same_with_and_without_a_discriminator(data, tmp_path):
    extract(data, tmp_path / "with.npy", "--discriminator", data.discriminator)
    extract(data, tmp_path / "without.npy")
    assert (tmp_path / "with.npy").read_bytes() == (tmp_path / "without.npy").read_bytes()
    first, second = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("with", "without"))
    assert first[["entropy", "margin"]].equals(second[["entropy", "margin"]])
    assert first["source_probability"].between(0, 1).all()
    assert second["source_probability"].isna().all()


def both_files(features: Path) -> tuple[bytes, bytes]:
    return features.read_bytes(), features.with_suffix(".csv").read_bytes()


def test_the_number_of_shards_changes_no_byte(data, tmp_path):
    more = ("--discriminator", data.discriminator, "--truth", "agreement")
    more += ("--statistics", data.index)
    extract(data, tmp_path / "whole.npy", *more)
    for shards in (1, 3, 8):  # of the seven batches that the sizes make
        merged = extract_in_shards(data, tmp_path / str(shards), shards, *more)
        assert both_files(merged) == both_files(tmp_path / "whole.npy"), shards


def test_the_number_of_loader_workers_changes_no_byte(data, tmp_path):
    for workers in (0, 2):
        extract(data, tmp_path / f"{workers}.npy", "--loader-workers", workers)
    assert both_files(tmp_path / "0.npy") == both_files(tmp_path / "2.npy")


def test_shards_hold_whole_batches_and_every_image_once(data, tmp_path):
    sizes = []
    for number in (1, 2, 3):
        extract(data, tmp_path / "part.npy", "--shard", f"{number}-of-3")
        sizes.append(np.load(tmp_path / "part.npy").shape)
    # Batches of 3, 1, 3, 2, 2, 1, 2 images: rows 0-3 and 9-10 and 12-13 are of one size.
    assert sizes == [(4, 152), (5, 152), (5, 152)]


def test_the_ranking_does_not_depend_on_the_number_of_shards(data, tmp_path):
    np.save(tmp_path / "anchors.npy", np.eye(2, 19 * CHANNELS, dtype=np.float32))
    rankings = []
    for shards in (1, 3, 8):
        merged = extract_in_shards(data, tmp_path / str(shards), shards)
        words = ["--features", merged, "--anchors", tmp_path / "anchors.npy", "--seed", 0]
        words += ["--strategy", "mada", "--classes", CLASSES]
        words += ["--output", tmp_path / f"{shards}.csv"]
        rank_targets.main(rank_targets.parser().parse_args([str(word) for word in words]))
        rankings.append((tmp_path / f"{shards}.csv").read_bytes())
    assert rankings[0] == rankings[1] == rankings[2]


@pytest.mark.parametrize("text", ["0-of-2", "3-of-2", "1", "1-of-0", "a-of-b", "1-of-2-of-3"])
def test_a_shard_that_cannot_be_is_refused(text, capsys):
    with pytest.raises(SystemExit):
        extract_features.parser().parse_args(["--shard", text])
    assert f"expected a shard such as 2-of-8, found {text!r}" in capsys.readouterr().err


@pytest.fixture
def shards(data, tmp_path) -> list[Path]:
    """The files of two shards that belong together, of six and of eight images at first."""
    ids = pd.read_csv(data.index, dtype={"id": str})["id"]
    paths = [tmp_path / "1.npy", tmp_path / "2.npy"]
    for path, rows in zip(paths, (slice(0, 6), slice(6, 14)), strict=True):
        np.save(path, np.zeros((len(ids[rows]), 4), np.float32))
        ids[rows].to_frame().assign(entropy=0.1).to_csv(path.with_suffix(".csv"), index=False)
    return paths


def test_shards_that_do_not_make_up_the_index_are_refused(data, shards, tmp_path):
    output = tmp_path / "merged.npy"
    merge(data.index, shards, output)
    output.unlink()
    with pytest.raises(InputError, match=r"index\.csv: expected 14 images in the shards, found 6"):
        merge(data.index, shards[:1], output)
    with pytest.raises(InputError, match=r"index\.csv: row 0: expected 00001 .*, found 00007"):
        merge(data.index, shards[::-1], output)
    np.save(shards[1], np.zeros((8, 5), np.float32))
    with pytest.raises(InputError, match=r"2\.npy: expected rows of 4 values, found 5"):
        merge(data.index, shards, output)
    np.save(shards[1], np.zeros((7, 4), np.float32))
    with pytest.raises(InputError, match=r"2\.csv: expected 7 rows as in .*2\.npy, found 8"):
        merge(data.index, shards, output)
    assert not output.exists()


class Broken(Exception):
    pass


def test_an_extraction_that_breaks_off_leaves_nothing(data, tmp_path, monkeypatch):
    whole = extract_features.features_and_scores

    def breaking(*arguments):
        yield next(whole(*arguments))
        assert len(list(tmp_path.iterdir())) == 1  # being written
        raise Broken

    monkeypatch.setattr(extract_features, "features_and_scores", breaking)
    with pytest.raises(Broken):
        extract(data, tmp_path / "features.npy")
    assert list(tmp_path.iterdir()) == []


def test_the_table_is_there_before_the_features_are(data, tmp_path, monkeypatch):
    def broken(*_):
        raise Broken

    monkeypatch.setattr(extract_features, "write_csv", broken)
    with pytest.raises(Broken):
        extract(data, tmp_path / "features.npy")
    assert list(tmp_path.iterdir()) == []


# Runs the step once for each index and prints the most memory held, after any batch, that is no
# file's: /proc counts the pages of mapped files apart from anonymous ones.
WATCHED = r"""
import re, sys
from pathlib import Path
import extract_features
from mada.nn import runtime

runtime.keep_freed_memory = lambda: None  # what is in use is measured, not what is kept

def watched(items, description):
    global most
    for item in items:
        yield item
        rollup = Path("/proc/self/smaps_rollup").read_text()
        most = max(most, int(re.search(r"Anonymous: +(\d+) kB", rollup)[1]) * 1024)

extract_features.progress = watched
for index in sys.argv[1].split(","):
    most = 0
    extract_features.main(extract_features.parser().parse_args([*sys.argv[2:], "--images", index]))
    print(most)
"""


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    # 200 classes of 256 channels, so that a row is 205 kB and few images make many bytes.
    rows = [{"name": str(c), "colour": [c, 0, 0], "ids": [c]} for c in range(200)]
    classes = tmp_path / "classes.json"
    classes.write_text(json.dumps({"classes": rows, "void_ids": []}))
    network = DeepLabV3Plus(NetworkDescription("resnet18", 200, 256, 32))
    save_network(network, tmp_path / "model.pt", str(classes), {})
    Image.effect_noise((32, 32), 50).convert("RGB").save(tmp_path / "image.png")
    row = {"image": tmp_path / "image.png", "width": 32, "height": 32, "sequence": "", "frame": 0}
    indexes = []
    for count in (20, 140):
        indexes.append(str(tmp_path / f"{count}.csv"))
        index = pd.DataFrame([{"id": str(number), **row} for number in range(count)])
        index.to_csv(indexes[-1], index=False)
    words = ("--classes", classes, "--batch-size", 4, "--device", "cpu")
    words += ("--model", tmp_path / "model.pt", "--output", tmp_path / "features.npy")
    result = subprocess.run(
        [sys.executable, "-c", WATCHED, ",".join(indexes), *map(str, words)],
        # With a threshold of its own the C library gives back what is freed, in both runs.
        env=os.environ | {"PYTHONPATH": str(STEPS), "MALLOC_MMAP_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
    )
    print(result.stdout)
    assert result.returncode == 0, result.stderr
    few, many = (int(line) for line in result.stdout.splitlines() if line.isdigit())
    features = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert features.shape == (140, 200 * 256)
    assert abs(many - few) < features.nbytes / 7, (few, many)
