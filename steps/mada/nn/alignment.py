"""Soft alignment of target images to target anchors, and the anchors' moving average."""

import torch
from torch import Tensor

EPSILON = 1e-6  # keeps 1/distance finite where an image sits on an anchor


def mean_squared_distances(features: Tensor, anchors: Tensor) -> Tensor:
    """Return ||F - A_v||^2 / (C·D), shape (B, V), of features (B, C·D) and anchors (V, C·D)."""
    return (features.unsqueeze(1) - anchors.unsqueeze(0)).square().mean(dim=2)


def soft_alignment(features: Tensor, anchors: Tensor) -> Tensor:
    """Return the multi-anchor soft alignment loss, a scalar.

    L_dis = V / sum_v 1/||F(x) - A_v||^2 (Eq. 9), the harmonic mean of the distances to all
    anchors: near anchors pull most, all pull a little.  The mean over C·D stands for the sum of
    squares, as in the authors' code, so that one weight fits networks of any width.  The mean
    over images is returned.

    Parameters
    ----------
    features : Tensor, shape (B, C·D)
    anchors : Tensor, shape (V, C·D)

    Raises
    ------
    ValueError
        If the widths differ.
    """
    if features.shape[1] != anchors.shape[1]:
        raise ValueError(f"widths differ: {features.shape[1]} and {anchors.shape[1]}")
    distances = mean_squared_distances(features, anchors)
    return (len(anchors) / (1 / (distances + EPSILON)).sum(dim=1)).mean()


@torch.no_grad()
def update_anchors(anchors: Tensor, features: Tensor, decay: float) -> None:
    """Move the anchor closest to each image a little towards it, in place (Eq. 8).

    A_v = alpha · A_v + (1 - alpha) · F(x); images are taken one after the other, each finding
    its closest anchor among those already moved, the first of equals.

    Parameters
    ----------
    anchors : Tensor, shape (V, C·D), float32
        The memory bank; changed in place.
    features : Tensor, shape (B, C·D)
    decay : float
        alpha, in [0, 1].
    """
    for feature in features.detach().float():
        closest = int(mean_squared_distances(feature.unsqueeze(0), anchors)[0].argmin())
        anchors[closest].mul_(decay).add_(feature, alpha=1 - decay)
