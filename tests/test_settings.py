"""Settings that cannot be used are named before any job, whatever else is wrong."""

import re
from pathlib import Path

import pytest
import yaml

from mada.acquisition import load_strategies
from mada.layouts import LAYOUTS
from settings import setting_problems, study_problem, total_budget, typed

REPOSITORY = Path(__file__).parents[1]
CONFIG = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
PRESETS = {
    file.stem: yaml.safe_load(file.read_text())
    for file in sorted((REPOSITORY / "workflow/presets").glob("*.yaml"))
}
SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No folder that a setting names is there."""
    monkeypatch.chdir(tmp_path)


def problems(preset: str = "demo", command_line: dict | None = None, **changes) -> list[str]:
    return setting_problems(
        CONFIG | {"preset": preset} | PRESETS[preset] | changes, command_line or {}
    )


def test_the_shipped_files_have_no_key_in_common():
    assert PRESETS
    for preset in PRESETS.values():
        assert not set(CONFIG) & set(preset)


def test_the_demo_needs_no_folder_and_every_preset_nothing_but_its_data_sets(tmp_path):
    assert problems() == []
    for name, preset in PRESETS.items():
        for line in problems(name):
            key, _, message = line.partition(": ")
            assert key in ("source_root", "target_root")
            assert message == f"expected a folder, found none at {preset[key]}"
        assert problems(name, source_root=str(tmp_path), target_root=str(tmp_path)) == []


def without_description(entry: dict, place: str = "") -> list[str]:
    """Settings that a schema leaves undescribed, those of sections and of lists of them too."""
    entry = entry.get("items", entry) if "properties" not in entry else entry
    found = []
    for name, inner in entry.get("properties", {}).items():
        found += [] if "description" in inner else [f"{place}{name}"]
        found += without_description(inner, f"{place}{name}.")
    return found


def test_every_setting_is_described():
    assert without_description(SCHEMA) == []
    nested = {"properties": {"a": {"items": {"properties": {"b": {}}}, "description": "A."}}}
    assert without_description(nested) == ["a.b"]


@pytest.mark.parametrize("name", sorted(load_strategies()))
def test_every_registered_strategy_may_be_chosen_and_compared(name):
    assert problems(strategy=name, variants=[]) == problems(compare=[name]) == []


def test_the_schema_knows_the_layouts_of_the_steps():
    assert set(SCHEMA["properties"]["source_layout"]["enum"]) == set(LAYOUTS)


def test_the_rules_read_labels_as_the_layouts_hold_them():
    rules = (REPOSITORY / "workflow/rules/common.smk").read_text()
    for name, layout in LAYOUTS.items():
        assert f'"{name}": "{layout.encoding}"' in rules


HELD_OUT = {"annotation_mode": "manual", "validation_split": False, "annotation_holdout": 0.2}


def training(**changes) -> dict:
    return {"training": PRESETS["demo"]["training"] | changes}


def network(**changes) -> dict:
    return {"network": PRESETS["demo"]["network"] | changes}


CHECKPOINT = {"warmup_method": "checkpoint", "warmup_checkpoint": __file__}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bugdet": "5%"}, ["bugdet: no such setting"]),
        ({"annotation_mode": "people"}, ["annotation_mode: 'people' is not one of"]),
        ({"annotation_holdout": 0.2}, ["annotation_holdout: is for", "annotation_holdout: needs"]),
        (HELD_OUT, []),
        ({"predict_images": "no"}, ["predict_images: expected a folder, found none at no"]),
        (HELD_OUT | {"annotation_holdout": 1}, ["annotation_holdout: 1 is greater than or equal"]),
        ({"source_root": "no"}, ["source_root: expected a folder, found none at no"]),
        ({"target_root": "data/demos"}, ["target_root: expected a folder, found none at data/de"]),
        ({"source_root": "data/demo/sorce"}, ["source_root: expected data/demo/source, which"]),
        ({"target_root": "data/demo/source"}, ["target_root: expected data/demo/target, which"]),
        ({"target_root": "data/demo/target/"}, []),
        ({"exclude": "ids.txt"}, ["exclude: expected a file, found none at ids.txt"]),
        ({"include": "ids.txt"}, ["include: expected a file, found none at ids.txt"]),
        (CHECKPOINT, []),
        (CHECKPOINT | {"warmup_checkpoint": "m"}, ["warmup_checkpoint: expected a file, found"]),
        ({"warmup_method": "checkpoint"}, ["warmup_checkpoint: expected a file for"]),
        (CHECKPOINT | {"warmup_method": "none"}, ["warmup_checkpoint: is for warmup_method check"]),
        (CHECKPOINT | {"strategy": "aada"}, ["strategy: aada needs a discriminator"]),
        (CHECKPOINT | {"compare": ["adversarial"]}, ["compare: adversarial needs a discr"]),
        ({"warmup_method": "minent", "compare": ["aada"]}, ["compare: aada needs a discriminator"]),
        ({"warmup_method": "advent", "compare": ["aada"]}, []),
        ({"gpus": 4}, []),
        ({"gpus": 8}, ["training.batch_size: expected a multiple of gpus times training.accum"]),
        ({"strategy": "best"}, ["strategy: 'best' is not one of"]),
        ({"compare": ["best"]}, ["compare.0: 'best' is not one of"]),
        (
            {"device": "gpu"},
            ["device: expected a value like auto or cpu or cuda or cuda:1, found 'gpu'"],
        ),
        ({"device": "cuda:1"}, []),
        ({"device": "cuda:1", "gpus": 1}, []),
        ({"device": "cuda:1", "gpus": 2}, ["device: expected auto or cuda for gpus 2, found cuda"]),
        ({"device": "cpu", "gpus": 1}, ["device: expected auto or cuda for gpus 1, found cpu"]),
        (training(tune_every=5), []),
        ({"warmup": {"iterations": 5, "learning_rate": 1, "source_only_iterations": 4}}, []),
        (
            {"warmup": {"iterations": 5, "learning_rate": 1, "source_only_iterations": 5}},
            ["warmup.source_only_iterations: expected fewer than iterations, 5, found 5"],
        ),
        (training(tune_every=5) | {"tuning_split": False}, ["training.tune_every: is for targets"]),
        ({"budget": 0}, ["budget: expected a value like 5% or 16, found 0"]),
        ({"budget": "0"}, ["budget: expected a share above 0% and up to 100%, found 0"]),
        ({"budget": "0.0%"}, ["budget: expected a share above 0% and up to 100%, found 0.0%"]),
        ({"budget": "100.1%"}, ["budget: expected a share above 0% and up to 100%, found 100.1%"]),
        ({"budget": "1.5"}, ["budget: expected a value like 5% or 16, found '1.5'"]),
        ({"budget": "0.5%"}, []),
        ({"budget": 16}, []),
        ({"budget": "100%", "variants": ["M1+"]}, []),
        ({"budget": "100%", "variants": ["M3"]}, ["variants: M3 needs images without label"]),
        ({"budget": "100%", "variants": ["M3"], "exclude": __file__}, []),
        (HELD_OUT | {"budget": "100%", "variants": ["M3"]}, []),
        (network(backbone="vgg16"), ["network.backbone: 'vgg16' is not one of ['resnet18', "]),
        (network(weights="FOO"), ["network.weights: 'FOO' is not one of ['none', "]),
        (network(weights="IMAGENET1K_V2"), ["network.backbone: 'resnet18' is not one of "]),
        (network(weights="IMAGENET1K_V1"), []),
        (training(resize_range=[1.5, 0.5]), ["training.resize_range: expected the smaller ratio"]),
        (training(resize_range=[1, 1]), []),
        (training(crop="wide"), ["training.crop: expected a value like 640x480, found 'wide'"]),
        ({"target_size": [8, 8]}, ["target_size: expected a value like own or 640x480, found [8"]),
        (training(resize_range=[0.5]), ["training.resize_range: [0.5] is too short"]),
        (training(resize_range="1"), ["training.resize_range: '1' is not of type"]),
        (training(colour_jitter=1.5), ["training.colour_jitter: 1.5 is greater than the maximum"]),
        (training(momentum=1), ["training.momentum: 1 is greater than or equal"]),
        (training(weight_decay=-1e-4), ["training.weight_decay: -0.0001 is less than"]),
        (training(power=-1), ["training.power: -1 is less than"]),
        ({"strategy": "all", "variants": ["M2"]}, ["variants: M2 needs images without label"]),
        ({"exclude": 7}, ["exclude: 7 is not of type 'string', 'null'; of that name, write ./7"]),
        ({"annotation_root": "a {b}"}, ["annotation_root: expected a path without a word in brac"]),
        (
            {"annotation_root": "results/a"},
            ["annotation_root: expected a folder outside of results"],
        ),
        ({"seeds": [2**32 - 1], "report_seeds": [2**32 - 1]}, []),
        ({"seeds": [2**32]}, ["seeds.0: 4294967296 is greater than the maximum"]),
        ({"report_seeds": [2**32]}, ["report_seeds.0: 4294967296 is greater than the maximum"]),
        ({"classes": "mine"}, ["classes: 'mine' is not one of"]),
        ({"void_ids": [11]}, ["void_ids: expected class_table beside it"]),
        ({"target_layout": "camvid"}, ["target_layout: camvid needs a class_table"]),
        ({"target_image_glob": "*.png"}, ["target_image_glob: is for layout folder"]),
        ({"target_image_glob": "*.png", "target_layout": "folder"}, []),
    ],
)
def test_each_problem_is_one_line_that_names_its_key(changes, expected):
    found = problems(**changes)
    assert len(found) == len(expected), found
    for line, start in zip(sorted(found), sorted(expected), strict=True):
        assert line.startswith(start)


def test_files_whose_names_would_be_taken_for_wildcards_are_refused(tmp_path):
    (tmp_path / "never {a}.txt").touch()
    (tmp_path / "never {}.txt").touch()
    for name in ("exclude", "include", "warmup_checkpoint"):
        used = CHECKPOINT if name == "warmup_checkpoint" else {}
        (line,) = problems(**used | {name: "never {a}.txt"})
        assert line == f"{name}: expected a path without a word in braces, found never {{a}}.txt"
        assert problems(**used | {name: "never {}.txt"}) == []


def test_a_missing_preset_is_the_only_complaint():
    assert setting_problems(CONFIG | {"preset": "nosuch"}, {}) == [
        f"preset: expected one of {sorted(PRESETS)}, found 'nosuch'"
    ]


def test_problems_within_a_section_carry_its_name():
    found = problems(warmup={"iterations": 0, "rate": 1})
    assert sorted(line.split(":")[0] for line in found) == [
        *("warmup.iterations", "warmup.learning_rate", "warmup.rate")
    ]


def test_a_class_table_brings_any_name():
    table = [{"name": "a", "ids": [0], "colour": [0, 0, 0]}, {"name": "b", "colour": [1, 1, 1]}]
    assert problems(classes="mine", class_table=table, void_ids=[255]) == []
    assert problems(classes="mine", class_table=[{"name": "a"}, *table]) == [
        "class_table.0.colour: expected a value, found none"
    ]


def test_the_demo_is_never_smaller_than_its_generator_draws():
    demo = PRESETS["demo"]["demo_data"]
    found = problems(demo_data=demo | {"width": 63, "height": 32})
    assert [line.split(":")[0] for line in found] == ["demo_data.height", "demo_data.width"]


def test_nested_settings_are_refused_on_the_command_line():
    nested = {"training": {"crop": "64x32"}}
    assert problems(command_line=nested) == [
        "training: expected nested settings in a file given with --configfile, found --config"
    ]


def test_all_problems_are_named_at_once():
    found = problems(bugdet=1, source_root="no", strategy="best", budget="101%")
    assert {line.split(":")[0] for line in found} == {"bugdet", "source_root", "strategy", "budget"}


def test_values_of_the_command_line_get_their_types():
    assert typed(["0", "12"]) == [0, 12]
    assert typed("false") is False and typed("null") is None
    for value in ("5%", 16, "M1+", ["M1+"], None, True):
        assert typed(value) == value


def test_rounds_rank_by_features_that_they_have():
    assert problems(rounds=["2.5%", 16]) == []
    assert problems(rounds=["5%"], strategy="aada") == []
    (line,) = problems(rounds=["2.5%", "2.5%"], strategy="aada")
    assert line.startswith("rounds: aada ranks by the warm-up's discriminator")
    assert problems(rounds=["2.5"])[0].startswith("rounds.0: expected a value like 5% or 16")


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        (["60%", "39.9%"], []),
        ([16, "99%"], []),
        (["0%"], ["rounds.0: expected a share above 0% and up to 100%, found 0%"]),
        ([8, "0.0%"], ["rounds.1: expected a share above 0% and up to 100%, found 0.0%"]),
        (["5%", "0"], ["rounds.1: expected a share above 0% and up to 100%, found 0"]),
        (["200%"], ["rounds.0: expected a share above 0% and up to 100%, found 200%"]),
        (["60%", 2, "40.1%"], ["rounds: expected shares of up to 100% in all, found 100.1%"]),
        (["100%"], ["variants: M3 needs images without label, all are to be labelled"]),
        (["33.4%", "33.3%", "33.3%"], ["variants: M3 needs images without label, all are to be"]),
    ],
)
def test_rounds_are_checked_each_and_in_all(rounds, expected):
    found = problems(rounds=rounds, variants=["M3"])
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


def test_rounds_are_in_place_of_the_budget():
    assert problems(rounds=["5%"], budget="100%", variants=["M3"]) == []
    assert problems(rounds=["100%"], variants=["M1+"]) == []


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [
        (["5%"], "5%"),
        (["2.5%", "2.5%"], "5%"),
        (["1%", "5%"], "6%"),
        (["0.1%", "0.2%"], "0.3%"),
        (["50%", "50%"], "100%"),
        ([16], "16"),
        (["8", 2], "10"),
        ([2, "25%", 8], "25%+10"),
    ],
)
def test_shares_add_to_a_share_and_counts_to_a_count(budgets, expected):
    assert total_budget(budgets) == expected


STUDIED = {
    **{"annotation_mode": "benchmark", "validation_split": True, "strategy": "mada"},
    **{"study_strategies": ["aada", "entropy"], "warmup_method": "adaptseg", "rounds": None},
    "variants": ["M1+", "M4"],
}


@pytest.mark.parametrize(
    ("study", "changes", "expected"),
    [
        ("strategies", {}, None),
        ("anchors", {}, None),
        ("strategies", {"warmup_method": "none"}, "study_strategies: .* there is none; found aada"),
        ("strategies", {"rounds": ["1%", 2]}, "study_strategies: .* several rounds; found aada"),
        ("budgets", {"warmup_method": "none"}, None),
        ("anchors", {"variants": ["M1+"]}, r"variants: expected one of M2, M3, M4, .* found M1\+"),
        ("anchors", {"variants": []}, "variants: .* found none"),
        ("ablation", {"validation_split": False}, "a study needs labels"),
        ("ablation", {"annotation_mode": "manual"}, "a study needs labels"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused_before_it_trains(study, changes, expected):
    problem = study_problem(STUDIED | changes, study)
    assert problem is None if expected is None else re.match(expected, problem)


@pytest.mark.parametrize("budget", ["0%", "101%"])
def test_budgets_of_studies_are_shares(budget):
    (line,) = problems(study_budgets=["5%", budget])
    assert line == f"study_budgets: expected shares above 0% and up to 100%, found {budget}"
