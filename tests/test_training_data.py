"""Training crops are pure functions of their position, and stay in register with their labels."""

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageStat

from mada.labels import VOID, train_id_table
from mada.nn.datasets import TrainingCrops, WholeImages
from mada.nn.transforms import CropSettings, random_crop
from tiny import index_of, make_tiny

CROP = CropSettings(width=48, height=32, resize_min=0.5, resize_max=1.5, flip=True)
TABLE = train_id_table("gta5-ids", "cityscapes19")


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> pd.DataFrame:
    source, _ = make_tiny(tmp_path_factory.mktemp("tiny"), source=5, train=0, tune=0, val=0)
    return index_of("gta5", source, labels=True)


def crops(index, seed=0, stream=0, begins=0) -> TrainingCrops:
    return TrainingCrops(index, TABLE, None, CROP, seed, stream, begins)


def equal(batches, others) -> bool:
    pairs = [*zip(batches, others, strict=True)]
    return all(torch.equal(a, b) for pair in pairs for a, b in zip(*pair, strict=True))


def test_batches_do_not_depend_on_the_number_of_loader_workers(index):
    alone = list(crops(index).batches(3, 0, 4, workers=0))
    assert [tuple(x.shape) for x, _, _ in alone] == [(3, 3, 32, 48)] * 4
    assert [tuple(y.shape) for _, y, _ in alone] == [(3, 32, 48)] * 4
    assert equal(alone, list(crops(index).batches(3, 0, 4, workers=2)))


def test_training_resumed_anywhere_sees_the_same_batches(index):
    whole = list(crops(index).batches(2, 0, 6, workers=0))
    for start in (1, 4):
        assert equal(whole[start:], list(crops(index).batches(2, start, 6, workers=0)))


def test_a_data_set_that_begins_later_gives_nothing_before(index):
    whole = list(crops(index).batches(2, 0, 6, workers=0))
    for start in (0, 2, 3, 5):
        found = list(crops(index, begins=3).batches(2, start, 6, workers=0))
        assert [batch is None for batch in found] == [i < 3 for i in range(start, 6)]
        assert equal(whole[max(start, 3) :], found[max(3 - start, 0) :])


def test_positions_read_in_any_order_give_the_same_crops(index):
    forwards = [crops(index)[position] for position in range(8)]
    data = crops(index)
    backwards = [data[position] for position in reversed(range(8))]
    assert equal(forwards, backwards[::-1])


def test_seeds_and_streams_give_crops_of_their_own(index):
    usual = crops(index)[0][0]
    assert not torch.equal(usual, crops(index, seed=1)[0][0])
    assert not torch.equal(usual, crops(index, stream=1)[0][0])


def plain_images(folder: Path, sizes: list[tuple[int, int]]) -> pd.DataFrame:
    """Images of one colour each, told apart by their red value: 10, 20, 30 …"""
    rows = []
    for number, (width, height) in enumerate(sizes, start=1):
        path = folder / f"{number}.png"
        Image.new("RGB", (width, height), (10 * number, 0, 0)).save(path)
        rows.append({"id": str(number), "image": str(path), "width": width, "height": height})
    return pd.DataFrame(rows)


def test_every_pass_takes_each_image_once_in_an_order_of_its_own(tmp_path):
    data = TrainingCrops(plain_images(tmp_path, [(60, 60)] * 7), None, None, CROP, 0, 0)
    orders = []
    for turn in range(3):
        crops_of_turn = [data[turn * 7 + place][0] for place in range(7)]
        orders.append([int(pixels[0].max()) for pixels in crops_of_turn])
        assert sorted(orders[-1]) == [10, 20, 30, 40, 50, 60, 70]
    assert len(set(map(tuple, orders))) == 3


def test_images_without_labels_are_void_everywhere(tmp_path):
    data = TrainingCrops(plain_images(tmp_path, [(60, 60)]), None, None, CROP, 0, 0)
    assert data[0][1].unique().tolist() == [VOID]


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("resize", [None, (120, 50)], ids=["own size", "working size"])
def test_image_and_label_stay_in_register(axis, resize):
    y, x = np.mgrid[:70, :100].astype(np.uint8)
    place = x if axis == "x" else y  # both the image and the label tell where a pixel came from
    image = Image.fromarray(np.stack([place] * 3, axis=2))
    directions = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        pixels, label, inside = random_crop(image, place, resize, CROP, rng)
        assert (label[~inside] == VOID).all()
        difference = pixels[..., 0].astype(int) - label
        assert np.abs(difference[inside]).max() <= 1  # bilinear against nearest
        assert (pixels[..., 0] == pixels[..., 2]).all()
        row = label[0][inside[0]].astype(int)
        directions.add(int(np.sign(row[-1] - row[0])))
    # Mirroring turns columns around, never rows.
    assert directions == ({-1, 1} if axis == "x" else {0})


def test_nothing_is_mirrored_unless_asked_for():
    place = np.tile(np.arange(100, dtype=np.uint8), (70, 1))
    image = Image.fromarray(np.stack([place] * 3, axis=2))
    straight = CropSettings(48, 32, 1.0, 1.0, flip=False)
    for seed in range(20):
        _, label, _ = random_crop(image, place, None, straight, np.random.default_rng(seed))
        assert (np.diff(label[0].astype(int)) == 1).all()


