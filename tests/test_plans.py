"""What is planned for studies, for several rounds and for large pools, as dry runs show it."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from test_pipeline import WARMUP, make_project, planned_commands, runs_planned, snakemake, value_of


@pytest.mark.parametrize(
    ("strategy", "expected"), [("target-medoids-K0", 1000 + 3000), ("masked-cover-K3", 5001)]
)
def test_choosing_a_set_asks_for_memory_by_its_pool(tmp_path, strategy, expected):
    """Three times the features; for all pairs of 10,000 images 2.5 matrices of 400 MB more."""
    folder = make_project(tmp_path)
    (folder / WARMUP / "features").mkdir(parents=True)
    (folder / WARMUP / "features/target_train.csv").write_text("id\n" * 10_001)
    with open(folder / WARMUP / "features/target_train.npy", "wb") as features:
        features.truncate(1_000_000_000)  # takes no room on the disk
    ranking = f"{WARMUP}/select/{strategy}-b25pct/ranking.csv"
    result = snakemake(folder, "-n", ranking)
    assert result.returncode == 0, result.stderr
    (chosen,) = (job for job in result.stdout.split("rule ") if job.startswith("choose_targets:"))
    assert f"mem_mb={expected}," in chosen


def iterations_planned(commands: list[list[str]], model: str) -> int:
    """Iterations of the training of a model and of all that it goes on from."""
    (words,) = (each for each in commands if "--history" in each and model in each[-3:])
    earlier = value_of(words, "--model") if "--model" in words else None
    own = int(value_of(words, "--iterations"))
    return own + (iterations_planned(commands, earlier) if earlier else 0)


def test_of_several_rounds_tables_and_costs_count_all(tmp_path):
    folder = make_project(tmp_path, rounds=["25%", "5%"], report_seeds=[0], variants=["M4"])
    commands = planned_commands(folder, "ablation")
    (table,) = (each for each in commands if "steps/tabulate_scores.py" in each)
    assert value_of(table, "--budget") == "30%"
    starts = [place for place, word in enumerate(table) if word == "--score"]
    rows = {table[start + 3]: table[start + 4 : start + 6] for start in starts}
    assert {name: int(row[0]) for name, row in rows.items()} == {
        **{"M0": 4, "M1": 4 + 2 * 3},
        **{"M4": 4 + 2 * 3 + 3, "Mu": 4 + 2 * 3 + 3},
    }
    for iterations, file in rows.values():
        (scored,) = (each for each in commands if file in each and "steps/evaluate.py" in each)
        assert iterations_planned(commands, value_of(scored, "--model")) == int(iterations)
    (cost,) = (each for each in commands if "steps/add_up_benchmarks.py" in each)
    counted = [word for word in cost if word.startswith("logs/") and "/seed-0/" in word]
    logs = [each[-2].removeprefix(">") for each in commands if "--history" in each]
    assert len(logs) == 6  # M0, M1 of two rounds, M4, M1 of all labels, Mu
    assert sorted(counted) == sorted(log.replace(".log", ".tsv") for log in logs)
    (export,) = (
        each for each in planned_commands(folder, "export") if "steps/export_onnx.py" in each
    )
    first = export.index("--annotations") + 1
    assert [Path(name).parts[-3:] for name in export[first : first + 2]] == [
        ("mada-K3-b25pct", "round-0", "annotations"),
        ("mada-K3-b25pct+5pct", "round-1", "annotations"),
    ]


def test_scores_are_on_what_was_held_out_in_every_round(tmp_path):
    settings = {"annotation_mode": "manual", "validation_split": False, "annotation_holdout": 0.25}
    folder = make_project(tmp_path, rounds=["25%", 2], **settings)
    runs = ("mada-K3-b25pct/round-0", "mada-K3-b25pct+2/round-1")
    for run in runs:
        returned = folder / f"annotations/demo/seed-0/warmup-adaptseg/{run}/returned"
        returned.mkdir(parents=True)
        (returned / "image.png").touch()
    scores = f"{WARMUP}/runs/{runs[1]}/evaluation/holdout/M1.json"
    result = snakemake(folder, "-n", "--printshellcmds", scores)
    assert result.returncode == 0, result.stderr + result.stdout
    lines = [line.strip() for line in (result.stdout + result.stderr).splitlines()]
    gather = [line for line in lines if line.startswith(("partial=", "head ", "for ", "mv "))]
    for place, run in enumerate(runs):
        held_out = pd.DataFrame({"id": [f"{place}a", f"{place}b"], "image": ["x, y.png", "z.png"]})
        (folder / WARMUP / "runs" / run / "annotations").mkdir(parents=True)
        held_out.to_csv(folder / WARMUP / "runs" / run / "annotations/holdout.csv", index=False)
    (folder / scores).parent.mkdir(parents=True)
    subprocess.run(["bash", "-euc", "\n".join(gather)], cwd=folder, check=True)
    scored = pd.read_csv(folder / scores.replace(".json", ".csv"))
    assert scored["id"].tolist() == ["0a", "0b", "1a", "1b"]
    assert scored["image"].tolist() == ["x, y.png", "z.png"] * 2


def test_studies_share_their_trainings_and_hang_on_no_anchors_they_do_not_read(tmp_path):
    settings = {"study_strategies": ["mada", "single-centroid", "entropy", "coreset"]}
    settings |= {"study_anchors": [1, 3], "study_budgets": ["25%", "100%"], "variants": ["M2"]}
    settings |= {"compare": ["random", "nearest", "all"]}
    folder = make_project(tmp_path, report_seeds=[0, 1], **settings)
    commands = planned_commands(folder, "ablation", "strategies", "anchors", "budgets")
    starts = [each for each in commands if "steps/finetune.py" in each]
    runs = {
        Path(value_of(each, "--output")).relative_to("results/demo").parts[3] for each in starts
    }
    assert runs == {
        *("mada-K3-b25pct", "single-centroid-K1-b25pct", "random-K0-b25pct", "entropy-K0-b25pct"),
        *("nearest-K3-b25pct", "coreset-K0-b25pct", "all-K0-b100pct"),
    }
    assert len(starts) == 2 * len(runs)  # each once a seed
    assert sum("steps/warmup.py" in each for each in commands) == 2
    rankings = [each for each in commands if "steps/rank_targets.py" in each]
    for words in rankings:
        reads = value_of(words, "--strategy") in ("mada", "nearest", "single-centroid")
        assert ("--anchors" in words) == ("--distance" in words) == reads
    assert len(rankings) == len(starts)
    checks = [value_of(each, "--output") for each in commands if "steps/check_settings.py" in each]
    names = ("settings", "strategies", "budgets", "anchors")
    assert sorted(checks) == sorted(f"results/demo/index/{name}.json" for name in names)
    (checked,) = (each for each in commands if "results/demo/index/strategies.json" in each)
    first = checked.index("--strategies") + 1
    assert set(settings["study_strategies"]) <= set(checked[first : first + 7])


@pytest.mark.heavy
def test_selections_that_cannot_differ_are_trained_once(tmp_path):
    settings = {"study_anchors": [1, 3], "study_budgets": ["25.0%", "100.0%"], "variants": ["M2"]}
    folder = make_project(tmp_path, report_seeds=[0], study_strategies=["entropy"], **settings)
    # One anchor is the single centroid, as K of the study and as the configuration's own.
    one = ("single-centroid-K1-b25pct", "mada-K3-b25pct")
    assert runs_planned(folder, "anchors", "--config", "source_anchors=1") == sorted(one)
    # What looks at no source anchors has no K to vary, and is the same for all of them.
    chosen = ("--config", "strategy=target-medoids")
    for more in ((), ("source_anchors=2",)):
        assert runs_planned(folder, "anchors", *chosen, *more) == ["target-medoids-K0-b25pct"]
    for strategy in ("target-medoids", "single-centroid"):
        commands = planned_commands(folder, "anchors", "--config", f"strategy={strategy}")
        (series,) = (words for words in commands if "steps/tabulate_sweep.py" in words)
        assert "V, target anchors: M2" in series and "K, source anchors: M1" not in series
    # A share is the same however it is written, and all images are all images.
    expected = ["all-K0-b100pct", "mada-K3-b25pct", "random-K0-b25pct"]
    assert runs_planned(folder, "budgets", "--config", "compare=[]") == expected
    twice = ("budgets", "--config", "compare=[]", "study_budgets=[25%,25.0%,100%]")
    (table,) = (words for words in planned_commands(folder, *twice) if "--axis" in words)
    assert table.count("--score") == 4  # two strategies at two budgets
