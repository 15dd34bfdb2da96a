"""The profiles: what they name exists, and the live overview is for people alone."""

import io
import re
import sys
from pathlib import Path

import pytest
import yaml
import yte

from test_pipeline import make_project, snakemake

WORKFLOW = Path(__file__).parents[1] / "workflow"
PROFILES = WORKFLOW / "profiles"


def rules() -> dict[str, str]:
    """Rule -> its text; a rule made of another one is told by both."""
    found = {}
    for file in sorted((WORKFLOW / "rules").glob("*.smk")):
        heads = r"(?m)^ *(?=use rule \w+ as \w+ with:|rule \w+:)"
        for text in filter(None, re.split(heads, file.read_text())[1:]):
            name = re.match(r"(?:use rule \w+ as|rule) (\w+)", text)[1]
            found[name] = text
    for name, text in found.items():
        if made_of := re.match(r"use rule (\w+)", text):
            found[name] += found[made_of[1]]
    return found


def test_only_light_jobs_share_a_submission():
    profile = yaml.safe_load((PROFILES / "slurm/config.yaml").read_text())
    found = rules()
    assert {"index_source", "rank_targets", "plot_panels"} <= set(profile["groups"])
    for name in profile["groups"]:
        assert "**LIGHT" in found[name] or "**CLUSTERING" in found[name], name
    assert set(profile["group-components"]) <= set(profile["groups"].values())


def test_no_group_waits_for_a_training_that_waits_for_it(tmp_path):
    """Snakemake refuses such groups; rounds repeat the same rules after a training."""
    profile = yaml.safe_load((PROFILES / "slurm/config.yaml").read_text())
    groups = [f"{rule}={group}" for rule, group in profile["groups"].items()]
    folder = make_project(tmp_path, rounds=["25%", "25%"], compare=["random"])
    result = snakemake(folder, "-n", "--groups", *groups)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "rank_targets_again" in result.stdout


def test_every_rule_says_what_it_asks_a_cluster_for():
    asks = re.compile(r"\*\*(LIGHT|CLUSTERING|INFERENCE|(network_)?needs\()")
    silent = [name for name, text in rules().items() if not asks.search(text)]
    assert silent == ["other_preset"]  # which only ever refuses


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stderr", "logger"), [(Terminal(), ["rich"]), (io.StringIO(), None)])
def test_the_live_overview_is_for_terminals_alone(monkeypatch, stderr, logger):
    monkeypatch.setattr(sys, "stderr", stderr)
    text = (PROFILES / "default/config.yaml").read_text()
    profile = yte.process_yaml(text, require_use_yte=True)
    assert profile.get("logger") == logger
    assert profile["rerun-incomplete"] is True


def test_without_the_plugin_a_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = (PROFILES / "default/config.yaml").read_text()
    assert "logger" not in yte.process_yaml(text, require_use_yte=True)
