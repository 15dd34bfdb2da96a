"""Losses of the warm-up and of fine-tuning."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mada.labels import VOID

SOURCE, TARGET = 1.0, 0.0  # what the discriminator is asked to say


def labelled_pixels(labels: Tensor) -> Tensor:
    """Number of pixels that are not void, a scalar."""
    return (labels != VOID).sum()


def cross_entropy(logits: Tensor, labels: Tensor, pixels: Tensor) -> Tensor:
    """Cross-entropy summed over the pixels that are not void, divided by ``pixels`` (Eq. 7).

    Parameters
    ----------
    logits : Tensor, shape (B, C, H, W)
    labels : Tensor, shape (B, H, W), int64
        Training ids and ``VOID``.
    pixels : Tensor, scalar
        Labelled pixels of the whole batch, of which these images may be a part: the parts' losses
        add up to the batch's mean, 0 where all is void.
    """
    total = F.cross_entropy(logits.float(), labels, ignore_index=VOID, reduction="sum")
    return total / pixels.clamp(min=1)


def domain_loss(verdict: Tensor, domain: float) -> Tensor:
    """Binary cross-entropy of the discriminator's logits against ``SOURCE`` or ``TARGET``.

    For the discriminator, each domain against its own name; for the segmentation network, the
    target's maps against ``SOURCE`` (adversarial output-space adaptation, Tsai et al., 2018).
    """
    verdict = verdict.float()
    return F.binary_cross_entropy_with_logits(verdict, torch.full_like(verdict, domain))
