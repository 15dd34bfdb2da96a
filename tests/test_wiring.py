"""Every setting arrives at the steps that read it, and at no other: dry runs in which each has a
value that nothing else has."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from test_pipeline import make_project, planned_commands, snakemake, value_of
from test_settings import SCHEMA

SETTINGS = {
    "classes": "mine",
    "class_table": [
        {"name": "road {wet}", "ids": [7], "colour": [1, 2, 3], "cityscapes": ["road"]},
        {"name": "sky", "ids": [9], "colour": [4, 5, 6]},
    ],
    "void_ids": [13],
    **{"source_layout": "folder", "target_layout": "folder"},
    **{"source_root": "data/gta5", "target_root": "data/cityscapes"},
    **{"source_image_glob": "{split}/a/*.jpg", "source_label_glob": "{split}/b/*.png"},
    **{"target_image_glob": "{split}/c/*.jpg", "target_label_glob": "{split}/d/*.png"},
    **{"source_size": "111x77", "target_size": "112x78"},
    **{"skip_mismatched_labels": True, "tuning_split": True},
    "paper_results": "synthia-to-cityscapes",
    **{"mask_rule": "label", "distance": "masked"},
    **{"exclude": "-never.txt", "include": "must.txt", "budget": 5, "compare": ["masked-cover"]},
    "upper_bound": True,
    **{"source_anchors": 6, "target_anchors": 7, "extract_shards": 2},
    **{"final_variant": "M3", "predict_images": "photographs {all}"},
    **{"predict_window": "40x30", "predict_overlap": 0.25},
    "network": {
        **{"backbone": "resnet34", "feature_channels": 24},
        **{"output_stride": 16, "weights": "IMAGENET1K_V1"},
    },
    "training": {
        **{"crop": "33x22", "resize_range": [0.6, 1.7], "flip": False, "batch_size": 6},
        "colour_jitter": 0.45,
        **{"momentum": 0.81, "weight_decay": 0.003, "power": 0.7, "precision": "bf16"},
        **{"accumulate": 3, "batch_norm": "frozen", "compile": True, "tune_every": 5},
    },
    "warmup": {
        **{"iterations": 101, "learning_rate": 0.011, "adversarial_weight": 0.012},
        **{"entropy_weight": 0.013, "discriminator_learning_rate": 0.014},
        "source_only_iterations": 15,
    },
    "finetune": {"iterations": 201, "learning_rate": 0.021},
    "adapt": {
        **{"iterations": 301, "learning_rate": 0.031, "alignment_weight": 0.32},
        **{"pseudo_weight": 0.33, "ema_decay": 0.34, "pseudo_threshold": 0.35},
        "pseudo_source": "fixed",
    },
    **{"inference_threads": 3, "training_threads": 4, "loader_workers": 3, "save_every": 17},
    **{"device": "cpu", "memory_scale": 2, "runtime_scale": 3},
}
MANUAL = {
    **{"annotation_mode": "manual", "annotation_root": "work", "annotation_tools": ["cvat"]},
    **{"annotation_threshold": 0.65, "annotation_minutes_per_image": 12.5},
    **{"annotation_values": "train-ids", "annotation_allow_partial": True},
    **{"annotation_check_swaps": False, "annotation_max_void": 0.2, "annotation_holdout": 0.3},
    **{"validation_split": False, "warmup_method": "minent", "variants": ["M4"]},
    "adapt": SETTINGS["adapt"] | {"pseudo_source": "online"},
}
# Other tests run these with other values than the defaults.
ELSEWHERE = {"preset", "seeds", "report_seeds", "strategy", "rounds", "gpus"}
ELSEWHERE |= {"study_strategies", "study_budgets", "study_anchors", "warmup_checkpoint"}
ELSEWHERE |= {"demo_data", "container_image"}
SECTIONS = ("network", "training", "warmup", "finetune", "adapt")

NETWORK = {"--batch-size": "6", "--precision": "bf16", "--device": "cpu", "--loader-workers": "3"}
INFERENCE = NETWORK | {"--threads": "3"}
TRAINING = {
    **{"--source-encoding": "own-ids", "--source-size": "111x77", "--target-size": "112x78"},
    **{"--crop": "33x22", "--resize-range": "0.6 1.7", "--no-flip": "", "--momentum": "0.81"},
    **{"--colour-jitter": "0.45", "--weight-decay": "0.003", "--power": "0.7", "--accumulate": "3"},
    **{"--batch-norm": "frozen", "--compile": "", "--tune-every": "5", "--tune-size": "112x78"},
    **{"--tune-encoding": "own-ids", "--save-every": "17", "--seed": "0"},
}
WARMUP = NETWORK | TRAINING | {"--threads": "3", "--iterations": "101", "--learning-rate": "0.011"}
BUILT = {"--backbone": "resnet34", "--feature-channels": "24", "--output-stride": "16"}
BUILT |= {"--weights": "IMAGENET1K_V1"}
ALONE = {"--source-only-iterations": "15"}
ADVERSARIAL = ALONE | {"--method": "adaptseg", "--adversarial-weight": "0.012"}
ADVERSARIAL |= {"--discriminator-learning-rate": "0.014"}
MINENT = ALONE | {"--method": "minent", "--entropy-weight": "0.013"}
FINETUNE = NETWORK | TRAINING | {"--threads": "4"}
FINETUNE |= {"--iterations": "201", "--learning-rate": "0.021"}
M1_PLUS = FINETUNE | {"--variant": "M1+", "--iterations": "301", "--learning-rate": "0.031"}
M2 = M1_PLUS | {"--variant": "M2", "--alignment-weight": "0.32"}
M3 = M2 | {"--variant": "M3", "--ema-decay": "0.34"}
M4 = M3 | {"--variant": "M4", "--pseudo-weight": "0.33", "--pseudo-threshold": "0.35"}
LISTS = {"--exclude=-never.txt": "", "--include": "must.txt"}
SOURCE = {
    **{"--layout": "folder", "--root": "data/gta5", "--split": "train", "--labels": "required"},
    **{"--image-glob": "{split}/a/*.jpg", "--label-glob": "{split}/b/*.png"},
    "--skip-mismatched-labels": "",
}
TARGET = {"--layout": "folder", "--root": "data/cityscapes"}
TARGET |= {"--image-glob": "{split}/c/*.jpg", "--label-glob": "{split}/d/*.png"}
CHECKED = {"--strategies": "mada masked-cover", "--budget": "5", "--unlabelled-for": "M2 M3 M4"}
CHECKED |= {"--holdout": "0"}
CHECKED |= {"--source-anchors": "6", "--target-anchors": "7"} | LISTS
RANKED = {"--seed": "0", "--threads": "3"}
BY_ANCHORS = RANKED | {"--distance": "masked"}
SHARDS = ({"--shard": "1-of-2"}, {"--shard": "2-of-2"})
FEATURES = INFERENCE | {"--images-size": "112x78"}
SOURCE_FEATURES = INFERENCE | {"--images-size": "111x77", "--images-encoding": "own-ids"}
SOURCE_FEATURES |= {"--truth": "label"}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("wiring"), **SETTINGS)
    (folder / "manual.yaml").write_text(yaml.safe_dump(MANUAL))
    (folder / "photographs {all}").mkdir()
    (folder / "photographs {all}/one.png").touch()
    for name in ("-never.txt", "must.txt"):
        (folder / name).touch()
    return folder


def by_step(commands: list[list[str]]) -> dict[str, list[dict[str, str]]]:
    """Flags and values of every command of each step, those left out that name files of the run."""
    found: dict[str, list[dict[str, str]]] = {}
    for words in commands:
        start = next(n for n, word in enumerate(words) if word.startswith("steps/"))
        flags: dict[str, list[str]] = {}
        for word in words[start + 1 :]:
            if word.startswith(">"):
                break
            if word.startswith("--"):
                flag = word
                flags[flag] = []
            else:
                flags[flag].append(word)
        kept = {
            name: " ".join(values)
            for name, values in flags.items()
            if not any(value.startswith(("results/", "logs/")) for value in values)
        }
        found.setdefault(Path(words[start]).stem, []).append(kept)
    return found


def as_set(calls: Iterable[dict[str, str]]) -> set[frozenset[tuple[str, str]]]:
    """Calls to compare in any order, equal ones as one."""
    return {frozenset(flags.items()) for flags in calls}


@pytest.fixture(scope="module")
def calls(project) -> dict[str, list[dict[str, str]]]:
    return by_step(planned_commands(project, "all", "predict", "export"))


def named(tree: dict) -> dict:
    """What stands for each setting, those of sections with the section's name."""
    inner = {f"{n}.{name}": value for n in SECTIONS for name, value in tree[n].items()}
    return {name: value for name, value in tree.items() if name not in SECTIONS} | inner


