"""What annotators hand back: only the manifest's labels are opened, and each is checked."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mada.labels import train_id_table
from tiny import error_lines, index_of, make_tiny, run_here


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    make_tiny(root, size=(48, 32), source=0, train=6, tune=0, val=0)
    return root / "cityscapes"


@pytest.fixture
def work(pristine, tmp_path) -> SimpleNamespace:
    """A copy of the data set, its index without labels, and a manifest of four images."""
    root = tmp_path / "cityscapes"
    shutil.copytree(pristine, root)
    index_of("cityscapes", root).to_csv(tmp_path / "index.csv", index=False)
    index = index_of("cityscapes", root, labels=True)
    active = index.loc[[4, 0, 3, 1]].rename(columns={"id": "image_id"})
    columns = ["image_id", "image", "width", "height"]
    active[columns].to_csv(tmp_path / "manifest.csv", index=False)
    labels = dict(zip(index["id"], map(Path, index["label"]), strict=True))
    return SimpleNamespace(
        root=root,
        labels=labels,
        active=active["image_id"].tolist(),
        index=tmp_path / "index.csv",
        manifest=tmp_path / "manifest.csv",
        output=tmp_path / "out" / "annotations",
    )


def collect(work: SimpleNamespace):
    return run_here(
        *("collect_annotations", "--manifest", work.manifest, "--index", work.index),
        *("--layout", "cityscapes", "--root", work.root, "--classes", "cityscapes19"),
        *("--output", work.output),
    )


def test_only_labels_of_the_manifest_are_opened(work):
    table = train_id_table("cityscapes-ids", "cityscapes19")
    expected = {
        i: table[np.asarray(Image.open(work.labels[i]))].astype(np.uint8) for i in work.active
    }
    for image_id, label in work.labels.items():
        if image_id not in work.active:
            label.write_bytes(b"garbage")
    result = collect(work)
    assert result.returncode == 0, result.stderr
    collected = pd.read_csv(work.output / "index.csv")
    assert list(collected) == ["id", "image", "label", "width", "height", "sequence", "frame"]
    assert sorted(collected["id"]) == sorted(work.active)
    assert len(list((work.output / "labels").iterdir())) == 4
    for row in collected.itertuples():
        assert Path(row.label) == work.output / "labels" / f"{row.id}.png"
        assert np.asarray(Image.open(row.label)).tolist() == expected[row.id].tolist()
        assert row.image.endswith(f"{row.id}_leftImg8bit.png")


def test_every_problem_is_listed_in_one_run(work):
    missing, small, unknown, fine = (work.labels[image_id] for image_id in work.active)
    missing.unlink()
    Image.open(small).crop((0, 0, 48, 31)).save(small)
    values = np.array(Image.open(unknown))
    values[0, 0] = 99
    Image.fromarray(values).save(unknown)
    lines = error_lines(collect(work))
    assert any(missing.name in line and "no label" in line for line in lines)
    assert any(small.name in line and "48x32" in line and "48x31" in line for line in lines)
    assert any(unknown.name in line and "[99]" in line for line in lines)
    assert not any(fine.name in line for line in lines)
    assert "3 problems" in lines[-1]
    assert not work.output.parent.exists() or not list(work.output.parent.iterdir())


def test_image_that_the_data_set_does_not_have_is_named(work):
    manifest = pd.read_csv(work.manifest)
    manifest.loc[2, "image_id"] = "atlantis_000000_000019"
    manifest.to_csv(work.manifest, index=False)
    (line,) = error_lines(collect(work))
    assert "manifest.csv" in line and "atlantis_000000_000019" in line


def test_image_that_the_index_does_not_have_is_named(work):
    index = pd.read_csv(work.index)
    index[index["id"] != work.active[2]].to_csv(work.index, index=False)
    (line,) = error_lines(collect(work))
    assert "index.csv" in line and work.active[2] in line


def test_labels_of_ones_own_folder_and_class_table(tmp_path):
    root = tmp_path / "photos"
    for folder in ("rgb", "masks"):
        (root / folder / "day").mkdir(parents=True)
    for name in "ab":
        Image.new("RGB", (6, 4)).save(root / f"rgb/day/{name}.jpg")
    Image.fromarray(np.uint8([[40, 41, 9, 40, 40, 40]] * 4)).save(root / "masks/day/b_m.png")
    rows = [{"name": f"class {n}", "ids": [40 + n], "colour": [n, n, 9]} for n in range(2)]
    classes = tmp_path / "classes.json"
    classes.write_text(json.dumps({"classes": rows, "void_ids": [9]}))
    images = [str(root / f"rgb/day/{name}.jpg") for name in "ab"]
    index = {"id": ["day/a", "day/b"], "image": images, "width": 6, "height": 4}
    pd.DataFrame(index).assign(sequence="day", frame=0).to_csv(tmp_path / "index.csv", index=False)
    manifest = {"image_id": ["day/b"], "image": images[1:], "width": 6, "height": 4}
    pd.DataFrame(manifest).to_csv(tmp_path / "manifest.csv", index=False)

    def collect_by(label_glob: str):
        return run_here(
            *("collect_annotations", "--manifest", tmp_path / "manifest.csv"),
            *("--index", tmp_path / "index.csv", "--layout", "folder", "--root", root),
            *("--image-glob", "rgb/*/*.jpg", "--label-glob", label_glob, "--classes", classes),
            *("--output", tmp_path / "out"),
        )

    (line,) = error_lines(collect_by("none"))
    assert "day/b: no label by label glob 'none'" in line
    result = collect_by("masks/*/*_m.png")
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "out/labels/day/b.png") as label:
        assert np.asarray(label).tolist() == [[0, 1, 255, 0, 0, 0]] * 4
