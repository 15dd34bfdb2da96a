"""Reading the scores that ``evaluate`` writes."""

from pathlib import Path

import numpy as np

from mada.cli import InputError
from mada.files import read_json


def stored_evaluation(path: Path) -> dict:
    """Read what ``evaluate`` wrote of a model, of whatever classes.

    Raises
    ------
    InputError
        If the file is no evaluation: an object with ``miou``, ``images`` and ``iou``.
    """
    stored = read_json(path)
    kinds = {"miou": int | float, "images": int, "iou": dict}
    found = stored if isinstance(stored, dict) else {}
    if not all(isinstance(found.get(name), kind) for name, kind in kinds.items()):
        raise InputError(
            f"{path}: expected an evaluation with a miou, images and iou, "
            f"found {', '.join(sorted(found)) or 'none'}"
        )
    return stored


def read_evaluation(path: Path, classes: tuple[str, ...]) -> dict:
    """Read the scores of a model.

    Parameters
    ----------
    path : Path
        What ``evaluate`` wrote.
    classes : tuple of str
        Names of the C classes that it must be of.

    Returns
    -------
    dict
        ``miou`` (a share), ``iou`` (C,) float64 in the order of the classes, NaN for a class that
        is neither present nor predicted, and ``confusion`` (C, C) int64, rows true classes.

    Raises
    ------
    InputError
        If the file is no such evaluation, or of other classes.
    """
    stored = stored_evaluation(path)
    if set(stored["iou"]) != set(classes):
        raise InputError(
            f"{path}: expected the IoU of {', '.join(classes)}, "
            f"found {', '.join(stored['iou']) or 'none'}"
        )
    confusion = np.array(stored.get("confusion", ()), dtype=np.int64)
    if confusion.shape != (len(classes), len(classes)):
        raise InputError(
            f"{path}: expected a confusion matrix of {len(classes)} classes, "
            f"found shape {confusion.shape}"
        )
    iou = np.array([stored["iou"][name] for name in classes], dtype=np.float64)
    return {"miou": float(stored["miou"]), "iou": iou, "confusion": confusion}
