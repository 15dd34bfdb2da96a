"""Whole runs of the workflow on a tiny pair of domains, as a user starts them."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from tiny import make_tiny

REPOSITORY = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
WARMUP = "results/demo/seed-0/warmup-adaptseg"
ROUND = f"{WARMUP}/runs/mada-K3-b25pct/round-0"
M4 = f"{ROUND}/evaluation/val/M4-V2.json"
SETTINGS = {
    "source_root": "data/gta5",
    "target_root": "data/cityscapes",
    "budget": "25%",
    "source_anchors": 3,
    "target_anchors": 2,
    "compare": [],
    "upper_bound": False,
    "network": {"feature_channels": 8, "output_stride": 32},
    "training": {"crop": "64x32", "batch_size": 2, "precision": "fp32"},
    "warmup": {"iterations": 4},
    "finetune": {"iterations": 3},
    "adapt": {"iterations": 3},
    "inference_threads": 1,
    "save_every": 1,
}


def make_project(folder: Path, **settings) -> Path:
    """A copy of the workflow with a tiny data set beside it."""
    for name in ("workflow", "steps"):
        shutil.copytree(
            REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copyfile(REPOSITORY / "config.yaml", folder / "config.yaml")
    shutil.copytree(REPOSITORY / "envs", folder / "envs")
    make_tiny(folder / "data")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(SETTINGS | settings))
    return folder


def command(*arguments: str) -> list[str]:
    return [*SNAKEMAKE, "--cores", "2", *arguments, "--configfile", "tiny.yaml"]


def environment() -> dict[str, str]:
    """The rules call `python`: the one that runs the tests."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments), cwd=folder, env=environment(), capture_output=True, text=True
    )


def planned(folder: Path, *arguments: str) -> set[str]:
    """Names of the rules that a dry run would run."""
    result = snakemake(folder, "-n", "--quiet", "rules", *arguments)
    assert result.returncode == 0, result.stderr + result.stdout
    result = snakemake(folder, "-n", *arguments)
    lines = (result.stdout + result.stderr).splitlines()
    return {
        line.split()[1].rstrip(":") for line in lines if line.startswith(("rule ", "localrule "))
    }


