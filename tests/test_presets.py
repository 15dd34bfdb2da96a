"""The paper's two experiments, planned on files in the data sets' own layouts."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mada.labels import CLASS_SETS
from test_pipeline import SNAKEMAKE, environment

REPOSITORY = Path(__file__).parents[1]
TRAINED = {"warmup", "finetune", "continue_finetuning", "adapt"}
TARGET_IMAGES, BATCH = 2975, 4


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Small images in the layouts of GTA5, SYNTHIA and Cityscapes, none of them labelled target."""
    root = tmp_path_factory.mktemp("paper")
    script = REPOSITORY / "benchmarks/make_paper_layouts.py"
    words = [sys.executable, str(script), "--output", str(root), "--images", "1", "--shrink", "8"]
    subprocess.run(words, check=True, capture_output=True)
    return root


def preset(name: str) -> dict:
    return yaml.safe_load((REPOSITORY / f"workflow/presets/{name}.yaml").read_text())


PRESETS = pytest.mark.parametrize(
    ("name", "source"), [("gta5-to-cityscapes", "GTA5"), ("synthia-to-cityscapes", "SYNTHIA")]
)


@PRESETS
def test_the_whole_ladder_is_planned(data, tmp_path, name, source):
    settings = [f"preset={name}", f"source_root={data / source}"]
    settings += [f"target_root={data / 'Cityscapes'}"]
    result = subprocess.run(
        [*SNAKEMAKE, "-n", "--directory", str(tmp_path), "--config", *settings],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    words = result.stdout.split()
    counts = {job: int(words[words.index(job) + 1]) for job in (*TRAINED, "evaluate")}
    assert counts == {"warmup": 1, "finetune": 3, "continue_finetuning": 2, "adapt": 3} | {
        "evaluate": 7
    }  # M1 by mada and random, and Mu; M1+ and Mu; M2, M3, M4


@PRESETS
def test_epochs_are_passes_over_the_target_training_images(name, source):
    chosen = preset(name)
    assert chosen["training"]["batch_size"] == BATCH
    for section, epochs in (("warmup", 20), ("finetune", 50), ("adapt", 50)):
        passes = chosen[section]["iterations"] * BATCH / TARGET_IMAGES
        assert epochs <= passes < epochs + BATCH / TARGET_IMAGES


@PRESETS
def test_the_network_has_an_output_for_each_class_of_the_experiment(name, source):
    chosen = preset(name)
    assert len(CLASS_SETS[chosen["classes"]]) == {"GTA5": 19, "SYNTHIA": 16}[source]
    assert chosen["paper_results"] == name
    assert chosen["source_layout"] == source.lower()


def test_both_experiments_train_alike():
    gta5, synthia = (preset(f"{source}-to-cityscapes") for source in ("gta5", "synthia"))
    for section in ("network", "training", "warmup", "finetune", "adapt"):
        assert gta5[section] == synthia[section]
