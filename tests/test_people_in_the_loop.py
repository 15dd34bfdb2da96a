"""Runs that stop for people and go on with their work, as the README tells."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import yaml
from PIL import Image

from handed import label_studio_tasks, write_cvat, zipped
from mada.annotation.classes import annotation_classes
from mada.labels import VOID, train_id_table
from test_pipeline import REPOSITORY, SETTINGS, environment, make_project

# All of them need the section walked once, three minutes on a slow core.
pytestmark = pytest.mark.heavy

PRESET = "own-photographs"
RUN = f"results/{PRESET}/seed-0/warmup-adaptseg/runs/mada-K10-b8/round-0"
PLACE = f"annotations/{PRESET}/seed-0/warmup-adaptseg/mada-K10-b8/round-0"
SETTING = ("--config", f"preset={PRESET}", "budget=8")


def readme_commands() -> list[str]:
    """Every command of the section, in order."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = re.search(r"### Label your own images\n(.*?)\n##", text, re.DOTALL)[1]
    blocks = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def make_home(folder: Path) -> Path:
    """A checkout with a home of photographs; trainings are short, and streets are blobs."""
    make_project(folder)
    (folder / "tiny.yaml").unlink()
    path = folder / f"workflow/presets/{PRESET}.yaml"
    preset = yaml.safe_load(path.read_text())
    del preset["demo_data"]
    preset["source_root"] = "data/gta5"
    preset |= {"target_size": "96x64", "inference_threads": 1}
    for name in ("network", "training", "warmup", "finetune", "adapt"):
        preset[name] |= SETTINGS[name]
    path.write_text(yaml.safe_dump(preset))
    (folder / "home").mkdir()
    photographs = folder / "home/photographs"
    (folder / "data/cityscapes/leftImg8bit/train").rename(photographs)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").write_text(f'PATH="{Path(sys.executable).parent}:$PATH"\n')
    return folder


class Shell:
    """One shell, as a person keeps it open: a command's variables stay."""

    def __init__(self, folder: Path):
        self.folder, self.said = folder, {}

    def run(self, commands: list[str]) -> str:
        """Run commands, each of which must end well; return what the last one printed."""
        script = "\n".join(["set -e", *commands[:-1], "exec 2>&1; echo =====", commands[-1]])
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=environment() | {"HOME": str(self.folder / "home")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
        return done.stdout.split("=====\n", 1)[1]


def truth(folder: Path, image_id: str) -> np.ndarray:
    """What a person sees in a photograph: training ids (H, W) uint8."""
    name = f"{image_id}_gtFine_labelIds.png".replace("_leftImg8bit", "")
    with Image.open(folder / "data/cityscapes/gtFine/train" / name) as label:
        return train_id_table("cityscapes-ids", "cityscapes19")[np.asarray(label)].astype(np.uint8)


def snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )


def planned(folder: Path, *words: str) -> dict[str, int]:
    """How many jobs of each rule a dry run would run."""
    result = snakemake(folder, "-n", *words)
    assert result.returncode == 0, result.stderr + result.stdout
    names = re.findall(r"^(?:local)?rule (\w+):", result.stdout + result.stderr, re.MULTILINE)
    return {name: names.count(name) for name in names if name not in ("all", "M4", "select")}


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """A checkout in which every command of the section ran, and what each said."""
    folder = make_home(tmp_path_factory.mktemp("walked"))
    commands = readme_commands()
    painted = folder / "home/painted"
    said, state = [], []
    for number, command in enumerate(commands):
        setting = [line for line in commands[:number] if re.match(r"(source|\w+=)", line)]
        said.append(Shell(folder).run([*setting, command]))
        state.append(planned_state(folder))
        if command.endswith("~/painted"):
            paint(folder, painted)
    return folder, dict(zip(commands, said, strict=False)), commands, said, state


def planned_state(folder: Path) -> set[str]:
    """Which of the run's models there are."""
    return {path.parent.name for path in (folder / RUN).rglob("model.pt")}


