"""Kill runs of the tiny pipeline at random moments and compare the results with a quiet run's.

    python tests/kill_at_random.py [--kills 20] [--seed 0]

Each kill is a ``kill -9`` of a step, of Snakemake (whose step lives on) or of everything at once,
at a random moment of a training, an extraction or a clustering.  After each, every result that
stands must have the bytes of the uninterrupted run, and the same command must go on; in the end
none may be missing, and nothing else may be left beside them.  Last, a training on a full and on a
read-only disk must say so, leave no model, and go on to the same bytes once there is room; the disk
is a tmpfs, so that only root gets this far.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "steps"))
from test_pipeline import (  # noqa: E402
    M4,
    ROUND,
    WARMUP,
    checksums,
    command,
    environment,
    make_project,
    snakemake,
)

# Long enough to be hit within, not only while they start.
SETTINGS = {
    "variants": ["M4"],
    "save_every": 7,
    "warmup": {"iterations": 60},
    "finetune": {"iterations": 60},
    "adapt": {"iterations": 60, "pseudo_source": "fixed"},
}
# In order of the pipeline: the rule, its step, what it makes, where its duration is noted.
VICTIMS = (
    ("warmup", "warmup", f"{WARMUP}/model.pt", f"{WARMUP}/warmup"),
    (
        "extract_source_features",
        "extract_features",
        f"{WARMUP}/features/source.npy",
        f"{WARMUP}/features/source",
    ),
    (
        "cluster_source_anchors",
        "cluster_anchors",
        f"{WARMUP}/anchors/source-K3.npy",
        f"{WARMUP}/anchors/source-K3",
    ),
    ("finetune", "finetune", f"{ROUND}/finetune/model.pt", f"{ROUND}/finetune"),
    ("adapt", "adapt", f"{ROUND}/adapt/M4-V2/model.pt", f"{ROUND}/adapt-M4-V2"),
)
WHO = ("the step", "Snakemake", "everything")
TRIES = 3  # a moment's, where the step was quicker than it
PATIENCE = 180  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="spread over five steps; 0: none")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    chance, started = random.Random(args.seed), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        quiet = make_project(Path(name) / "quiet", **SETTINGS)
        finish(quiet)
        reference = checksums(quiet)
        say(f"uninterrupted: {len(reference)} results", started)
        folder = make_project(Path(name) / "killed", **SETTINGS)
        counts: Counter[str] = Counter()
        for number in range(args.kills):
            rule, step, target, benchmark = VICTIMS[number * len(VICTIMS) // args.kills]
            who, workers = WHO[number % len(WHO)], number % 3
            duration = pd.read_csv(quiet / f"logs{benchmark[7:]}.tsv", sep="\t")["s"].item()
            moment = kill(folder, rule, step, target, who, workers, duration, chance)
            standing = compare(folder, reference)
            counts[who] += 1
            text = f"{step}: kill -9 of {who} after {moment:.1f} s, {len(standing)} results stand"
            say(text, started)
        finish(folder)
        standing = compare(folder, reference)
        missing = sorted(set(reference) - standing)
        if missing:
            raise SystemExit(f"error: expected every result, found none of {missing}")
        spread = ", ".join(f"{count} of {who}" for who, count in counts.items())
        say(
            f"{counts.total()} kills ({spread}): {len(standing)} results, 0 lost, 0 corrupt",
            started,
        )
        if os.geteuid() != 0:
            raise SystemExit("error: the full disk is left to try: expected root, to mount a tmpfs")
        spoil_the_disk(make_project(Path(name) / "spoilt", **SETTINGS), reference)
        say("a full and a read-only disk: each said in one line, and gone on from", started)


def say(text: str, started: float) -> None:
    print(f"{time.monotonic() - started:4.0f} s  {text}", flush=True)


def finish(folder: Path) -> None:
    """Build everything to M4, as a user does after an interruption, and wait for its end, which
    must leave no scraps."""
    while any(processes(folder, step) for _, step, *_ in VICTIMS):
        time.sleep(0.1)  # one that outlived its Snakemake locks its training
    snakemake(folder, "--unlock")
    result = snakemake(folder, "--rerun-incomplete", M4)
    if result.returncode != 0:
        raise SystemExit(f"{result.stderr[-6000:]}\nerror: expected the run to end well")
    results = folder / "results"
    names = (path.relative_to(results).as_posix() for path in results.rglob("*"))
    left = sorted(name for name in names if is_scrap(name))
    if left:
        raise SystemExit(f"error: expected no scraps once all is built, found {left}")


def compare(folder: Path, reference: dict[str, str]) -> set[str]:
    """Names of the results in place, each of which must have the reference's bytes."""
    found = {n: s for n, s in checksums(folder).items() if not is_scrap(n)}
    wrong = sorted(name for name in found if found[name] != reference.get(name))
    if wrong:
        raise SystemExit(
            f"error: expected the bytes of the uninterrupted run, found others: {wrong}"
        )
    return set(found)


