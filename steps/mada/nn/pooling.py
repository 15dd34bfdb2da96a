"""Image-level category features F(x) (Eqs. 1 and 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mada.labels import VOID

# A category on less of the feature map than this counts as absent.  The authors' code asks for
# 10 pixels of a 263 x 479 map, of which this is the share.  Of a map of fewer than 12,500 pixels it
# is less than one, and then a single pixel counts.
MIN_SHARE = 8e-5


def category_means(
    features: Tensor, masks: Tensor, classes: int, min_share: float = MIN_SHARE
) -> Tensor:
    """Return the mean feature of every category of every image, laid end to end.

    F_c(x) = 1/|Lambda_c| · sum over pixels of y_c ⊗ f_E(x) (Eqs. 1 and 4).  All categories and
    channels come from one matrix product, one-hot masks (C x h·w) times features (h·w x D).

    Parameters
    ----------
    features : Tensor, shape (B, D, h, w)
        f_E(x).
    masks : Tensor, shape (B, h, w), int64
        Category of each pixel, ``VOID`` where none counts.
    classes : int
        C.
    min_share : float
        Share of the map under which a category is taken to be absent.

    Returns
    -------
    Tensor, shape (B, C·D), float32
        Absent categories are blocks of zeros.

    Raises
    ------
    ValueError
        If features and masks differ in size.
    """
    B, _, h, w = features.shape
    if masks.shape != (B, h, w):
        raise ValueError(f"masks: expected shape {(B, h, w)}, found {tuple(masks.shape)}")
    categories = torch.arange(classes, device=masks.device).view(1, classes, 1)
    one_hot = (masks.view(B, 1, h * w) == categories).float()  # (B, C, h·w), void in none
    pixels = one_hot.sum(dim=2)  # (B, C)
    sums = torch.bmm(one_hot, features.float().flatten(2).transpose(1, 2))
    present = (pixels >= max(1.0, min_share * h * w)).unsqueeze(2)
    means = torch.where(present, sums / pixels.clamp(min=1).unsqueeze(2), 0.0)
    return means.flatten(1)


def category_masks(
    scores: Tensor,
    truth: Tensor | None = None,
    rule: str = "agreement",
    inside: Tensor | None = None,
) -> Tensor:
    """Return the category of each feature pixel, (B, h, w) int64.

    Without ``truth`` it is the prediction (target images, Eq. 4).  With it (source images,
    Eq. 1) a pixel counts where label and prediction agree, or by its label alone.

    Parameters
    ----------
    scores : Tensor, shape (B, C, h, w)
        The classifier's output at the feature map's size.
    truth : Tensor or None, shape (B, H, W), int64
        Training ids at any size; taken to the feature map's size by nearest neighbour.
    rule : str
        ``agreement`` or ``label``.
    inside : Tensor or None, shape (B, H, W), bool
        False where a crop is padding, which counts for no category.

    Raises
    ------
    ValueError
        If the rule is neither.
    """
    masks = scores.argmax(dim=1)
    if truth is not None:
        label = _resized(truth, masks)
        if rule == "label":
            masks = label
        elif rule == "agreement":
            masks = torch.where(label == masks, label, VOID)
        else:
            raise ValueError(f"rule: expected 'agreement' or 'label', found {rule!r}")
    if inside is not None:
        masks = torch.where(_resized(inside, masks) == 1, masks, VOID)
    return masks


def _resized(values: Tensor, like: Tensor) -> Tensor:
    """Whole numbers (B, H, W) at the size of another map, by nearest neighbour."""
    resized = F.interpolate(values.unsqueeze(1).float(), size=like.shape[1:], mode="nearest-exact")
    return resized.squeeze(1).long()


def prediction_scores(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's mean entropy and mean margin, (B,) each, in [0, 1].

    Entropy is Eq. 12 with a mean over pixels for the sum (the same order at equal size):
    -1/log(C) · mean_i sum_c p_ic log p_ic.  Margin is the mean difference between the two most
    probable classes.
    """
    log_p = F.log_softmax(scores.float(), dim=1)
    p = log_p.exp()
    entropy = -(p * log_p).sum(dim=1).mean(dim=(1, 2))
    entropy = entropy / torch.log(torch.tensor(float(scores.shape[1]), device=scores.device))
    best, place = p.max(dim=1, keepdim=True)
    second = p.scatter(1, place, -1).amax(dim=1)  # several times as fast as topk
    return entropy, (best.squeeze(1) - second).mean(dim=(1, 2))
