"""The hand-over keeps what was given, says where the work is waited for, and touches no work."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hand_over
from handed import hand_out
from mada.annotation.containers import Folder
from mada.annotation.handover import MOST_LISTED, returned_files
from mada.cli import InputError


@pytest.fixture
def handed(tmp_path):
    return hand_out(tmp_path, "cityscapes19", np.random.default_rng(0))


def give(handed, manifest: Path | None = None) -> Path:
    folder = handed.folder
    words = ["--manifest", manifest or folder / "manifest.csv", "--folder", folder / "people"]
    words += ["--pre-annotations", folder / "pre_annotations", "--bundle", "the/bundle"]
    words += ["--go-on", "snakemake --cores 2 M4", "--output", folder / "WAITING.md"]
    hand_over.main(hand_over.parser().parse_args([str(word) for word in words]))
    return folder / "people"


def another_manifest(handed) -> Path:
    path = handed.folder / "another.csv"
    pd.read_csv(handed.folder / "manifest.csv").iloc[1:].to_csv(path, index=False)
    return path


def test_the_word_says_what_where_and_how_to_go_on(handed):
    people = give(handed)
    word = (handed.folder / "WAITING.md").read_text(encoding="utf-8")
    assert "4 images wait to be labelled" in word and "    the/bundle/\n" in word
    assert f"    {people}/returned/\n" in word and "    snakemake --cores 2 M4\n" in word


def test_what_was_given_is_kept_beside_an_empty_folder_for_the_work(handed):
    people = give(handed)
    assert list((people / "returned").iterdir()) == []
    for name in ("manifest.csv", *(f"labels/{image_id}.png" for image_id in handed.labels)):
        source = handed.folder / name.replace("labels/", "pre_annotations/labels/")
        assert (people / "handed-out" / name).read_bytes() == source.read_bytes()


def test_another_selection_takes_the_place_of_one_that_nothing_came_back_for(handed):
    people = give(handed)
    (people / "returned/.DS_Store").touch()
    other = another_manifest(handed)
    give(handed, other)
    assert (people / "handed-out/manifest.csv").read_bytes() == other.read_bytes()


def test_no_other_selection_is_handed_out_once_something_came_back(handed):
    people = give(handed)
    (people / "returned/work").mkdir()
    (people / "returned/work/a.png").write_bytes(b"work")
    before = (people / "handed-out/manifest.csv").read_bytes()
    with pytest.raises(InputError, match="returned: expected nothing, since another selection"):
        give(handed, another_manifest(handed))
    give(handed)  # the same selection again changes nothing
    assert (people / "handed-out/manifest.csv").read_bytes() == before
    assert (people / "returned/work/a.png").read_bytes() == b"work"


def test_work_for_a_selection_that_nobody_knows_is_refused(handed):
    people = give(handed)
    (people / "returned/a.png").touch()
    (people / "handed-out/manifest.csv").unlink()
    with pytest.raises(InputError, match=r"manifest.csv: expected what was handed out, found none"):
        give(handed)


def test_files_that_came_back_are_listed_in_order_without_scraps(tmp_path):
    for name in ("b.png", "a/c.png", ".hidden", "__MACOSX/x.png", "a/Thumbs.db", "bad\udcff.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert returned_files(tmp_path) == [str(tmp_path / "a/c.png"), str(tmp_path / "b.png")]
    assert returned_files(tmp_path / "nowhere") == []


def test_names_with_spaces_of_any_kind_and_linked_folders_are_listed(tmp_path):
    """Screenshots' names have narrow spaces in them, and people link to folders that are large."""
    names = ["9.41\u202fAM.png", "a\u00a0b.png", "zero\u200bwidth.png"]
    painted, returned = tmp_path / "painted", tmp_path / "returned"
    for name in names:
        (painted / "sub" / name).parent.mkdir(parents=True, exist_ok=True)
        (painted / "sub" / name).touch()
    (painted / "round").symlink_to(painted)
    returned.mkdir()
    (returned / "linked").symlink_to(painted)
    expected = sorted(f"linked/sub/{name}" for name in names)
    assert returned_files(returned) == [f"{returned}/{name}" for name in expected]
    assert Folder(returned, limit=len(names)).names == expected


def test_no_run_chokes_on_more_files_than_can_be_meant(tmp_path):
    for number in range(MOST_LISTED + 5):
        (tmp_path / f"{number}.png").touch()
    assert len(returned_files(tmp_path)) == MOST_LISTED