def is_scrap(name: str) -> bool:
    """What a killed step leaves beside its outputs: states to go on from, files half written."""
    return any(part.startswith(".resume-") or part.endswith(".partial") for part in name.split("/"))


def kill(
    folder: Path,
    rule: str,
    step: str,
    target: str,
    who: str,
    workers: int,
    duration: float,
    chance: random.Random,
) -> float:
    """Run towards a target and kill at a random moment of its step; return the seconds waited."""
    for _ in range(TRIES):
        snakemake(folder, "--unlock")
        again = ("--forcerun", rule) if (folder / target).exists() else ()
        words = command(target, "--rerun-incomplete", *again)
        words += ["--config", f"loader_workers={workers}"]
        run = subprocess.Popen(
            words,
            cwd=folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not processes(folder, step) and run.poll() is None:
            if time.monotonic() > deadline:
                raise SystemExit(f"error: expected {step} to run within {PATIENCE} s")
            time.sleep(0.02)
        moment = chance.uniform(0, duration)
        time.sleep(moment)
        victims = processes(folder, step)
        if victims and run.poll() is None:
            if who == "everything":
                os.killpg(run.pid, signal.SIGKILL)
            for pid in [run.pid] if who == "Snakemake" else victims if who == "the step" else []:
                os.kill(pid, signal.SIGKILL)
            run.wait(PATIENCE)
            return moment
        run.wait(PATIENCE)
    raise SystemExit(f"error: expected to catch {step} within {TRIES} runs")


def processes(folder: Path, step: str) -> list[int]:
    """Process ids of a step that works in a folder, its loader workers included."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            if f"steps/{step}.py".encode() in words and (place / "cwd").readlink() == folder:
                found.append(int(place.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def spoil_the_disk(folder: Path, reference: dict[str, str]) -> None:
    """Train where a model fits but no state beside it, then where nothing can be written at all,
    and then where there is room."""
    results = folder / "results"
    results.mkdir()
    log = folder / "logs" / WARMUP.removeprefix("results/") / "warmup.log"
    call("mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", results)
    try:
        full = snakemake(folder, f"{WARMUP}/model.pt", "--rerun-incomplete")
        told(full, log.read_text(), r"error: .*No space left.*")
        compare(folder, reference)
        call("mount", "-o", "remount,ro", results)
        unwritable = snakemake(folder, f"{WARMUP}/model.pt", "--rerun-incomplete")
        # Snakemake itself does not start a step there.
        told(unwritable, unwritable.stderr, r"OSError: .*Read-only file system.*")
        compare(folder, reference)
        call("mount", "-o", "remount,rw,size=2g", results)
        finish(folder)
        compare(folder, reference)
    finally:
        call("umount", results)


def told(result: subprocess.CompletedProcess, text: str, pattern: str) -> None:
    """The run must have failed, and its text hold one such line, which names a result."""
    lines = [line for line in text.splitlines() if re.fullmatch(pattern, line)]
    if result.returncode == 0 or len(lines) != 1 or "results/" not in lines[0]:
        raise SystemExit(f"{text[-3000:]}\nerror: expected one line with a file's name, {pattern}")
    print(f"        {lines[0]}")


def call(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)


if __name__ == "__main__":
    main()