def test_every_setting_has_a_value_here_that_is_not_its_default():
    entries = SCHEMA["properties"]
    entries = named(entries | {name: entries[name]["properties"] for name in SECTIONS})
    defaults = {name: entry.get("default") for name, entry in entries.items()}
    given = defaults | named(SETTINGS | MANUAL)
    assert {name for name in entries if given[name] == defaults[name]} <= ELSEWHERE


STEPS = {
    "write_classes": [
        {"--table": json.dumps(SETTINGS["class_table"], sort_keys=True), "--void-ids": "13"}
    ],
    "index_dataset": [
        SOURCE | {"--workers": "2"},
        TARGET
        | {"--workers": "2", "--split": "train", "--labels": "none"}
        | {"--check-splits": "tune val"},
        TARGET | {"--workers": "2", "--split": "val", "--labels": "required"},
        TARGET | {"--workers": "2", "--split": "tune", "--labels": "required"},
    ],
    "check_settings": [CHECKED],
    "warmup": [WARMUP | BUILT | ADVERSARIAL],
    "extract_features": [
        which | shard for which in (SOURCE_FEATURES, FEATURES) for shard in SHARDS
    ],
    "cluster_anchors": [RANKED | {"--count": "6"}, RANKED | {"--count": "7"}],
    "rank_targets": [
        BY_ANCHORS | {"--strategy": "mada"},
        BY_ANCHORS | LISTS | {"--strategy": "masked-cover", "--budget": "5"},
        RANKED | {"--strategy": "all"},
    ],
    "write_manifest": [LISTS | {"--budget": "5"}, LISTS | {"--budget": "100%"}],
    "collect_annotations": [TARGET],
    "finetune": [FINETUNE],
    "pseudo_label": [FEATURES | {"--threshold": "0.35"}],
    "adapt": [M1_PLUS, M2, M3, M4 | {"--pseudo-source": "fixed"}],
    "evaluate": [FEATURES | {"--images-encoding": "own-ids"}],
    "describe_selection": [{"--strategy": "mada", "--distance": "masked", "--threads": "3"}],
    "predict": [
        INFERENCE
        | {"--images": "photographs {all}", "--images-size": "own"}
        | {"--window": "40x30", "--overlap": "0.25"}
    ],
}