def test_resize_ratio_stays_within_its_range():
    place = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    image = Image.fromarray(np.stack([place] * 3, axis=2))
    steps = []
    for seed in range(40):
        _, label, _ = random_crop(image, place, None, CROP, np.random.default_rng(seed))
        steps.append(abs(int(label[0, -1]) - int(label[0, 0])) / 47)  # source pixels per pixel
    assert 1 / 1.5 - 0.03 <= min(steps) < 0.8
    assert 1.4 < max(steps) <= 2 + 0.03


def test_small_image_is_padded_with_void():
    image = Image.new("RGB", (30, 20), (9, 8, 7))
    label = np.full((20, 30), 5, np.uint8)
    straight = CropSettings(48, 32, 1.0, 1.0, flip=False)
    pixels, labels, inside = random_crop(image, label, None, straight, np.random.default_rng(0))
    assert pixels.shape == (32, 48, 3) and labels.shape == (32, 48)
    assert (labels[:20, :30] == 5).all() and (pixels[:20, :30] == (9, 8, 7)).all()
    padding = np.ones((32, 48), bool)
    padding[:20, :30] = False
    assert (inside == ~padding).all()
    assert (labels[padding] == VOID).all() and (pixels[padding] == 0).all()


def coloured(strength: float, draws: int = 60) -> list[np.ndarray]:
    """HSV means, each 0 to 1, of draws of an image of one colour, and its labels unchanged."""
    image, label = Image.new("RGB", (48, 32), (120, 80, 60)), np.full((32, 48), 3, np.uint8)
    settings = CropSettings(48, 32, 1.0, 1.0, flip=False, colour_jitter=strength)
    found = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        pixels, labels, _ = random_crop(image, label, None, settings, rng)
        assert (labels == 3).all()
        found.append(np.array(ImageStat.Stat(Image.fromarray(pixels).convert("HSV")).mean) / 255)
    return np.array(found).T


def test_colours_change_by_up_to_the_strength():
    hue, saturation, value = coloured(0.4)
    # (120, 80, 60): hue 20 of 360 degrees, saturation 1/2, value 120/255.
    turn = (hue - 20 / 360 + 0.5) % 1 - 0.5
    assert 0.03 < np.abs(turn).max() <= 0.4 / 8 + 0.01
    assert turn.min() < 0 < turn.max()
    assert 0.2 < saturation.min() < 0.4 and 0.6 < saturation.max() < 0.8
    assert 120 / 255 * 0.55 < value.min() < 0.35 and 0.6 < value.max() < 120 / 255 * 1.7
    weak = coloured(0.1)
    assert all(
        np.ptp(a) < np.ptp(b) / 2 for a, b in zip(weak[1:], (saturation, value), strict=True)
    )


def test_contrast_changes_too():
    place = np.tile(np.linspace(90, 160, 48).astype(np.uint8), (32, 1))
    image = Image.fromarray(np.stack([place] * 3, axis=2))
    settings = CropSettings(48, 32, 1.0, 1.0, flip=False, colour_jitter=0.4)
    spreads = []
    for seed in range(60):
        pixels, _, _ = random_crop(image, None, None, settings, np.random.default_rng(seed))
        # Of a grey picture brightness scales mean and spread alike, and contrast the spread alone.
        spreads.append(pixels.std() / pixels.mean() / (place.std() / place.mean()))
    assert 0.58 < min(spreads) < 0.75 and 1.25 < max(spreads) < 1.42


def test_colour_jitter_leaves_the_window_and_padding_as_they_were():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 90, 3), np.uint8))
    plain = CropSettings(48, 32, 0.5, 1.5, flip=True)
    jittered = CropSettings(48, 32, 0.5, 1.5, flip=True, colour_jitter=0.4)
    label = np.arange(20 * 90, dtype=np.uint8).reshape(20, 90)
    for seed in range(10):
        usual = random_crop(image, label, None, plain, np.random.default_rng(seed))
        other = random_crop(image, label, None, jittered, np.random.default_rng(seed))
        assert (usual[1] == other[1]).all() and (usual[2] == other[2]).all()
        assert (usual[0] != other[0]).any() and (other[0][~other[2]] == 0).all()


def test_whole_images_come_in_order_in_batches_of_one_size(tmp_path):
    sizes = [(40, 30), (40, 30), (40, 30), (30, 40), (40, 30)]
    data = WholeImages(plain_images(tmp_path, sizes), None, None)
    rows, loader = data.batches(2, workers=0)
    assert rows == [[0, 1], [2], [3], [4]]
    batches = [pixels for pixels, _ in loader]
    assert [tuple(p.shape) for p in batches] == [
        (2, 3, 30, 40),
        (1, 3, 30, 40),
        (1, 3, 40, 30),
        (1, 3, 30, 40),
    ]
    colours = [int(value) for pixels in batches for value in pixels[:, 0, 0, 0]]
    assert colours == [10, 20, 30, 40, 50]


def test_loaders_of_whole_images_outlast_the_termination_of_their_group(tmp_path):
    data = WholeImages(plain_images(tmp_path, [(40, 30)] * 8), None, None)
    _, loader = data.batches(1, workers=1)
    batches = iter(loader)
    next(batches)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGTERM)
    assert [int(pixels[0, 0, 0, 0]) for pixels, _ in batches] == [20, 30, 40, 50, 60, 70, 80]


def test_whole_images_are_resized_and_their_labels_are_not(index):
    pixels, label = WholeImages(index, TABLE, (48, 32))[1]
    assert tuple(pixels.shape) == (3, 32, 48)
    stored = np.asarray(Image.open(index.loc[1, "label"]))
    assert label.numpy().tolist() == TABLE[stored].astype(np.uint8).tolist()
