"""The training loop that every training step shares: schedule, history, resume, evaluation."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from mada.cli import InputError, progress
from mada.files import sha256
from mada.nn.checkpoints import load_plain, save_bytes


class ResumeState:
    """Where an interrupted training left off, kept beside the output under a hash of its inputs.

    The folder is not a declared output, since Snakemake deletes those of failed jobs.  It is
    locked while in use: a step can outlive the Snakemake that started it.

    Parameters
    ----------
    output : Path
        The model that the training will write.
    settings : dict
        Plain values that determine the result.
    inputs : list of Path
        Files that determine the result.

    Raises
    ------
    InputError
        If another process is training the same output.
    """

    def __init__(self, output: Path, settings: dict, inputs: list[Path]):
        code = sorted(Path(__file__).parents[2].rglob("*.py"))
        key = json.dumps([settings, [sha256(path) for path in [*inputs, *code]]], sort_keys=True)
        self.root = output.with_name(f".resume-{output.stem}")
        self.root.mkdir(parents=True, exist_ok=True)
        self.file = self.root / hashlib.sha256(key.encode()).hexdigest()[:16] / "state.pt"
        self.lock = FileLock(self.root / "lock", timeout=0)
        try:
            self.lock.acquire()
        except Timeout as error:
            raise InputError(f"{self.root}: another process is training {output}") from error

    def load(self) -> dict | None:
        return load_plain(self.file) if self.file.is_file() else None

    def save(self, value: dict) -> None:
        save_bytes(value, self.file)

    def remove(self) -> None:
        """Forget the state: the declared output stands."""
        self.lock.release()
        shutil.rmtree(self.root, ignore_errors=True)


def train(
    run_iteration: Callable[[int, Any], dict[str, float]],
    make_batches: Callable[[int], Any],
    stateful: Mapping[str, Any],
    iterations: int,
    resume: ResumeState,
    save_every: int,
    evaluate: Callable[[], float] | None = None,
    evaluate_every: int = 0,
) -> pd.DataFrame:
    """Run a training to its last iteration, from wherever an earlier attempt left off.

    Parameters
    ----------
    run_iteration : callable
        Takes the iteration (from 0) and its batches; returns the losses by name.
    make_batches : callable
        Takes the first iteration; returns an iterator over the batches from there.
    stateful : mapping
        Everything that changes during training, each with state_dict and load_state_dict.
    save_every : int
        Iterations between resume states; 0 keeps none.
    evaluate : callable or None
        Returns mIoU on the tuning split; called every ``evaluate_every`` iterations.  It only
        watches: the result is the last iterate in any case.

    Returns
    -------
    pd.DataFrame
        iteration (from 1), one column per loss, and tune_miou where it was measured.
    """
    start, rows = 0, []
    saved = resume.load()
    if saved is not None:
        start, rows = saved["iteration"], saved["history"]
        for name, thing in stateful.items():
            thing.load_state_dict(saved["state"][name])
        logging.info("going on from iteration %d of %d", start, iterations)
    batches = make_batches(start)
    for iteration in progress(range(start, iterations), "training", iterations, start):
        row = {"iteration": iteration + 1, **run_iteration(iteration, next(batches))}
        done = iteration + 1
        if evaluate is not None and evaluate_every and done % evaluate_every == 0:
            row["tune_miou"] = evaluate()
            logging.info("iteration %d: mIoU %.4f on the tuning split", done, row["tune_miou"])
        rows.append(row)
        if save_every and done % save_every == 0 and done < iterations:
            state = {name: thing.state_dict() for name, thing in stateful.items()}
            resume.save({"iteration": done, "history": rows, "state": state})
    return pd.DataFrame(rows)
