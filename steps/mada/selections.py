"""The description of a selection that pictures and report read (steps/describe_selection.py)."""

from pathlib import Path

from PIL import Image

from mada.cli import InputError, refuse
from mada.files import read_json
from mada.images import read_image

_KEYS = {
    *("strategy", "rule", "pool_images", "adjacent_picks", "anchors", "selected"),
    *("pool_distance_quartiles", "selected_distance_quartiles"),
}


def read_selection(path: Path) -> dict:
    """Read a description with at least one selected image.

    Raises
    ------
    InputError
        If it is something else, or one of its images is gone.
    """
    selection = read_json(path)
    if not isinstance(selection, dict) or not set(selection) >= _KEYS:
        raise InputError(f"{path}: expected a selection with {', '.join(sorted(_KEYS))}")
    if not selection["selected"]:
        raise InputError(f"{path}: expected at least one selected image, found none")
    rows = [row for anchor in selection["anchors"] for row in anchor["closest_source_images"]]
    refuse(
        [
            f"{path}: {row['image_id']}: expected an image at {row['image']}, found no file"
            for row in [*selection["selected"], *rows]
            if not Path(row["image"]).is_file()
        ],
        "the selection",
    )
    return selection


def by_anchor(selection: dict, limit: int) -> list[tuple[int, dict, list[dict]]]:
    """Return (number, anchor, selected images) of each anchor that images were selected at.

    Only the first ``limit`` images by rank are returned.  Anchors come in order of how many of
    them they have, then of their best rank; images in order of rank.
    """
    rows = sorted(selection["selected"], key=lambda row: (row["rank"], row["image_id"]))[:limit]
    groups: dict[int, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["anchor"], []).append(row)
    order = sorted(groups, key=lambda n: (-len(groups[n]), groups[n][0]["rank"]))
    return [(n, selection["anchors"][n], groups[n]) for n in order]


def thumbnail(path: str | Path, width: int) -> Image.Image:
    """An image shrunk or enlarged to a width in pixels; errors as ``read_image``."""
    image = read_image(path)
    height = max(1, round(image.height * width / image.width))
    return image.resize((width, height), Image.Resampling.LANCZOS)