def paint(folder: Path, painted: Path) -> None:
    """Correct every pre-annotation, as a person does in a paint program: in colours."""
    classes = annotation_classes("cityscapes19")
    files = sorted(painted.rglob("*.png"))
    assert len(files) == 8
    for path in files:
        image_id = path.relative_to(painted).as_posix().removesuffix(".png")
        with Image.open(path) as image:
            shown = np.array(image.convert("RGB"))
        label = truth(folder, image_id)
        assert shown.shape[:2] == label.shape
        shown[:] = classes.painted(label)
        Image.fromarray(shown).save(path)


def test_the_section_takes_under_20_commands(walked):
    assert 8 <= len(walked[2]) < 20


def test_the_first_run_stops_with_a_word_and_no_m1(walked):
    folder, _, commands, said, state = walked
    first = next(n for n, line in enumerate(commands) if line.startswith("snakemake"))
    assert state[first] == set()
    last = said[first].strip().splitlines()
    assert last[-1].strip() == f"snakemake --cores 2 {' '.join(SETTING)}"
    assert f"    {PLACE}/returned/" in last and f"    {RUN}/bundle/" in last
    assert "8 images wait to be labelled." in said[first]
    assert (folder / RUN / "WAITING.md").read_text(encoding="utf-8").strip() in said[first]


def test_the_second_run_goes_on_to_m4(walked):
    _, _, commands, said, state = walked
    second = [n for n, line in enumerate(commands) if line.startswith("snakemake")][1]
    assert commands[second].endswith("budget=8")
    assert state[second] == {"finetune", "M1+", "M2-V10", "M3-V10", "M4-V10"}
    assert "WAITING" not in said[second]
    assert "No scores: validation_split is false" in said[second]


def test_m1_learns_what_people_painted(walked):
    folder = walked[0]
    index = pd.read_csv(folder / RUN / "annotations/index.csv")
    assert len(index) == 8
    for row in index.itertuples():
        with Image.open(folder / row.label) as label:
            assert (np.asarray(label) == truth(folder, row.id)).all()


def test_the_cost_is_told_before_and_after(walked):
    folder = walked[0]
    before = (folder / RUN / "cost/handed-out.md").read_text()
    after = (folder / RUN / "cost/returned.md").read_text()
    assert "| hours estimated | 12.0 |" in before and "returned" not in before
    assert "| images returned | 8 |" in after
    assert after in "\n".join(walked[3])


def test_predictions_are_label_ids_at_full_size_with_overlays(walked):
    folder = walked[0] / RUN / "predictions/M4-V10"
    index = pd.read_csv(folder / "index.csv")
    assert len(index) == 12
    classes = annotation_classes("cityscapes19")
    for row in index.itertuples():
        with Image.open(folder / row.label) as label, Image.open(folder / row.overlay) as overlay:
            assert label.size == overlay.size == (row.width, row.height) == (96, 64)
            assert set(np.unique(label)) <= set(classes.ids)


def test_the_export_runs_elsewhere_and_brings_its_classes(walked):
    folder = walked[0] / RUN / "export/M4-V10"
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (logits,) = session.run(None, {"image": np.zeros((1, 3, 50, 70), np.float32)})
    assert logits.shape == (1, 19, 50, 70)
    assert '"name": "road"' in session.get_modelmeta().custom_metadata_map["classes"]
    card = (folder / "model-card.md").read_text(encoding="utf-8")
    assert "| of these labelled (people) | 8 |" in card and "None: there were no" in card


def test_nothing_is_left_to_do_and_nothing_delivered_was_changed(walked):
    folder = walked[0]
    assert planned(folder, *SETTING) == {}
    for path in (folder / "home/painted").rglob("*.png"):
        copy = folder / PLACE / "returned/painted" / path.relative_to(folder / "home/painted")
        assert copy.read_bytes() == path.read_bytes()


FROM_RETURN = {
    **{"collect_returned": 1, "count_cost": 1, "finetune": 1, "continue_finetuning": 1},
    **{"extract_adapted_features": 1, "cluster_target_anchors": 1, "pseudo_label": 1, "adapt": 3},
    **{"plot_history": 1},
    **{"plot_features": 1, "write_report": 1},
}


