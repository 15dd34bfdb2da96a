"""Random resize and crop of an image together with its label, and random colours."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from torchvision.transforms.v2 import functional

from mada.labels import VOID


@dataclass(frozen=True)
class CropSettings:
    """How training crops are cut; sizes in pixels."""

    width: int
    height: int
    resize_min: float  # the random resize's ratio, of the image's working size
    resize_max: float
    flip: bool
    colour_jitter: float = 0.0  # strength, 0 to 1


def working_size(size: tuple[int, int], resize: tuple[int, int] | None) -> tuple[int, int]:
    """The (width, height) an image is worked at: its own, or a fixed one for its data set."""
    return size if resize is None else resize


def random_colours(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast and saturation by random factors of 1 ± strength, hue by ± strength / 8.

    Hue is in turns of the circle; it changes least, since light and cameras change it least.
    """
    image = functional.adjust_brightness(image, rng.uniform(1 - strength, 1 + strength))
    image = functional.adjust_contrast(image, rng.uniform(1 - strength, 1 + strength))
    image = functional.adjust_saturation(image, rng.uniform(1 - strength, 1 + strength))
    return functional.adjust_hue(image, rng.uniform(-strength / 8, strength / 8))


def random_crop(
    image: Image.Image,
    label: np.ndarray | None,
    resize: tuple[int, int] | None,
    settings: CropSettings,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Resize by a random ratio, cut a window at random, change colours, mirror half of the time.

    Images smaller than the window are padded on the right and below, labels with void.

    Parameters
    ----------
    image : Image.Image, RGB
    label : np.ndarray or None, shape (H, W), uint8
        None for an image without labels: its crop is all void.
    resize : (width, height) or None
        Fixed working size that the ratio applies to.

    Returns
    -------
    pixels : np.ndarray, shape (h, w, 3), uint8
    labels : np.ndarray, shape (h, w), uint8
    inside : np.ndarray, shape (h, w), bool
        False on padding.
    """
    ratio = rng.uniform(settings.resize_min, settings.resize_max)
    base = working_size(image.size, resize)
    width, height = (max(1, round(side * ratio)) for side in base)
    left = int(rng.integers(max(1, width - settings.width + 1)))
    top = int(rng.integers(max(1, height - settings.height + 1)))
    mirror = bool(rng.integers(2)) and settings.flip
    box = (left, top, min(left + settings.width, width), min(top + settings.height, height))
    pixels = np.zeros((settings.height, settings.width, 3), np.uint8)
    labels = np.full((settings.height, settings.width), VOID, np.uint8)
    h, w = box[3] - box[1], box[2] - box[0]
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    window = resized.crop(box)
    if settings.colour_jitter:
        window = random_colours(window, settings.colour_jitter, rng)
    pixels[:h, :w] = np.asarray(window)
    if label is not None:
        # The label's window is resized from the full label, so that both stay in register.
        full = Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST)
        labels[:h, :w] = np.asarray(full.crop(box))
    inside = np.zeros(labels.shape, bool)
    inside[:h, :w] = True
    parts = (pixels, labels, inside)
    if mirror:
        parts = (pixels[:, ::-1], labels[:, ::-1], inside[:, ::-1])
    return tuple(np.ascontiguousarray(part) for part in parts)
