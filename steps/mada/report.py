"""What the report says of a run: its figures, in sentences, tables and pictures of one page."""

import base64
import io
import json
from importlib import metadata
from pathlib import Path

import pandas as pd
from PIL import Image

from mada.class_tables import column_name
from mada.cli import InputError

# Import names differ; these are the names that packages are installed by.
_PACKAGES = (
    *("torch", "torchvision", "faiss-cpu", "scikit-learn", "numpy", "pandas", "pillow"),
    *("matplotlib", "cityscapesScripts", "snakemake"),
)
_FEWEST_IMAGES = 500  # Cityscapes' validation split; means over fewer say less
_NAMED_CLASSES = 3  # most that a sentence names


def pooled(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation over seeds of each row of a table.

    Parameters
    ----------
    scores : pd.DataFrame
        One line per seed and row: seed, strategy, variant, miou (percent), and more.

    Returns
    -------
    pd.DataFrame
        Index (variant, strategy) in order of appearance; mean, deviation (NaN of one seed), seeds.
    """
    rows = scores.groupby(["variant", "strategy"], sort=False)["miou"]
    return rows.agg(mean="mean", deviation="std", seeds="count")


def difference(scores: pd.DataFrame, row: tuple[str, str], base: tuple[str, str]) -> pd.Series:
    """miou of a (variant, strategy) less that of another, by seed; seeds of both alone."""
    by_row = scores.pivot(index="seed", columns=["variant", "strategy"], values="miou")
    return (by_row[row] - by_row[base]).dropna()


def in_words(differences: pd.Series) -> str:
    """``5.9 points above`` or ``0.7 ± 0.4 points below``, paired by seed."""
    mean = differences.mean()
    spread = f" ± {differences.std():.1f}" if len(differences) > 1 else ""
    if f"{abs(mean):.1f}" == "0.0":
        return f"level{f' (0.0{spread} points)' if spread else ''} with"
    return f"{abs(mean):.1f}{spread} points {'above' if mean > 0 else 'below'}"


def findings(scores: pd.DataFrame, strategy: str, last: str) -> list[str]:
    """Sentences on what the labels and the adaptation gained, the unwelcome ones included.

    Parameters
    ----------
    strategy : str
        The chosen one; others are what it is compared with.
    last : str
        Last rung of the ladder that was trained.
    """
    rows = pooled(scores)
    best, first = (last, strategy), ("M1", strategy)
    said = [f"{last} is {in_words(difference(scores, best, ('M0', '-')))} M0."]
    if ("Mu", "all") in rows.index:
        upper = difference(scores, ("Mu", "all"), ("M0", "-"))
        if (upper > 0).all():
            closed = 100 * (difference(scores, best, ("M0", "-")) / upper).mean()
            said[0] = f"{said[0][:-1]}, {closed:.0f} % of the way from M0 to Mu."
    for variant, other in rows.index:
        if variant == "M1" and other != strategy:
            gap = difference(scores, first, (variant, other))
            selected = f"M1 with the images that {strategy} selected is {in_words(gap)} M1 with"
            if other == "all":
                said.append(f"{selected} the labels of all images.")
                continue
            moral = " Here the selection did not pay." if gap.mean() <= 0 else ""
            said.append(f"{selected} as many by {other}.{moral}")
    if ("M1+", strategy) in rows.index and last not in ("M1", "M1+"):
        gap = difference(scores, best, ("M1+", strategy))
        said.append(
            f"{last} is {in_words(gap)} M1+, which trained as long without the losses of the "
            "adaptation."
        )
    return said


def class_rows(scores: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Mean IoU (percent) over seeds: a row per class, a column per (variant, strategy)."""
    names = {name: f"iou_{column_name(name)}" for name in classes}
    missing = [name for name in names.values() if name not in scores]
    if missing:
        raise InputError(f"scores: expected a column {missing[0]}, found none")
    by_row = scores.groupby(["variant", "strategy"], sort=False)[list(names.values())].mean()
    return by_row.T.set_axis(list(names))


def class_findings(rows: pd.DataFrame, strategy: str, last: str) -> list[str]:
    """Which classes gained most over M0, which lost, and which are not found at all."""
    change = (rows[last, strategy] - rows["M0", "-"]).dropna()
    gained = change[change >= 0.05].sort_values(ascending=False, kind="stable")
    lost = change[change <= -0.05].sort_values(kind="stable")
    said = []
    for verb, some in (("gained most over M0", gained), ("lost", lost)):
        if len(some):
            named = [f"{name} ({some[name]:+.1f})" for name in some.index[:_NAMED_CLASSES]]
            more = len(some) - len(named) if verb == "lost" else 0
            said.append(f"{last} {verb}: {', '.join(named)}{f', and {more} more' if more else ''}.")
    missed = rows.index[rows[last, strategy] < 0.05]
    if len(missed):
        said.append(f"{last} does not find: {', '.join(missed)}.")
    return said


def limits(scores: pd.DataFrame | None, settings: dict, scored_on: str | None) -> list[str]:
    """What the figures of a run do not show."""
    said = []
    if scores is None:
        said.append(
            "Nothing was scored: validation_split is false, so the target has no labels to score "
            "with. What was selected is shown; what it gained is not known."
        )
    else:
        seeds, images = scores["seed"].nunique(), int(scores["images"].iloc[0])
        if seeds == 1:
            said.append(
                "One seed. Another may well differ by more than neighbouring rungs of the ladder "
                "do here: a difference of a point or less shows nothing. The workflow's target "
                "replicates trains several."
            )
        else:
            said.append(
                f"{seeds} seeds: ± is a sample standard deviation, itself rough with so few."
            )
        if images < _FEWEST_IMAGES:
            said.append(
                f"Scored on {images} images. An IoU of a rare class rests on few of its pixels."
            )
        if scored_on == "holdout":
            said.append(
                "These images were selected like those trained with, so that they stand for the "
                "selection and not for the whole target."
            )
        if settings["network"]["weights"] == "none" and settings["warmup_method"] != "checkpoint":
            said.append(
                "The networks started from random weights. Absolute figures, and the distance "
                "between M0 and Mu, depend on how long they trained; compare rows of one length."
            )
    if settings.get("tuning_split"):
        said.append("Settings are for choosing on the target's tuning split, not on these images.")
    if len(settings.get("rounds") or ()) > 1:
        said.append(
            "The selection shown is that of the last round alone, and its anchors and distances "
            "are M0's; later rounds select by the features of the round before."
        )
    if settings["annotation_mode"] == "benchmark":
        said.append("The labels are the data set's own; no person labelled the selected images.")
    said.append(
        "The map of the features keeps neighbours together; distances between far groups and the "
        "sizes of groups mean little in it."
    )
    return said


def read_markdown(text: str) -> list[dict]:
    """Take a text of paragraphs and tables apart.

    Returns
    -------
    list of dict
        ``{"text": …}`` for a paragraph; ``{"head": […], "rows": [[…], …], "numbers": [bool, …]}``
        for a table, the last telling the columns that are aligned right.
    """
    blocks = []
    for part in text.strip().split("\n\n"):
        lines = part.strip().splitlines()
        if len(lines) > 1 and set(lines[1]) <= set("|-: "):
            head, rule, *rows = (
                [cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines
            )
            numbers = [cell.endswith(":") for cell in rule]
            blocks.append({"head": head, "rows": rows, "numbers": numbers})
        elif lines:
            blocks.append({"text": " ".join(lines)})
    return blocks


def flattened(settings: dict, prefix: str = "") -> list[tuple[str, str]]:
    """Settings as (dotted key, text), nested ones after one another."""
    rows = []
    for key, value in settings.items():
        if isinstance(value, dict):
            rows += flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            rows.append((prefix + key, ", ".join(map(str, value)) or "none"))
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            rows.append((prefix + key, "none" if value is None else text))
    return rows


def versions(lock: str) -> list[tuple[str, str]]:
    """(package, version) of what is installed here, else of what the lock file pins."""
    pinned = dict(line.split("==") for line in lock.splitlines() if "==" in line)
    rows = []
    for name in _PACKAGES:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            if name in pinned:
                rows.append((name, f"{pinned[name]} (pinned)"))
    return rows


def data_uri(image: Image.Image, quality: int) -> str:
    """An RGB image as a data URI: PNG or JPEG, whichever is smaller."""
    encoded = {}
    for kind, options in (
        ("png", {"optimize": True}),
        ("jpeg", {"quality": quality, "subsampling": 0, "optimize": True}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        encoded[kind] = buffer.getvalue()
    kind = min(encoded, key=lambda k: len(encoded[k]))
    return f"data:image/{kind};base64,{base64.b64encode(encoded[kind]).decode()}"


def fitted(image: Image.Image, widest: int) -> Image.Image:
    """An image no wider than so many pixels."""
    if image.width <= widest:
        return image
    height = max(1, round(image.height * widest / image.width))
    return image.resize((widest, height), Image.Resampling.LANCZOS)


def caption(path: Path) -> list[str]:
    """Paragraphs of a caption, which are plain text so that Snakemake's report takes them too."""
    return [" ".join(part.split()) for part in path.read_text().strip().split("\n\n")]