@pytest.fixture
def returned(walked):
    """The folder of what came back, which is as it was when the test is over."""
    place = walked[0] / PLACE / "returned"
    shutil.copytree(place, walked[0] / "kept")
    yield place
    shutil.rmtree(place)
    shutil.move(walked[0] / "kept", place)


def test_another_file_that_came_back_is_noticed_and_reruns_what_follows(walked, returned):
    path = next(returned.rglob("*.png"))
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[:8] = (128, 64, 128)
    Image.fromarray(pixels).save(path)
    assert planned(walked[0], *SETTING) == FROM_RETURN
    path.unlink()
    assert planned(walked[0], *SETTING) == FROM_RETURN


def test_a_run_that_waits_has_a_word_even_where_it_has_nothing_to_do(walked, returned):
    shutil.rmtree(returned)
    returned.mkdir()
    (returned / ".DS_Store").touch()  # no work of people's
    for target in ((), ("M4",), ("select",), ("predict",), ("export",)):
        result = snakemake(walked[0], *target, *SETTING)
        assert result.returncode == 0, result.stderr[-3000:]
        said = result.stderr.strip().splitlines()
        assert f"    {PLACE}/returned/" in said[-5:]
        goes_on = [word for word in target if word != "select"]
        expected = " ".join(["snakemake --cores 2", *goes_on, *SETTING])
        if target == ():
            assert "Nothing to be done" in result.stderr
            assert said[-1].strip() == expected
    everything = PLACE.replace("mada-K10-b8", "all-K0-b100pct")
    for _ in range(2):
        result = snakemake(walked[0], "Mu", *SETTING)
        assert result.returncode == 0, result.stderr[-3000:]
        assert f"    {everything}/returned/" in result.stderr
        assert f"    {PLACE}/returned/" not in result.stderr  # nobody asked for that
        assert "No scores" not in result.stderr


def test_the_selection_stands_once_something_came_back(walked):
    folder = walked[0]
    assert planned(folder, *SETTING, "source_anchors=10", "distance=full") == {}
    edited = folder / "steps/mada/distances.py"
    before = edited.read_text()
    edited.write_text(before + "# edited\n")
    try:
        assert "write_manifest" not in planned(folder, "M4", *SETTING)
        assert "write_manifest" in planned(folder, "select", *SETTING)
    finally:
        edited.write_text(before)


def test_each_seed_waits_for_its_own(walked):
    jobs = planned(walked[0], "M4", *SETTING, "seeds=[0,1]")
    assert jobs["hand_over"] == 1 and jobs["warmup"] == 1
    assert "finetune" not in jobs and "adapt" not in jobs  # seed 0's are there


def test_annotations_held_out_score_every_rung(walked):
    jobs = planned(walked[0], *SETTING, "annotation_holdout=0.25")
    assert jobs["evaluate_holdout"] == 6 and jobs["tabulate_scores"] == 1
    assert "evaluate" not in jobs and "evaluate_warmup" not in jobs


def test_a_file_that_needs_annotations_says_so(walked):
    wanted = RUN.replace("-b8", "-b7") + "/finetune/model.pt"
    result = snakemake(walked[0], "-n", wanted, "--config", f"preset={PRESET}", "budget=7")
    assert result.returncode != 0
    assert "wait to be labelled" not in result.stderr
    assert "round-0/returned: expected annotations, found none" in result.stdout + result.stderr


def test_a_return_that_is_wrong_stops_the_run_with_all_that_is(walked, returned):
    files = sorted(returned.rglob("*.png"))
    files[0].unlink()
    Image.new("L", (5, 5)).save(files[1])
    result = snakemake(walked[0], "M4", *SETTING, "--show-failed-logs")
    assert result.returncode != 0
    assert "expected a label map of" in result.stderr
    assert "expected 96x64 pixels like its image, found 5x5" in result.stderr
    assert "wait to be labelled" not in result.stderr


