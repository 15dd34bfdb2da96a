"""Labels of whole folders: any size, whole or by windows, as the network says."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import predict
from mada.annotation.classes import annotation_classes
from mada.images import read_image
from mada.nn.checkpoints import save_network
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.runtime import Runtime
from mada.nn.windows import window_starts, windowed_probabilities
from tiny import error_lines, run_step

SIZES = {"a b.png": (96, 64), "night/ä.jpg": (64, 96), "night/c.png": (130, 70), "d.png": (33, 21)}


@pytest.fixture(scope="module")
def network() -> DeepLabV3Plus:
    torch.manual_seed(0)
    return DeepLabV3Plus(NetworkDescription("resnet18", 19, 8, 32)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, network):
    folder = tmp_path_factory.mktemp("predict")
    rng = np.random.default_rng(0)
    for name, (width, height) in SIZES.items():
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
    save_network(network, folder / "model.pt", "cityscapes19", {})
    return folder


def arguments(folder, *more: object) -> list[str]:
    words = ["--images", folder / "images", "--model", folder / "model.pt", "--output"]
    words += [folder / "out", "--classes", "cityscapes19", "--batch-size", 2, *more]
    return [str(word) for word in words]


def labels(folder, *more: object) -> dict[str, np.ndarray]:
    predict.main(predict.parser().parse_args(arguments(folder, *more)))
    found = {}
    for row in pd.read_csv(folder / "out/index.csv").itertuples():
        with Image.open(folder / "out" / row.label) as label:
            found[row.id] = np.array(label)
        with Image.open(folder / "out" / row.overlay) as overlay:
            assert overlay.size == label.size
    return found


def logits_of(network, image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        return network(pixels)[0]


def test_whole_images_get_the_class_of_the_largest_logit_as_label_ids(folder, network):
    found = labels(folder)
    assert set(found) == {"a b", "d", "night/c", "night/ä"}
    classes = annotation_classes("cityscapes19")
    for name, size in SIZES.items():
        image = read_image(folder / "images" / name)
        expected = logits_of(network, image)[0].argmax(dim=0).to(torch.uint8).numpy()
        label = found[name.rsplit(".", 1)[0]]
        assert label.shape == size[::-1]
        # Bytes of a batch differ from those of one image where two logits are all but equal.
        assert (label == classes.label_ids(expected)).mean() > 0.999


def test_a_working_size_gives_labels_at_full_size(folder):
    assert all(label.shape == SIZES_BY_ID[i] for i, label in worked(folder).items())


SIZES_BY_ID = {name.rsplit(".", 1)[0]: size[::-1] for name, size in SIZES.items()}


def worked(folder) -> dict[str, np.ndarray]:
    return labels(folder, "--images-size", "48x32")


@pytest.mark.parametrize(
    ("length", "window", "overlap", "expected"),
    [
        (10, 20, 0.5, [0]),
        (20, 20, 0.5, [0]),
        (30, 20, 0.5, [0, 10]),
        (31, 20, 0.5, [0, 6, 11]),
        (40, 20, 0.0, [0, 20]),
        (41, 20, 0.0, [0, 10, 21]),
    ],
)
def test_windows_cover_a_length_evenly(length, window, overlap, expected):
    assert window_starts(length, window, overlap) == expected


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.9])
def test_windows_leave_no_gap_and_share_what_they_must(overlap):
    for length in range(1, 120):
        starts = window_starts(length, 32, overlap)
        assert starts[0] == 0 and starts[-1] + min(32, length) == length
        steps = np.diff(starts)
        assert (steps > 0).all() and (steps <= int(32 * (1 - overlap)) + 1).all()


def test_windows_are_averaged_pixel_by_pixel(network):
    rng = np.random.default_rng(1)
    pixels = torch.from_numpy(rng.integers(0, 256, (3, 70, 100), np.uint8))
    found = windowed_probabilities(
        network, pixels, (64, 48), 0.5, 3, Runtime(torch.device("cpu"), "fp32")
    )
    total, times = np.zeros((19, 70, 100)), np.zeros((70, 100))
    for top in (0, 22):
        for left in (0, 18, 36):
            view = Image.fromarray(
                pixels[:, top : top + 48, left : left + 64].permute(1, 2, 0).contiguous().numpy()
            )
            p = logits_of(network, view)[0].softmax(dim=0).numpy()
            total[:, top : top + 48, left : left + 64] += p
            times[top : top + 48, left : left + 64] += 1
    assert np.abs(found.numpy() - total / times).max() < 1e-5


def test_windows_larger_than_an_image_take_it_whole(folder):
    whole, windowed = labels(folder), labels(folder, "--window", "400x300")
    for image_id, label in whole.items():
        assert (label == windowed[image_id]).mean() > 0.999


def test_images_that_cannot_be_read_are_all_named_before_anything_is_predicted(folder, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"no")
    Image.new("I;16", (8, 8)).save(tmp_path / "images/b.png")
    shutil.copy(folder / "model.pt", tmp_path)
    lines = error_lines(run_step("predict", *arguments(tmp_path)))
    assert "a.png: expected a readable image" in lines[0] and "b.png: expected 8 bits" in lines[1]
    assert not (tmp_path / "out").exists()