@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_step_is_called_with_the_settings_that_it_reads(calls, step):
    assert as_set(calls[step]) == as_set(STEPS[step])


def test_tables_and_the_exported_model_follow_the_settings(calls):
    (table,) = calls["tabulate_scores"]
    assert (table["--paper"], table["--budget"]) == ("synthia-to-cityscapes", "5")
    (exported,) = calls["export_onnx"]
    assert exported["--variant"] == "M3-V7"


def test_jobs_ask_for_memory_and_time_by_their_scales(project):
    result = snakemake(project, "-n", "M0")
    (job,) = (text for text in result.stdout.split("rule ") if text.startswith("warmup:"))
    assert "mem_mb=6000," in job and "runtime=90," in job


def test_with_people_a_step_is_called_with_the_settings_that_it_reads(project):
    run = "demo/seed-0/warmup-minent/mada-K6-b5/round-0"
    files = {"configfiles": ("tiny.yaml", "manual.yaml")}
    asked = planned_commands(project, "select", **files)
    (handed,) = (words for words in asked if "steps/hand_over.py" in words)
    assert value_of(handed, "--folder") == f"work/{run}"
    asked = by_step(asked)
    assert as_set(asked["warmup"]) == as_set([WARMUP | BUILT | MINENT])
    assert as_set(asked["pseudo_label"]) == as_set([FEATURES | {"--threshold": "0.65"}])
    assert as_set(asked["write_bundle"]) == as_set([{"--tools": "cvat"}])
    cost = {"--minutes-per-image": "12.5"}
    assert as_set(asked["annotation_cost"]) == as_set([cost])
    (project / "work" / run / "returned").mkdir(parents=True)
    (project / "work" / run / "returned/one {two}.png").touch()
    after = by_step(planned_commands(project, "all", **files))
    (returned,) = after["collect_returned"]
    assert returned == {
        **{"--returned": f"work/{run}/returned", "--values": "train-ids"},
        **{"--allow-partial": "", "--no-check-swaps": "", "--max-void": "0.2"},
        "--holdout": "0.3",
    }
    assert as_set(after["annotation_cost"]) == as_set([cost])
    assert as_set(after["adapt"]) == as_set([M4 | {"--pseudo-source": "online"}])
    # Held-out annotations lie in training ids, whatever the data set's labels hold.
    assert as_set(after["evaluate"]) == as_set([FEATURES | {"--images-encoding": "train-ids"}])
