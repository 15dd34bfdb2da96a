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
    are given where the class set holds those classes.
    """
    iou = class_iou(confusion)
    plain = {n: None if np.isnan(v) else float(v) for n, v in zip(names, iou, strict=True)}
    present = confusion.sum(axis=1) > 0
    scores = {
        "miou": float(np.nanmean(iou)),
        "iou": plain,
        "absent_classes": [name for name, here in zip(names, present, strict=True) if not here],
        "pixel_accuracy": float(np.diag(confusion).sum() / confusion.sum()),
        "confusion": confusion.tolist(),
    }
    for label, subset in REPORTED_SUBSETS.items():
        if set(subset) <= set(names):
            chosen = [names.index(name) for name in subset]
            scores[f"miou_{label}"] = float(np.nanmean(iou[chosen]))
    return scores
