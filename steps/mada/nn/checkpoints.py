"""Checkpoints: tensors and plain values only, refused unless everything in them fits."""

import hashlib
import io
import json
from importlib import metadata
from pathlib import Path

import torch
from torch import nn

from mada.cli import InputError
from mada.files import atomic_path
from mada.labels import class_set
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.discriminator import Discriminator
from mada.version import VERSION

FORMAT = 1


def save_bytes(value: object, path: Path) -> None:
    """``torch.save`` whole or not at all; from a buffer, since a path's name would be stored."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with atomic_path(path) as partial:
        partial.write_bytes(buffer.getvalue())


def load_plain(path: Path) -> dict:
    """Load tensors and plain values.

    Raises
    ------
    InputError
        If the file is truncated, not a checkpoint, or holds anything else.
    """
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise nearly any
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: expected a checkpoint of tensors, found {reason}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a checkpoint, found a {type(value).__name__}")
    return value


def load_state(module: nn.Module, state: dict, path: Path) -> None:
    """Load a state dict whose names and shapes must all match.

    Raises
    ------
    InputError
        With the list of what differs.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}
    differences = [f"missing {name}" for name in wanted if name not in found]
    differences += [f"unexpected {name}" for name in found if name not in wanted]
    differences += [
        f"{name} of shape {found[name]} instead of {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if differences:
        raise InputError(
            f"{path}: expected the network's {len(wanted)} tensors, found {len(differences)} "
            f"differences: {'; '.join(differences)}"
        )
    module.load_state_dict(state)


def save_network(
    network: DeepLabV3Plus | Discriminator, path: Path, classes: str, settings: dict
) -> None:
    """Write a segmentation network or discriminator with what is needed to build it again.

    Parameters
    ----------
    settings : dict
        The plain values that determined the training; kept for the record.
    """
    value = {
        "format": FORMAT,
        "classes": list(class_set(classes).names),
        "settings": settings,
        "settings_hash": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        "version": VERSION,
        "torch": metadata.version("torch").partition("+")[0],
        "state_dict": {n: t.detach().cpu().contiguous() for n, t in network.state_dict().items()},
    }
    if isinstance(network, DeepLabV3Plus):
        value["network"] = network.description.as_dict()
    else:
        value["view"] = network.view
    save_bytes(value, path)


def _checked(path: Path, classes: str, *parts: str) -> dict:
    """Load a checkpoint that must be of this format and these classes and hold ``parts``."""
    value = load_plain(path)
    if value.get("format") != FORMAT:
        raise InputError(f"{path}: expected format {FORMAT}, found {value.get('format')!r}")
    missing = [part for part in ("classes", "state_dict", *parts) if part not in value]
    if missing:
        raise InputError(f"{path}: expected a checkpoint with {', '.join(missing)}, found none")
    names = list(class_set(classes).names)
    if value["classes"] != names:
        raise InputError(f"{path}: expected classes {names}, found {value['classes']}")
    return value


def load_network(path: Path, classes: str) -> DeepLabV3Plus:
    """Build and load a segmentation network.

    Raises
    ------
    InputError
        If the file is not a checkpoint of this format and class set, or a tensor does not fit.
    """
    value = _checked(path, classes, "network")
    try:
        network = DeepLabV3Plus(NetworkDescription(**value["network"]))
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected a network's description, found {error}") from error
    load_state(network, value["state_dict"], path)
    return network


def load_discriminator(path: Path, classes: str) -> Discriminator:
    """Build and load a discriminator; errors as for ``load_network``."""
    value = _checked(path, classes, "view")
    discriminator = Discriminator(len(class_set(classes)), value["view"])
    load_state(discriminator, value["state_dict"], path)
    return discriminator
