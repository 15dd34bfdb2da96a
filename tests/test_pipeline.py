"""Whole runs of the workflow on a tiny pair of domains, as a user starts them."""

import hashlib
import json
import os
import re
import shlex
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

from tiny import example, make_tiny

REPOSITORY = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
WARMUP = "results/demo/seed-0/warmup-adaptseg"
ROUND = f"{WARMUP}/runs/mada-K3-b25pct/round-0"
M4 = f"{ROUND}/evaluation/val/M4-V2.json"
SUMMARY = "warmup-adaptseg/mada-K3-b25pct-V2"
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
    "adapt": {"iterations": 3, "pseudo_source": "fixed"},
    "inference_threads": 1,
    "loader_workers": 0,
    "save_every": 2,
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


def command(*arguments: str, configfiles: tuple[str, ...] = ("tiny.yaml",)) -> list[str]:
    files = ["--configfile", *configfiles] if configfiles else []
    return [*SNAKEMAKE, "--cores", "2", *arguments, *files]


def environment() -> dict[str, str]:
    """The rules call `python`: the one that runs the tests."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def snakemake(folder: Path, *arguments: str, **files) -> subprocess.CompletedProcess:
    words = command(*arguments, **files)
    return subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)


def planned(folder: Path, *arguments: str) -> set[str]:
    """Names of the rules that a dry run would run, those of the targets left out."""
    result = snakemake(folder, "-n", *arguments)
    assert result.returncode == 0, result.stderr + result.stdout
    lines = (result.stdout + result.stderr).splitlines()
    found = {
        line.split()[1].rstrip(":") for line in lines if line.startswith(("rule ", "localrule "))
    }
    return found - {"all", "select", "M0", "M1", "M1plus", "M2", "M3", "M4", "Mu", "replicates"}


def refusal(folder: Path, *arguments: str, **files) -> str:
    """What a dry run that fails says."""
    result = snakemake(folder, "-n", *arguments, **files)
    assert result.returncode != 0
    return result.stdout + result.stderr


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
    table = pd.read_csv(finished / f"results/demo/tables/{SUMMARY}/ladder.csv")
    assert table["variant"].tolist() == ["M0", "M1", "M1+", "M2", "M3", "M4"]
    assert table["iterations"].tolist() == [4, 7, 10, 10, 10, 10]
    assert table["miou"].between(0, 100).all()
    for name in ("panels", "selection", "histories", "features", "classes", "confusion"):
        Image.open(finished / f"results/demo/figures/{SUMMARY}/{name}.png").verify()


def test_every_job_leaves_its_log_and_what_it_took(finished):
    result = snakemake(finished, "-n", "--forceall")
    jobs = re.findall(r"rule \w+:\n(?:    .*\n)+", result.stdout)
    assert len(jobs) > 30
    for job in jobs:
        if "    output:" in job:
            for kind in ("log", "benchmark"):
                name = re.search(rf"^    {kind}: (\S+)$", job, re.M)[1]
                assert (finished / name).is_file(), job


def test_a_default_run_ends_with_the_table_and_what_to_open(finished):
    told = snakemake(finished).stderr
    table = (finished / f"results/demo/tables/{SUMMARY}/ladder.md").read_text()
    page = (finished / "results/demo/report.html").resolve()
    assert f"{table}\nOpen {page}\n" in told[told.index("Nothing to be done") :]
    assert f"ready for print, are in {finished.resolve()}/results/demo/figures/{SUMMARY}/" in told
    assert "Open " not in snakemake(finished, "M1").stderr  # which makes no table


def test_a_study_adds_what_is_not_there_yet_and_ends_with_its_table(finished):
    words = ("anchors", "--config", "study_anchors=[3]", "report_seeds=[0]")
    adapted = {"cluster_target_anchors", "adapt", "evaluate"}  # V = 3; K = 3 has been trained
    written = {"check_study", "tabulate_sweep", "add_up_benchmarks"}
    assert planned(finished, *words) - {"anchors"} == adapted | written
    told = snakemake(finished, *words).stderr
    table = finished.resolve() / f"results/demo/tables/{SUMMARY}/anchors.md"
    assert told.endswith(f"\n{table.read_text()}\nOpen {table.with_suffix('.png')}\n")


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


def test_a_second_run_has_nothing_to_do_wherever_the_checkout_lies(finished):
    assert planned(finished) == set()
    moved = finished.rename(finished.with_name("moved"))
    try:
        assert planned(moved) == set()
    finally:
        moved.rename(finished)


REPORT = {"tabulate_scores", "plot_panels", "plot_history", "plot_classes", "plot_confusion"}
REPORT |= {"write_report"}
FROM_TARGET_ANCHORS = {"cluster_target_anchors", "adapt", "evaluate"} | REPORT
FROM_TARGET_ANCHORS |= {"plot_selection", "plot_features"}
FROM_MANIFEST = FROM_TARGET_ANCHORS | {
    "describe_selection",
    *("write_manifest", "collect_annotations", "finetune", "continue_finetuning"),
    *("extract_adapted_features", "pseudo_label"),
}
FROM_ANCHORS = FROM_MANIFEST | {"cluster_source_anchors", "rank_targets"}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("target_anchors=4", FROM_TARGET_ANCHORS),
        ("budget=50%", FROM_MANIFEST),
        ("source_anchors=4", FROM_ANCHORS),
        ("strategy=nearest", FROM_MANIFEST | {"rank_targets"}),
        ("loader_workers=2", set()),
        ("save_every=0", set()),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it_and_nothing_else(finished, setting, expected):
    assert planned(finished, "--config", setting) == expected


def test_a_setting_of_one_variant_reruns_that_variant_alone(finished):
    (finished / "changed.yaml").write_text("adapt: {pseudo_weight: 0.5}\n")
    result = snakemake(finished, "-n", configfiles=("tiny.yaml", "changed.yaml"))
    assert result.returncode == 0, result.stderr
    adapted = [line for line in result.stdout.splitlines() if "rung=" in line]
    assert len(adapted) == 1 and "rung=M4" in adapted[0]
    assert "M3-V2" not in "".join(li for li in result.stdout.splitlines() if "variant=" in li)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("rank_targets.py", FROM_MANIFEST | {"rank_targets"}),
        ("mada/distances.py", FROM_ANCHORS),
        ("adapt.py", {"adapt", "continue_finetuning", "evaluate"} | REPORT),
        ("check_settings.py", set()),
        ("mada/strategies/mada.py", FROM_MANIFEST | {"rank_targets"}),
        ("mada/strategies/nearest.py", set()),
    ],
)
def test_an_edited_file_reruns_its_importers_and_what_follows(finished, file, expected):
    edited = finished / "steps" / file
    before = edited.read_text()
    edited.write_text(before + "# edited\n")
    try:
        assert planned(finished) == expected
    finally:
        edited.write_text(before)


def test_a_touched_or_unrelated_file_reruns_nothing(finished):
    (finished / "README.md").write_text("unrelated\n")
    (finished / "steps/mada/unrelated.py").write_text("unrelated = True\n")
    for file in (finished / "steps").rglob("*.py"):
        file.touch()
    assert planned(finished) == set()


def test_each_variant_is_called_with_the_settings_it_reads(finished):
    result = snakemake(finished, "-n", "-p", "--forcerun", "adapt", "continue_finetuning")
    text = result.stdout.replace("\\\n", " ")
    commands = [line for line in text.splitlines() if "steps/adapt.py" in line and "--var" in line]
    names = ("unlabelled", "anchors", "alignment-weight", "ema-decay", "pseudo-labels")
    names += ("pseudo-weight", "pseudo-source", "pseudo-threshold")
    found = {}
    for command in commands:
        words = command.split()
        found[words[words.index("--variant") + 1]] = {n for n in names if f"--{n}" in words}
    assert found == {
        "M1+": set(),
        "M2": set(names[:3]),
        "M3": set(names[:4]),
        "M4": set(names),
    }


def test_online_pseudo_labels_need_no_pseudo_label_job(finished):
    (finished / "changed.yaml").write_text("adapt: {pseudo_source: online}\n")
    files = ("tiny.yaml", "changed.yaml")
    result = snakemake(finished, "-n", "--forceall", M4, configfiles=files)
    assert "rule adapt:" in result.stdout
    assert "rule pseudo_label:" not in result.stdout


def test_every_variant_is_a_target(finished):
    assert planned(finished, "M0", "M1", "M1plus", "M2", "M3", "M4") == set()
    hand_off = {"pre_annotate", "write_bundle", "estimate_cost"}
    assert planned(finished, "select") == hand_off
    again = planned(finished, "Mu")
    assert {"write_manifest", "finetune", "continue_finetuning", "evaluate"} <= again
    assert not again & {"warmup", "adapt"}


def test_without_validation_labels_all_but_the_scores_is_made_and_said(finished):
    settings = ("validation_split=false", "tuning_split=false", "variants=[]", "target_anchors=1")
    result = snakemake(finished, "--config", *settings)
    assert result.returncode == 0, result.stderr[-6000:]
    assert "No scores: validation_split is false" in result.stderr
    figures = finished / f"results/demo/figures/{SUMMARY[:-1]}1"
    names = ["features.png", "histories.png", "selection.png"]
    assert sorted(path.name for path in figures.iterdir()) == names
    assert "No scores" in (finished / "results/demo/report.html").read_text(encoding="utf-8")
    assert not (finished / f"results/demo/tables/{SUMMARY[:-1]}1").exists()
    assert snakemake(finished).returncode == 0  # the one report tells of the last run
    assert "No scores" not in (finished / "results/demo/report.html").read_text(encoding="utf-8")


def test_snakemakes_own_report_holds_the_table_and_the_pictures_with_captions(finished):
    result = snakemake(finished, "--report", "snakemake-report.html")
    assert result.returncode == 0, result.stderr[-6000:]
    text = (finished / "snakemake-report.html").read_text(encoding="utf-8")
    for name in ("selection", "features", "panels", "classes", "confusion", "histories"):
        assert f"Adding {name}.png" in result.stderr
    assert "Adding ladder.csv" in result.stderr
    for category in ("Selection", "Scores", "Predictions", "Training"):
        assert f'"{category}"' in text
    for file in (finished / "workflow/report").glob("*.rst"):
        assert file.read_text().split()[0] in text
    assert "Rings mark the selected images" in text


def test_folders_with_spaces_work(tmp_path):
    folder = make_project(tmp_path / "a checkout", target_root="data/two words")
    (folder / "data/cityscapes").rename(folder / "data/two words")
    result = snakemake(folder, "results/demo/index/target_train.csv")
    assert result.returncode == 0, result.stderr[-6000:]
    index = pd.read_csv(folder / "results/demo/index/target_train.csv")
    assert index["image"].str.startswith("data/two words/leftImg8bit/train/").all()


def differing(found: dict[str, str], reference: dict[str, str]) -> set[str]:
    """Names of the results found that the reference lacks or has with other bytes."""
    return {name for name in found if found[name] != reference.get(name)}


@pytest.mark.heavy
@pytest.mark.parametrize("pseudo_source", ["fixed", "online"])
def test_labels_outside_the_manifest_are_never_read_and_a_rerun_gives_the_same_bytes(
    finished, tmp_path, pseudo_source
):
    adapt = SETTINGS["adapt"] | {"pseudo_source": pseudo_source}
    folder = make_project(tmp_path / "garbage", loader_workers=1, save_every=0, adapt=adapt)
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
    changed = differing(found, reference)
    assert all("M4" in name for name in changed)
    assert bool(changed) == (pseudo_source == "online")  # only fixed ones are the reference's


@pytest.mark.heavy
def test_two_runs_on_two_threads_in_half_precision_give_the_same_bytes(tmp_path):
    training = SETTINGS["training"] | {"precision": "bf16"}
    runs = [
        make_project(tmp_path / name, training=training, inference_threads=2)
        for name in ("first", "again")
    ]
    for folder in runs:
        result = snakemake(folder)
        assert result.returncode == 0, result.stderr[-6000:]
    first, again = (checksums(folder) for folder in runs)
    assert {Path(name).suffix for name in first} >= {".pt", ".npy", ".csv", ".json", ".png"}
    assert first.keys() == again.keys()
    assert all("cost" in name for name in differing(first, again))  # what trainings took


@pytest.mark.heavy
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
    result = snakemake(folder, f"{WARMUP}/model.pt")
    assert result.returncode == 0, result.stderr[-6000:]
    reference, found = checksums(finished), checksums(folder)
    assert f"{WARMUP}/model.pt".removeprefix("results/") in found
    assert not differing(found, reference)


def test_every_training_waits_for_the_files_of_every_split_to_be_checked(finished):
    result = snakemake(finished, "-n", "-p", "--forceall", "replicates", "Mu")
    text = result.stdout.replace("\\\n", " ")
    (check,) = (li for li in text.splitlines() if "index_dataset.py" in li and "_train.csv" in li)
    words = check.split()
    assert words[words.index("--check-splits") + 1 :][:2] == ["tune", "val"]
    jobs = [job for job in text.split("\n\n") if re.search(r"rule (warmup|finetune|adapt):", job)]
    names = [re.search(r"rule (\w+):", job)[1] for job in jobs]
    assert set(names) == {"warmup", "finetune", "adapt"} and names.count("warmup") == 3
    assert all("results/demo/index/target_train.csv" in job for job in jobs)


def test_labels_checked_anew_train_nothing_anew(finished):
    again = planned(finished, "--forcerun", "results/demo/index/target_val.csv")
    assert {"index_target", "evaluate", "evaluate_warmup"} <= again
    assert not again & {"check_settings", "warmup", "finetune", "adapt", "rank_targets"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("seeds=[1]", "source_anchors=13"), "source_anchors: expected at most the 12 images"),
        (("target_anchors=13",), "target_anchors: expected at most the 12 images of the target"),
        (("seeds=[1]", "budget=13"), "budget: expected 1 to 12 images, found 13"),
        (("rounds=[6,7]",), "rounds: expected 1 to 12 images, found 13"),
    ],
)
def test_numbers_changed_after_a_run_are_refused_before_any_job(finished, words, message):
    told = refusal(finished, "--config", *words)
    assert message in told
    assert "remove results/demo/index and run again" in told


def test_a_study_of_more_anchors_than_images_is_refused_before_any_job(finished):
    told = refusal(finished, "anchors", "--config", "study_anchors=[3,13]", "report_seeds=[0]")
    assert "source_anchors: expected at most the 12 images of the source, found 13" in told


def test_the_folder_of_another_preset_is_refused_by_name(finished):
    text = refusal(finished, "results/other/index/source.csv")
    assert "results/other/" in text
    assert "preset demo is loaded" in text


def test_settings_that_cannot_be_used_are_all_named_before_any_job(finished):
    settings = ("bugdet=5%", "training={crop: 64x32}", "source_root=/nowhere", "strategy=best")
    text = refusal(finished, "--config", *settings)
    for message in (
        "bugdet: no such setting",
        "training: expected nested settings in a file given with --configfile",
        "source_root: expected a folder, found none at /nowhere",
        "strategy: 'best' is not one of",
    ):
        assert message in text


def test_a_preset_that_is_not_there_is_named_with_those_that_are(finished):
    text = refusal(finished, "--config", "preset=camvit")
    assert "preset: expected one of" in text
    assert "'demo-to-camvid'" in text and "found 'camvit'" in text


def test_config_yaml_wins_over_the_preset_and_the_command_line_over_both(finished):
    config = (finished / "config.yaml").read_text()
    (finished / "config.yaml").write_text(f"{config}\ntarget_root: /nowhere\n")
    try:
        assert "found none at /nowhere" in refusal(finished, configfiles=())
        setting = ("--config", "target_root=/elsewhere")
        assert "found none at /elsewhere" in refusal(finished, *setting, configfiles=())
    finally:
        (finished / "config.yaml").write_text(config)


def test_select_ends_with_the_manifest_and_its_bundle(finished):
    result = snakemake(finished, "select")
    assert result.returncode == 0, result.stderr[-6000:]
    bundle = finished / ROUND / "bundle"
    assert len(list((bundle / "images").glob("*.png"))) == 3
    assert (bundle / "README.txt").is_file()
    assert "images handed out | 3" in (finished / ROUND / "cost/handed-out.md").read_text()


@pytest.mark.heavy
def test_a_checkpoint_of_ones_own_takes_the_place_of_the_warmup(finished):
    settings = ("--config", "warmup_method=checkpoint", f"warmup_checkpoint={WARMUP}/model.pt")
    names = planned(finished, *settings)
    assert {"adopt_checkpoint", "evaluate_warmup", "adapt", "plot_history"} <= names
    assert not names & {"warmup", "index_source", "check_settings"}
    result = snakemake(finished, "select", *settings)
    assert result.returncode == 0, result.stderr[-6000:]
    own = finished / WARMUP.replace("adaptseg", "checkpoint")
    ranking = (finished / WARMUP / "select/mada-K3/ranking.csv").read_text()
    assert (own / "select/mada-K3/ranking.csv").read_text() == ranking


def test_files_of_ones_own_may_lie_among_results(finished):
    """What they are called is not what some rule makes."""
    checkpoint = "results/other/seed-0/model.pt"
    (finished / checkpoint).parent.mkdir(parents=True)
    (finished / checkpoint).touch()
    own = ("--config", "warmup_method=checkpoint", f"warmup_checkpoint={checkpoint}")
    assert planned(finished, "M0", *own) == {"adopt_checkpoint", "evaluate_warmup"}
    images = finished / "results/other/photographs"
    images.mkdir()
    for name in ("one.png", "two {three}.png"):
        (images / name).touch()
    chosen = ("--config", "predict_images=results/other/photographs")
    assert planned(finished, "predict", *chosen) == {"predict", "predict_images"}


def test_what_cannot_be_made_is_refused_before_any_training(finished):
    (finished / "empty").mkdir()
    refused = refusal(finished, "predict", "--config", "predict_images=empty")
    assert "predict_images: expected images below empty, found none" in refused
    all_labelled = ("--config", "strategy=all", "variants=[M1+]", "predict_images=data")
    for target in ("M4", "predict", "export"):
        expected = "M4 needs images without label, all are to be labelled"
        assert expected in refusal(finished, target, *all_labelled)


def test_several_gpus_start_as_many_processes_and_rerun_nothing(finished):
    assert planned(finished, "--config", "gpus=2") == set()
    result = snakemake(finished, "-n", "-p", "--forcerun", "warmup", "--config", "gpus=2")
    launcher = "exec python -m torch.distributed.run --standalone --nproc-per-node=2 "
    launched = [
        line.strip().removeprefix(launcher).split()[0]
        for line in result.stdout.splitlines()
        if line.strip().startswith(launcher)
    ]
    assert sorted(launched) == [*["steps/adapt.py"] * 4, "steps/finetune.py", "steps/warmup.py"]
    assert "gpu=2" in result.stdout


@pytest.mark.parametrize("method", ["minent", "clan"])
def test_every_warmup_method_has_its_place_and_its_files(finished, method):
    names = planned(finished, "M4", "--config", f"warmup_method={method}", "variants=[M4]")
    assert ("warmup" in names) == (method == "clan")
    assert ("warmup_without_discriminator" in names) == (method == "minent")
    assert not names & {"index_source", "index_target"}


BRIGHTEST = example("@strategy")


def test_a_strategy_of_ones_own_is_one_more_file(finished):
    file = finished / "steps/mada/strategies/brightest.py"
    manifest = f"{WARMUP}/runs/brightest-K3-b25pct/round-0/manifest.csv"
    assert "strategy: 'brightest' is not one of" in refusal(
        finished, "--config", "strategy=brightest"
    )
    file.write_text(BRIGHTEST)
    try:
        assert planned(finished) == set()
        chosen = ("--config", "strategy=brightest")
        assert planned(finished, manifest, *chosen) == {"rank_targets", "write_manifest"}
        result = snakemake(finished, manifest, *chosen)
        assert result.returncode == 0, result.stderr[-6000:]
        sums = np.load(finished / WARMUP / "features/target_train.npy").sum(axis=1)
        ids = pd.read_csv(finished / WARMUP / "features/target_train.csv")["id"]
        expected = ids[np.argsort(-sums)].tolist()[:3]
        assert pd.read_csv(finished / manifest)["image_id"].tolist() == expected
        file.write_text(BRIGHTEST + "# edited\n")
        assert planned(finished, manifest, *chosen) == {"rank_targets", "write_manifest"}
    finally:
        file.unlink()


def test_a_strategy_that_chooses_a_set_ranks_for_each_budget_and_is_measured(finished):
    measures = f"{WARMUP}/runs/target-medoids-K3-b25pct/round-0/selection.json"
    steps = {"choose_targets", "write_manifest", "measure_selection"}
    assert planned(finished, measures) == steps
    result = snakemake(finished, measures)
    assert result.returncode == 0, result.stderr[-6000:]
    found = json.loads((finished / measures).read_text())
    assert (found["images"], found["picks"]) == (12, 3)
    ranking = pd.read_csv(finished / WARMUP / "select/target-medoids-K3-b25pct/ranking.csv")
    manifest = pd.read_csv(finished / measures.replace("selection.json", "manifest.csv"))
    assert manifest["image_id"].tolist() == ranking["image_id"].tolist()[:3]
    assert planned(finished, measures.replace("b25pct", "b50pct")) == steps
    assert planned(finished, measures) == set()


@pytest.mark.parametrize("run", ["mada-K3-b4", "coreset-K0-b4"])
def test_lists_of_ids_reach_the_manifest(finished, run):
    ids = pd.read_csv(finished / "results/demo/index/target_train.csv")["id"]
    lists = {"exclude": ids[:5], "include": ids[9:11]}
    for name, listed in lists.items():
        (finished / f"{name}.txt").write_text("\n".join(listed))
    manifest = f"{WARMUP}/runs/{run}/round-0/manifest.csv"
    result = snakemake(finished, manifest, "--config", "exclude=exclude.txt", "include=include.txt")
    assert result.returncode == 0, result.stderr[-6000:]
    chosen = set(pd.read_csv(finished / manifest)["image_id"])
    assert len(chosen) == 4 and chosen >= set(lists["include"]) and chosen <= set(ids[5:])
    assert "write_manifest" in planned(finished, manifest, "--config", "exclude=exclude.txt")


def test_the_single_centroid_has_an_anchor_of_its_own(finished):
    result = snakemake(finished, "-n", "M1", "--config", "strategy=single-centroid")
    assert result.returncode == 0, result.stderr
    assert "select/single-centroid-K1/ranking.csv" in result.stdout
    assert "anchors/source-K1.npy" in result.stdout


@pytest.mark.heavy
def test_a_round_that_is_appended_labels_other_images_and_leaves_the_first_as_it_is(finished):
    """The first round is the run of one round with its budget; the second goes on from its M1."""
    before = checksums(finished)
    rounds = ("M4", "--config", "rounds=[25%,2]", "variants=[M4]")
    names = planned(finished, *rounds)
    assert {"extract_source_features_again", "rank_targets_again", "finetune"} <= names
    assert not names & {"warmup", "extract_target_features", "rank_targets", "pre_annotate"}
    result = snakemake(finished, *rounds)
    assert result.returncode == 0, result.stderr[-6000:]
    after = checksums(finished)
    assert {name: after[name] for name in before} == before
    second = finished / WARMUP / "runs/mada-K3-b25pct+2/round-1"
    ids = [set(pd.read_csv(run / "manifest.csv")["image_id"]) for run in (finished / ROUND, second)]
    assert [len(each) for each in ids] == [3, 2] and not ids[0] & ids[1]
    ranking = pd.read_csv(second / "ranking.csv")
    free = ranking[~ranking["image_id"].isin(ids[0])]
    assert set(free["image_id"][:2]) == ids[1]  # the next in the order of the newest features
    pseudo = set(pd.read_csv(second / "pseudo_labels/index.csv")["id"])
    assert len(pseudo) == 7 and not pseudo & (ids[0] | ids[1])
    assert planned(finished, *rounds) == set()


def planned_commands(folder: Path, *arguments: str, **files) -> list[list[str]]:
    """The words of every command that a dry run would run, one list a step."""
    result = snakemake(folder, "-n", "--printshellcmds", *arguments, **files)
    assert result.returncode == 0, result.stderr + result.stdout
    text = (result.stdout + result.stderr).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if "steps/" in line and " --" in line]


def value_of(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def runs_planned(folder: Path, *arguments: str) -> list[str]:
    """Folders of the runs that a dry run would fine-tune, one for each seed."""
    commands = planned_commands(folder, *arguments)
    starts = [each for each in commands if "steps/finetune.py" in each]
    return sorted(Path(value_of(each, "--output")).parts[5] for each in starts)


def test_the_number_of_anchors_reruns_no_comparison_that_does_not_look_at_them(finished):
    assert runs_planned(finished, "--config", "source_anchors=2", "compare=[random]") == [
        "mada-K2-b25pct",
        "random-K0-b25pct",  # for the first time
    ]
    before = runs_planned(finished, "--config", "compare=[random]")
    assert before == ["random-K0-b25pct"]  # and once for all numbers


def test_the_last_rung_is_that_of_the_ladder_however_they_are_written(finished):
    assert planned(finished, "--config", "variants=[M4,M3,M2,M1+]") == set()
