"""The profiles: what they name exists, and the live overview is for people alone."""

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
import yte

from test_pipeline import SNAKEMAKE, environment, make_project, snakemake

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


# Two jobs that each want all GPUs.  `alone` fails while the other runs, `together` without it.
TWO_JOBS = """
include: "rules/common.smk"
rule both:
    input: "a.txt", "b.txt"
rule job:
    output: "{name}.txt"
    wildcard_constraints: name="[ab]"
    resources: gpu=config["gpus"]
    shell: {shell!r}
"""
ALONE = "mkdir in-use && sleep 1 && rmdir in-use && touch {output}"
TOGETHER = """
touch {wildcards.name}.started
for tenth in $(seq 600); do
    if [ -e a.started ] && [ -e b.started ]; then touch {output}; exit; fi
    sleep 0.1
done
exit 1
"""
# A scheduler that starts everything at once.
SCHEDULER = ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "./submit")
SCHEDULER += ("--jobs", "2", "--latency-wait", "1", "--seconds-between-status-checks", "1")


def run_two_jobs(folder: Path, shell: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run both jobs with two GPUs in the settings."""
    make_project(folder, gpus=2)
    presets = """
configfile: "config.yaml"
configfile: "workflow/presets/demo.yaml"
configfile: "tiny.yaml"
"""
    text = presets + TWO_JOBS.replace("{shell!r}", repr(shell))
    (folder / "workflow/two_jobs").write_text(text)
    (folder / "submit").write_text('#!/bin/sh\nsh "$1" >"$1.log" 2>&1 &\necho $!\n')
    (folder / "submit").chmod(0o755)
    words = [*SNAKEMAKE, "both", "--snakefile", "workflow/two_jobs", "--cores", "4", *arguments]
    return subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)


def test_on_one_machine_jobs_take_turns_with_the_gpus(tmp_path):
    result = run_two_jobs(tmp_path, ALONE)
    assert result.returncode == 0, result.stderr[-2000:]


def test_on_one_machine_a_limit_of_ones_own_counts(tmp_path):
    result = run_two_jobs(tmp_path, TOGETHER, "--resources", "gpu=4")
    assert result.returncode == 0, result.stderr[-2000:]


def test_jobs_of_a_scheduler_do_not_wait_for_each_other_s_gpus(tmp_path):
    result = run_two_jobs(tmp_path, TOGETHER, *SCHEDULER)
    assert result.returncode == 0, result.stderr[-2000:]


# Snakemake that says when it sets a timer to look at all jobs again.
WATCHED = """
import sys
from snakemake.cli import main
from snakemake.scheduling.job_scheduler import JobScheduler
JobScheduler._schedule_reevalutation = lambda self, delay: print("timer", file=sys.stderr)
main(sys.argv[1:])
"""


def test_jobs_on_one_machine_set_off_no_timers_unless_a_rate_is_asked_for(tmp_path):
    folder = make_project(tmp_path)
    words = [sys.executable, "-c", WATCHED, "--cores", "2", "--configfile", "tiny.yaml", "--force"]
    for rate, timers in (((), False), (("--max-jobs-per-timespan", "50/1s"), True)):
        target = (*rate, "--", "results/demo/index/source.csv")
        result = subprocess.run(
            [*words, *target], cwd=folder, env=environment(), capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr[-2000:]
        assert ("timer" in result.stderr.split()) == timers


def test_who_waits_for_people_is_told_the_command_as_it_was_typed(tmp_path):
    folder = make_project(tmp_path, annotation_mode="manual")
    (folder / "mine").mkdir()
    (folder / "mine/config.yaml").write_text("retries: 2\n")
    typed = ("--workflow-profile", "mine", "--sdm", "env-modules", "--directory", ".")
    typed += ("-p", "-n")
    result = snakemake(folder, *typed, "-R", "index_source", "-F", "select")
    assert result.returncode == 0, result.stderr[-2000:]
    told = re.search(r"--go-on '(.*?)'", result.stdout)[1].split()
    assert told == ["snakemake", "--cores", "2", *typed, "--configfile", "tiny.yaml"]
    # In no job of a scheduler, whose own Snakemake was started with other words.
    text = (WORKFLOW / "rules/annotate.smk").read_text()
    assert re.search(r"(?m)^localrules:\n +hand_over,$", text)


INVALID = "slurm_load_jobs error: Invalid job id specified"
NO_ANSWER = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


@pytest.mark.parametrize(
    ("scontrol", "sacct", "state"),
    [
        (("JobId=7 JobName=x\n   JobState=RUNNING Reason=None", 0), None, "running"),
        (("JobId=7 JobName=x\n   JobState=COMPLETED Reason=None", 0), None, "success"),
        (("JobId=7 JobName=x\n   JobState=OUT_OF_MEMORY Reason=x", 0), None, "failed"),
        ((NO_ANSWER, 1), None, "running"),
        ((NO_ANSWER, 1), ("FAILED", 0), "running"),
        ((INVALID, 1), None, "failed"),
        ((INVALID, 1), ("COMPLETED", 0), "success"),
        ((INVALID, 1), ("CANCELLED by 1000", 0), "failed"),
        ((INVALID, 1), ("TIMEOUT\nCOMPLETED", 0), "failed"),
        ((INVALID, 1), ("RUNNING", 0), "running"),
        ((INVALID, 1), ("PREEMPTED", 0), "failed"),
        ((INVALID, 1), ("", 0), "failed"),
        ((INVALID, 1), ("Slurm accounting storage is disabled", 1), "failed"),
        ((INVALID, 1), ("sacct: error: Problem talking to the database", 1), "running"),
    ],
)
def test_a_job_fails_only_where_slurm_says_so(tmp_path, scontrol, sacct, state):
    for name, said in (("scontrol", scontrol), ("sacct", sacct)):
        if said:
            text, code = said
            goes_to = ">&2" if code else ""
            words = f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(text)} {goes_to}\nexit {code}\n"
            (tmp_path / name).write_text(words)
            (tmp_path / name).chmod(0o755)
    (tmp_path / "sed").symlink_to("/bin/sed")  # and nothing else: a real sacct least of all
    result = subprocess.run(
        ["/bin/sh", PROFILES / "cluster-generic/status", "7"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.returncode) == (f"{state}\n", 0), result.stderr


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
