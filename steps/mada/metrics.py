"""Confusion matrix and intersection over union, counted as ``cityscapesscripts`` counts."""

import numpy as np

from mada.labels import REPORTED_SUBSETS, VOID


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels by true and predicted class.

    Parameters
    ----------
    truth : np.ndarray, any shape, uint8
        Training ids; ``VOID`` pixels are not counted.
    prediction : np.ndarray, same shape, uint8
        Training ids, 0 … C-1.

    Returns
    -------
    np.ndarray, shape (C, C), int64
        Rows are true classes, columns predicted ones.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth and prediction differ in shape: {truth.shape}, {prediction.shape}")
    counted = truth != VOID
    pairs = truth[counted].astype(np.int64) * classes + prediction[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_iou(confusion: np.ndarray) -> np.ndarray:
    """Return TP / (TP + FP + FN) of each class, float64 in [0, 1].

    A class that is neither present nor predicted is NaN and is left out of means; one that is
    predicted but absent counts as 0.
    """
    hits = np.diag(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - np.diag(confusion)
    return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


def score_table(confusion: np.ndarray, names: tuple[str, ...]) -> dict:
    """Summarise a confusion matrix (C, C) as plain values for JSON.

    ``miou`` is the mean over all classes of the set; ``miou_19``, ``miou_16`` and ``miou_13``
    are given where the class set holds those classes.  They are means of the same IoUs: where a
    set of 19 is taken by its 16, pixels of the other three still count against a prediction.

    ``neither_present_nor_predicted`` lists the classes that means leave out (their IoU is None),
    ``predicted_but_absent`` those that count as 0 without a pixel of their own.
    """
    iou = class_iou(confusion)
    absent = confusion.sum(axis=1) == 0
    left_out = np.isnan(iou)
    scores = {
        "miou": _mean(iou),
        "iou": {n: None if np.isnan(v) else float(v) for n, v in zip(names, iou, strict=True)},
        "neither_present_nor_predicted": _chosen(names, left_out),
        "predicted_but_absent": _chosen(names, absent & ~left_out),
        "pixel_accuracy": float(np.diag(confusion).sum() / confusion.sum()),
        "confusion": confusion.tolist(),
    }
    for label, subset in REPORTED_SUBSETS.items():
        if set(subset) <= set(names):
            scores[f"miou_{label}"] = _mean(iou[[names.index(name) for name in subset]])
    return scores


def _mean(iou: np.ndarray) -> float | None:
    """Mean of the classes that count, None if none does."""
    counted = iou[~np.isnan(iou)]
    return float(counted.mean()) if len(counted) else None


def _chosen(names: tuple[str, ...], chosen: np.ndarray) -> list[str]:
    return [name for name, taken in zip(names, chosen, strict=True) if taken]
