"""Checkpoints come back as they were saved, and one that does not fit is refused with reasons."""

import pickle
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import adopt_checkpoint
from mada.cli import InputError
from mada.labels import class_set
from mada.nn.checkpoints import (
    load_discriminator,
    load_network,
    load_plain,
    load_state,
    save_bytes,
    save_network,
)
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.discriminator import Discriminator
from tiny import Code

CLASSES = "cityscapes16"
PROJECT = Path(__file__).parents[1] / "pyproject.toml"
DESCRIPTION = NetworkDescription("resnet18", 16, 8, 32)


@pytest.fixture(scope="module")
def network() -> DeepLabV3Plus:
    torch.manual_seed(0)
    return DeepLabV3Plus(DESCRIPTION)


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "model.pt"
    save_network(network, path, CLASSES, {"seed": 3, "crop": [64, 32]})
    return path


def altered(saved: Path, path: Path, change) -> Path:
    """Write a copy of a checkpoint after ``change`` has had a go at it."""
    value = load_plain(saved)
    change(value)
    save_bytes(value, path)
    return path


def test_network_comes_back_equal(network, saved):
    loaded = load_network(saved, CLASSES)
    assert loaded.description == DESCRIPTION
    expected = network.state_dict()
    assert list(loaded.state_dict()) == list(expected)
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())


def test_discriminator_comes_back_equal(tmp_path):
    discriminator = Discriminator(16)
    save_network(discriminator, tmp_path / "d.pt", CLASSES, {})
    loaded = load_discriminator(tmp_path / "d.pt", CLASSES).state_dict()
    expected = discriminator.state_dict()
    assert list(loaded) == list(expected)
    assert all(torch.equal(value, expected[name]) for name, value in loaded.items())


def test_checkpoint_tells_what_made_it(saved):
    value = load_plain(saved)
    assert value["settings"] == {"seed": 3, "crop": [64, 32]}
    assert value["classes"] == list(class_set(CLASSES).names)
    assert value["version"] == tomllib.loads(PROJECT.read_text())["project"]["version"]


