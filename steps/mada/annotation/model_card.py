"""A model card: what a model learnt from, what it tells apart, how well, and what it cannot do."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Facts:
    """What a model card tells.

    Attributes
    ----------
    made_by : str
        Preset, strategy, budget and seed.
    classes : pd.DataFrame
        As ``mada.annotation.bundle.class_table``.
    network, settings : dict
        Of the checkpoint.
    annotated_pixels : np.ndarray, shape (C,), int64
        Labelled target pixels of each class.
    scores : dict or None
        As ``evaluate`` writes them.
    scored_on : str
        Which images those are of.
    difference : float
        Largest difference of a logit between onnxruntime and PyTorch.
    """

    variant: str
    made_by: str
    classes: pd.DataFrame
    network: dict
    settings: dict
    source_images: int
    target_images: int
    annotated_images: int
    annotated_by: str
    annotated_pixels: np.ndarray
    scores: dict | None
    scored_on: str
    difference: float


CARD = """\
# Model card: {variant}

A network that gives every pixel of an image one of {count} classes, trained by multi-anchor active
domain adaptation (Ning et al., ICCV 2021): on labelled source images, a few labelled target
images, and target images without labels. Made by {made_by}.

## Data

| what | how much |
|---|---:|
| source images, all labelled | {source:,} |
| target images | {target:,} |
| of these labelled ({by}) | {annotated:,} |
| labelled target pixels | {pixels:,} |

## Classes

Channels of the output are in this order; `label id` is what `predict` writes.

| channel | label id | name | colour | labelled target pixels |{iou_head}
|---:|---:|---|---|---:|{iou_rule}
{classes}

## Scores

{scores}

## Use

`model.onnx` takes images (N, 3, height, width), float32 RGB in [0, 1], and returns logits
(N, {count}, height, width); the largest names the class. Its metadata hold the table of classes.
Its logits in onnxruntime differ from PyTorch's by {difference:.1e} at most.

{size} Network: {network}.

## Limits

- It is made for images like the target images: another camera, place, weather or season can make it
  worse without a sign of it.
- It gives every pixel a class, also where none of them fits: it knows no void.
- Confidence is not calibrated.
{limits}
## Settings

| setting | value |
|---|---|
{settings}
"""


def model_card(facts: Facts) -> str:
    """Return the model card as Markdown."""
    named = facts.classes.iloc[:-1]  # the last is unlabelled
    iou = (facts.scores or {}).get("iou", {})
    rows = []
    for row, pixels in zip(named.itertuples(), facts.annotated_pixels, strict=True):
        cells = [row.train_id, row.id, _escaped(row.name)]
        cells += [f"{row.red} {row.green} {row.blue}", f"{pixels:,}"]
        if iou:
            value = iou.get(row.name)
            cells.append("-" if value is None else f"{100 * value:.1f}")
        rows.append(f"| {' | '.join(map(str, cells))} |")
    unseen = named["name"][facts.annotated_pixels == 0]
    limits = [
        f"- No labelled target pixel shows {', '.join(map(_escaped, unseen))}: what it knows of "
        "these comes from the source.\n"
    ]
    settings = {k: v for k, v in sorted(facts.settings.items()) if k != "classes"}
    return CARD.format(
        variant=facts.variant,
        made_by=facts.made_by,
        count=len(named),
        source=facts.source_images,
        target=facts.target_images,
        by=facts.annotated_by,
        annotated=facts.annotated_images,
        pixels=int(facts.annotated_pixels.sum()),
        iou_head=" IoU % |" if iou else "",
        iou_rule="---:|" if iou else "",
        classes="\n".join(rows),
        scores=_scores(facts),
        difference=facts.difference,
        size=_size(facts.settings),
        network=", ".join(f"{k} {v}" for k, v in sorted(facts.network.items())),
        limits="".join(limits if len(unseen) else []),
        settings="\n".join(f"| {name} | {_escaped(str(v))} |" for name, v in settings.items()),
    )


def _scores(facts: Facts) -> str:
    if facts.scores is None:
        return "None: there were no labelled target images to score it on."
    return (
        f"mIoU {100 * facts.scores['miou']:.1f} % on {facts.scores['images']} images "
        f"({facts.scored_on})."
    )


def _size(settings: dict) -> str:
    if "target_size" not in settings:  # of a checkpoint from elsewhere
        return "What size images had in training is not known."
    size = settings["target_size"]
    shown = f"{size[0]} x {size[1]} pixels" if size else "their own size"
    return f"Scale images as in training, to {shown}."


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