def checksums(folder: Path) -> dict[str, str]:
    """Checksum of every result."""
    results = folder / "results"
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project whose default target has been built."""
    folder = make_project(tmp_path_factory.mktemp("finished"))
    result = snakemake(folder)
    assert result.returncode == 0, result.stderr[-6000:]
    return folder


def test_the_ladder_is_built_to_its_last_rung(finished):
    table = pd.read_csv(finished / "results/demo/tables/ladder.csv")
    assert table["variant"].tolist() == ["M0", "M1", "M1+", "M2", "M3", "M4"]
    assert table["iterations"].tolist() == [4, 7, 10, 10, 10, 10]
    assert table["miou"].between(0, 100).all()
    for name in ("panels", "selection", "histories"):
        Image.open(finished / f"results/demo/figures/{name}.png").verify()


def test_intermediates_follow_the_file_contract(finished):
    features = np.load(finished / WARMUP / "features/target_train.npy")
    assert features.shape == (12, 19 * 8)
    assert np.load(finished / WARMUP / "anchors/source-K3.npy").shape == (3, 19 * 8)
    ranking = pd.read_csv(finished / WARMUP / "select/mada-K3/ranking.csv")
    assert ranking["rank"].tolist() == list(range(1, 13))
    assert ranking["score"].is_monotonic_decreasing
    manifest = pd.read_csv(finished / ROUND / "manifest.csv")
    assert manifest["image_id"].tolist() == ranking["image_id"].tolist()[:3]
    assert "label" not in pd.read_csv(finished / "results/demo/index/target_train.csv")
    pseudo = pd.read_csv(finished / ROUND / "pseudo_labels/index.csv")
    assert set(pseudo["id"]) == set(ranking["image_id"]) - set(manifest["image_id"])


def test_a_finished_run_leaves_no_scraps(finished):
    names = [path.name for path in (finished / "results").rglob("*")]
    assert not [n for n in names if n.endswith(".partial") or n.startswith(".resume")]


def test_a_second_run_has_nothing_to_do(finished):
    assert planned(finished) == set()


def test_a_changed_setting_reruns_what_depends_on_it_and_nothing_else(finished):
    again = planned(finished, "--config", "target_anchors=3")
    assert {"cluster_target_anchors", "adapt", "evaluate"} <= again
    assert not again & {"warmup", "extract_source_features", "finetune", "pseudo_label"}
    again = planned(finished, "--config", "budget=50%")
    assert {"write_manifest", "finetune"} <= again
    assert not again & {"warmup", "extract_target_features", "rank_targets"}


def test_editing_a_module_reruns_its_importers_and_what_lies_downstream(finished):
    module = finished / "steps/mada/acquisition.py"
    before = module.read_text()
    module.write_text(before + "# edited\n")
    try:
        again = planned(finished)
    finally:
        module.write_text(before)
    assert {"rank_targets", "write_manifest", "finetune"} <= again
    assert not again & {"warmup", "extract_target_features", "cluster_source_anchors"}


def test_labels_outside_the_manifest_are_never_read_and_a_rerun_gives_the_same_bytes(
    finished, tmp_path
):
    folder = make_project(tmp_path / "garbage", loader_workers=0, save_every=0)
    chosen = set(pd.read_csv(finished / ROUND / "manifest.csv")["image_id"])
    labels = sorted((folder / "data/cityscapes/gtFine/train").rglob("*_labelIds.png"))
    spoiled = [p for p in labels if p.name.removesuffix("_gtFine_labelIds.png") not in chosen]
    assert len(spoiled) == len(labels) - 3
    for path in spoiled:
        path.write_bytes(b"garbage")
    result = snakemake(folder, M4)
    assert result.returncode == 0, result.stderr[-6000:]
    reference, found = checksums(finished), checksums(folder)
    assert f"{M4.removeprefix('results/')}" in found
    assert {name for name in found if found[name] != reference.get(name)} == set()


def test_a_killed_run_goes_on_and_gives_the_same_bytes(finished, tmp_path):
    folder = make_project(tmp_path / "killed")
    process = subprocess.Popen(
        command(M4),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    state = folder / WARMUP / ".resume-model"
    deadline = time.monotonic() + 120
    while not list(state.glob("*/state.pt")) and process.poll() is None:
        assert time.monotonic() < deadline, "the warm-up never saved a state"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for name in ("model.pt", "discriminator.pt", "history.csv"):
        path = folder / WARMUP / name
        reference = finished / WARMUP / name
        assert not path.exists() or path.read_bytes() == reference.read_bytes()
    assert snakemake(folder, "--unlock").returncode == 0
    result = snakemake(folder, "--rerun-incomplete", M4)
    assert result.returncode == 0, result.stderr[-6000:]
    reference, found = checksums(finished), checksums(folder)
    assert {name for name in found if found[name] != reference.get(name)} == set()


def test_settings_that_the_data_cannot_meet_stop_the_run_before_training(tmp_path):
    folder = make_project(tmp_path, budget="101%", source_anchors=13)
    result = snakemake(folder, "--show-failed-logs")
    assert result.returncode != 0
    assert "error: source_anchors: expected at most the 12 images" in result.stderr
    assert "error: budget: expected a share above 0% and up to 100%" in result.stderr
    assert not (folder / WARMUP).exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root / "gta5"), "expected the root folder of a gta5"),
        (lambda root: (root / "gta5/labels/00001.png").unlink(), "expected a label at"),
        (
            lambda root: Image.new("L", (8, 8)).save(root / "gta5/labels/00001.png"),
            "expected 96x64 pixels like its image, found 8x8",
        ),
        (
            lambda root: Image.new("L", (96, 64), 77).save(root / "gta5/labels/00001.png"),
            "expected values of the class table, found [77]",
        ),
        (
            lambda root: (root / "gta5/images/00001.png").write_bytes(
                (root / "gta5/images/00001.png").read_bytes()[:200]
            ),
            "expected a readable image",
        ),
    ],
    ids=["missing root", "missing label", "other size", "unknown value", "truncated"],
)
def test_bad_files_stop_the_run_before_training(tmp_path, damage, message):
    folder = make_project(tmp_path)
    damage(folder / "data")
    result = snakemake(folder, "--show-failed-logs")
    assert result.returncode != 0
    assert message in result.stderr
    assert not (folder / WARMUP).exists()


def test_the_folder_of_another_preset_is_refused_by_name(finished):
    result = snakemake(finished, "-n", "results/other/index/source.csv")
    assert result.returncode != 0
    assert "results/other/" in result.stderr
    assert "preset demo is loaded" in result.stderr


def test_settings_outside_the_schema_are_refused(finished):
    result = snakemake(finished, "-n", "--config", "training={crop: 64x32}")
    assert result.returncode != 0
    assert "training" in result.stderr
    result = snakemake(finished, "-n", "--config", "bugdet=5%")
    assert result.returncode != 0
    assert "bugdet" in result.stderr


def test_select_ends_with_the_manifest_and_its_bundle(finished):
    assert planned(finished, "select") == set()
    bundle = finished / ROUND / "bundle"
    assert len(list((bundle / "images").glob("*.png"))) == 3
    assert (bundle / "README.txt").is_file()


def test_a_checkpoint_of_ones_own_takes_the_place_of_the_warmup(finished):
    settings = ("--config", "warmup_method=checkpoint", f"warmup_checkpoint={WARMUP}/model.pt")
    names = planned(finished, "select", *settings)
    assert "adopt_checkpoint" in names
    assert "warmup" not in names
    result = snakemake(finished, "select", *settings)
    assert result.returncode == 0, result.stderr[-6000:]
    own = finished / WARMUP.replace("adaptseg", "checkpoint")
    ranking = (finished / WARMUP / "select/mada-K3/ranking.csv").read_text()
    assert (own / "select/mada-K3/ranking.csv").read_text() == ranking
