"""The cost table counts images, pixels, hours, and what people changed."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import annotation_cost
from handed import hand_out
from mada.cli import InputError
from mada.labels import VOID, save_label


def table(handed, *more: object) -> dict[str, float]:
    folder = handed.folder
    words = ["--manifest", folder / "manifest.csv", "--classes", handed.class_set]
    words += ["--pre-annotations", folder / "pre_annotations", "--output", folder / "cost.csv"]
    words += ["--minutes-per-image", 90, "--markdown", folder / "cost.md", *more]
    annotation_cost.main(annotation_cost.parser().parse_args([str(word) for word in words]))
    found = pd.read_csv(folder / "cost.csv")
    return dict(zip(found["quantity"], found["value"], strict=True))


@pytest.fixture
def handed(tmp_path, rng):
    return hand_out(tmp_path, "cityscapes19", rng)


def before(handed, image_id: str) -> np.ndarray:
    with Image.open(handed.folder / f"pre_annotations/labels/{image_id}.png") as label:
        return np.array(label)


def test_what_is_handed_out_is_counted_before_anything_comes_back(handed):
    found = table(handed)
    pixels = sum(width * height for width, height in handed.sizes.values())
    left_open = sum(int((before(handed, i) == VOID).sum()) for i in handed.sizes)
    assert found == {
        "images handed out": 4,
        "pixels handed out": pixels,
        "pixels left open by the pre-annotations, %": round(100 * left_open / pixels, 1),
        "minutes an image takes, as configured": 90,
        "hours estimated": 6,
    }
    lines = (handed.folder / "cost.md").read_text().splitlines()
    assert lines[0] == "| quantity | value |" and len(lines) == 2 + len(found)
    assert lines[2:5] == [
        "| images handed out | 4 |",
        f"| pixels handed out | {pixels:,} |",
        f"| pixels left open by the pre-annotations, % | {100 * left_open / pixels:.1f} |",
    ]


def test_of_what_did_not_come_back_there_are_no_shares(handed):
    found = table(handed, "--annotations", handed.folder / "nothing", "--minutes-per-image", 7)
    assert found["images returned"] == found["pixels labelled"] == 0
    assert found["hours estimated"] == 0.5  # 28 minutes
    assert np.isnan(found["pixels void, %"])
    assert "| pixels void, % | - |" in (handed.folder / "cost.md").read_text().splitlines()


def test_what_people_changed_is_counted_pixel_by_pixel(handed):
    returned = dict(list(handed.labels.items())[:3])  # one image did not come back
    for image_id, label in returned.items():
        save_label(handed.folder / f"work/labels/{image_id}.png", label, handed.class_set)
    changed = kept = filled = labelled = void = 0
    for image_id, label in returned.items():
        for was, now in zip(before(handed, image_id).ravel(), label.ravel(), strict=True):
            labelled, void = labelled + (now != VOID), void + (now == VOID)
            if was == VOID:
                filled += now != VOID
            else:
                changed, kept = changed + (now != was), kept + (now == was)
    found = table(handed, "--annotations", handed.folder / "work")
    assert found["images returned"] == 3 and found["pixels labelled"] == labelled
    assert found["pixels void, %"] == round(100 * void / (labelled + void), 1)
    share = round(100 * changed / (changed + kept), 1)
    assert found["pre-annotated pixels that people changed, %"] == share > 0
    assert found["open pixels that people labelled"] == filled > 0


def test_minutes_must_be_some(handed):
    with pytest.raises(InputError, match="minutes per image: expected a number above 0, found 0"):
        table(handed, "--minutes-per-image", 0)