def corrected(folder: Path) -> dict[str, np.ndarray]:
    """Pre-annotations after somebody went over them: every open pixel painted."""
    ids = pd.read_csv(folder / PLACE / "handed-out/manifest.csv")["image_id"]
    labels = {}
    for image_id in ids:
        with Image.open(folder / PLACE / f"handed-out/labels/{image_id}.png") as label:
            before = np.array(label)
        labels[image_id] = np.where(before == VOID, truth(folder, image_id), before)
    return labels


class Handed:
    classes = annotation_classes("cityscapes19")


def test_an_export_of_cvat_goes_on_to_m4_with_a_share_held_out(walked, returned, tmp_path):
    folder = walked[0]
    labels = corrected(folder)
    write_cvat(tmp_path / "task", Handed, labels)
    shutil.rmtree(returned)
    returned.mkdir()
    zipped(tmp_path / "task", returned / "task_3_annotations.zip")
    result = snakemake(folder, "M4", *SETTING, "annotation_holdout=0.25")
    assert result.returncode == 0, result.stderr[-6000:]
    scores = json.loads((folder / RUN / "evaluation/holdout/M4-V10.json").read_text())
    assert scores["images"] == 2
    held_out = pd.read_csv(folder / RUN / "annotations/holdout.csv")
    learnt = pd.read_csv(folder / RUN / "annotations/index.csv")
    assert len(learnt) == 6 and not set(learnt["id"]) & set(held_out["id"])
    for row in [*learnt.itertuples(), *held_out.itertuples()]:
        with Image.open(folder / row.label) as label:
            assert (np.asarray(label) == labels[row.id]).all()


def test_part_of_an_export_of_label_studio_is_taken_over_and_said(walked, returned):
    folder = walked[0]
    labels = corrected(folder)
    missing = sorted(labels)[3]
    del labels[missing]
    shutil.rmtree(returned)
    returned.mkdir()
    tasks = label_studio_tasks(Handed, labels)
    (returned / "project-7.json").write_text(json.dumps(tasks))
    wanted = ("annotation_allow_partial=true",)
    result = snakemake(folder, f"{RUN}/annotations", *SETTING, *wanted)
    assert result.returncode == 0, result.stderr[-6000:]
    last = result.stderr.strip().splitlines()[-1]
    assert last == f"seed 0 trained without the annotations of {missing}"


def test_a_second_round_waits_for_annotations_of_its_own_and_learns_from_both(walked):
    folder = walked[0]
    rounds = ("M4", "--config", f"preset={PRESET}", "rounds=[8,2]", "variants=[M4]")
    run, place = (path.replace("b8/round-0", "b8+2/round-1") for path in (RUN, PLACE))
    delivered = files_of(folder / PLACE)
    result = snakemake(folder, *rounds)
    assert result.returncode == 0, result.stderr[-6000:]
    assert "2 images wait to be labelled." in result.stderr
    assert f"    {place}/returned/" in result.stderr.splitlines()
    assert not (folder / run / "finetune").exists()
    first, second = (
        set(pd.read_csv(folder / each / "handed-out/manifest.csv")["image_id"])
        for each in (PLACE, place)
    )
    assert (len(first), len(second)) == (8, 2) and not first & second
    for image_id in second:
        path = folder / place / "returned" / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        painted = annotation_classes("cityscapes19").painted(truth(folder, image_id))
        Image.fromarray(painted).save(path)
    result = snakemake(folder, *rounds)
    assert result.returncode == 0, result.stderr[-6000:]
    assert "wait to be labelled" not in result.stderr
    assert (folder / run / "adapt/M4-V10/model.pt").is_file()
    pseudo = pd.read_csv(folder / run / "pseudo_labels/index.csv")
    assert len(pseudo) == 12 - 8 - 2 and not set(pseudo["id"]) & (first | second)
    assert {name: files_of(folder / PLACE)[name] for name in delivered} == delivered
    assert planned(folder, *rounds) == {}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
