"""The paper's two experiments, planned on files in the data sets' own layouts."""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
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


@pytest.fixture(scope="module")
def plan(data, tmp_path_factory) -> Callable[[str, str], str]:
    """What a dry run of a preset on a source prints."""

    @cache
    def planned(name: str, source: str) -> str:
        settings = [f"preset={name}", f"source_root={data / source}"]
        settings += [f"target_root={data / 'Cityscapes'}", "gpus=1"]
        folder = str(tmp_path_factory.mktemp("planned"))
        result = subprocess.run(
            [*SNAKEMAKE, "-n", "--directory", folder, "--config", *settings],
            cwd=REPOSITORY,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    return planned


@PRESETS
def test_the_whole_ladder_is_planned(plan, name, source):
    words = plan(name, source).split()
    counts = {job: int(words[words.index(job) + 1]) for job in (*TRAINED, "evaluate")}
    assert counts == {"warmup": 1, "finetune": 3, "continue_finetuning": 2, "adapt": 3} | {
        "evaluate": 7
    }  # M1 by mada and random, and Mu; M1+ and Mu; M2, M3, M4


# docs/paper-scale.md: MB measured with one image a pass, minutes estimated for one GPU; loader
# workers, 4 for each data set that is read at once, beside the threads of the step.
NEEDED = {
    "warmup": (5400, 0.3 * 60, 2 * 4),
    "adapt": (6400, 1.2 * 60, 3 * 4),
    "extract_source_features": (2500, 0.1 * 60, 4),
}


@PRESETS
@pytest.mark.parametrize("rule", NEEDED)
def test_a_cluster_is_asked_for_more_than_was_measured(plan, name, source, rule):
    asked = re.findall(rf"(?s)\nrule {rule}:\n.*?\n +resources: (.*?)\n", plan(name, source))
    memory, minutes, workers = NEEDED[rule]
    assert asked
    for line in asked:
        found = dict(word.split("=") for word in line.split(", "))
        assert int(found["mem_mb"]) > 2 * memory
        assert int(found["runtime"]) > 2 * minutes
        assert int(found["cpus_per_task"]) > workers
        assert int(found["gpu"]) == 1


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


def test_the_demo_s_data_are_no_smaller_than_promised():
    data = preset("demo")["demo_data"]
    assert (data["width"], data["height"]) == (256, 128)
    images = [data[f"{name}_images"] for name in ("source", "target_train", "target_tune")]
    assert [*images, data["target_val_images"]] == [600, 400, 100, 100]
    assert preset("demo-long")["demo_data"] == data