def test_settings_hash_differs_with_the_settings_alone(network, tmp_path):
    hashes = []
    for name, settings in (("a", {"seed": 3, "crop": 1}), ("b", {"crop": 1, "seed": 3}), ("c", {})):
        save_network(network, tmp_path / name, CLASSES, settings)
        hashes.append(load_plain(tmp_path / name)["settings_hash"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_bytes_do_not_depend_on_the_path(tmp_path):
    discriminator = Discriminator(16)
    first, second = tmp_path / "a.pt", tmp_path / "elsewhere" / "another-name.pt"
    for path in (first, second):
        save_network(discriminator, path, CLASSES, {"seed": 0})
    assert first.read_bytes() == second.read_bytes()


def test_renamed_tensor_is_named(saved, tmp_path):
    def rename(value):
        state = value["state_dict"]
        state["head.weight"] = state.pop("classifier.weight")

    path = altered(saved, tmp_path / "renamed.pt", rename)
    with pytest.raises(InputError) as refused:
        load_network(path, CLASSES)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "found 2 differences" in message
    assert "missing classifier.weight" in message and "unexpected head.weight" in message


def test_tensor_of_another_shape_is_named_with_both_shapes(saved, tmp_path):
    def grow(value):
        value["state_dict"]["classifier.weight"] = torch.zeros(17, 8, 1, 1)

    path = altered(saved, tmp_path / "grown.pt", grow)
    expected = (
        r"grown\.pt: .*classifier\.weight of shape \(17, 8, 1, 1\) instead of \(16, 8, 1, 1\)"
    )
    with pytest.raises(InputError, match=expected):
        load_network(path, CLASSES)


def test_network_is_unchanged_by_a_state_that_is_refused():
    discriminator = Discriminator(3)
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    state["0.bias"] = torch.zeros(65)
    with pytest.raises(InputError, match=r"0\.bias of shape \(65,\) instead of \(64,\)"):
        load_state(discriminator, state, Path("d.pt"))
    after = discriminator.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_other_classes_are_refused(saved):
    with pytest.raises(InputError, match=r"model\.pt: expected classes"):
        load_network(saved, "cityscapes19")


def test_classes_in_another_order_are_refused(saved, tmp_path):
    path = altered(saved, tmp_path / "order.pt", lambda value: value["classes"].reverse())
    with pytest.raises(InputError, match=r"order\.pt: expected classes"):
        load_network(path, CLASSES)


def test_other_format_is_refused(saved, tmp_path):
    path = altered(saved, tmp_path / "old.pt", lambda value: value.update(format=0))
    with pytest.raises(InputError, match=r"old\.pt: expected format 1, found 0"):
        load_network(path, CLASSES)


def test_discriminator_in_place_of_a_network_is_refused(tmp_path):
    save_network(Discriminator(16), tmp_path / "discriminator.pt", CLASSES, {})
    with pytest.raises(InputError, match=r"discriminator\.pt"):
        load_network(tmp_path / "discriminator.pt", CLASSES)


def test_network_in_place_of_a_discriminator_is_refused(saved):
    with pytest.raises(InputError, match=r"model\.pt: expected a checkpoint with .*view"):
        load_discriminator(saved, CLASSES)


def test_truncated_checkpoint_is_refused(tmp_path):
    save_network(Discriminator(16), tmp_path / "whole.pt", CLASSES, {})
    whole = (tmp_path / "whole.pt").read_bytes()
    for length in (0, 3, 100, 5000, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.pt: expected a checkpoint"):
            load_discriminator(tmp_path / "cut.pt", CLASSES)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [torch.save, lambda v, p: p.write_bytes(pickle.dumps(v))])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(tmp_path, write):
    write({"format": 1, "state_dict": Code(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match=r"evil\.pt: expected a checkpoint of tensors"):
        load_network(tmp_path / "evil.pt", CLASSES)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"hello world\n", b"\x80", b"]", bytes(range(256))])
def test_any_other_file_is_refused(tmp_path, content):
    (tmp_path / "other.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"other\.pt: expected a checkpoint of tensors, found \S"):
        load_network(tmp_path / "other.pt", CLASSES)


@pytest.mark.parametrize("described", [{"backbone": "resnet18"}, {"depth": 3}, ["resnet18"]])
def test_a_network_that_cannot_be_built_is_refused(saved, tmp_path, described):
    path = altered(saved, tmp_path / "model.pt", lambda value: value.update(network=described))
    with pytest.raises(InputError, match=r"model\.pt: expected a network's description, found"):
        load_network(path, CLASSES)


def adopt(saved: Path, output: Path, **changes) -> None:
    given = {"backbone": "resnet18", "feature_channels": 8, "output_stride": 32} | changes
    given |= {"classes": CLASSES, "checkpoint": saved, "output": output}
    adopt_checkpoint.main(SimpleNamespace(**given))


def test_a_checkpoint_of_another_network_than_the_configured_is_not_adopted(saved, tmp_path):
    adopt(saved, tmp_path / "same.pt")
    assert load_network(tmp_path / "same.pt", CLASSES).description == DESCRIPTION
    with pytest.raises(InputError) as error:
        adopt(saved, tmp_path / "other.pt", output_stride=16, feature_channels=256)
    expected = "feature_channels 8 instead of 256, output_stride 32 instead of 16"
    assert str(error.value).endswith(f"expected the network described, found {expected}")
    assert not (tmp_path / "other.pt").exists()


def test_bare_tensor_is_no_checkpoint(tmp_path):
    save_bytes(torch.zeros(3), tmp_path / "tensor.pt")
    with pytest.raises(InputError, match=r"tensor\.pt: expected a checkpoint, found a Tensor"):
        load_network(tmp_path / "tensor.pt", CLASSES)
