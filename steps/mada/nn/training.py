"""The training loop that every training step shares: schedule, history, resume, evaluation."""

import hashlib
import json
import logging
import math
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from mada.cli import InputError, Interrupted, progress
from mada.files import sha256
from mada.nn.checkpoints import load_plain, save_bytes
from mada.nn.runtime import Runtime


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
    writes : bool
        Whether this process writes the state and holds the lock, as one of several does; all of
        them read.

    Raises
    ------
    InputError
        If another process is training the same output.
    """

    def __init__(self, output: Path, settings: dict, inputs: list[Path], writes: bool = True):
        code = sorted(Path(__file__).parents[2].rglob("*.py"))
        hashes = [sha256(path) for path in [*inputs, *code]]
        key = json.dumps([settings, torch.__version__, hashes], sort_keys=True)
        self.root, self.writes = output.with_name(f".resume-{output.stem}"), writes
        self.root.mkdir(parents=True, exist_ok=True)
        self.file = self.root / hashlib.sha256(key.encode()).hexdigest()[:16] / "state.pt"
        self.lock = FileLock(self.root / "lock", timeout=0)
        try:
            if writes:
                self.lock.acquire()
        except Timeout as error:
            raise InputError(f"{self.root}: another process is training {output}") from error

    def load(self) -> dict | None:
        return load_plain(self.file) if self.file.is_file() else None

    def save(self, value: dict) -> None:
        if self.writes:
            save_bytes(value, self.file)

    def remove(self) -> None:
        """Forget the state: the declared output stands."""
        if self.writes:
            self.lock.release()
            shutil.rmtree(self.root, ignore_errors=True)


@contextmanager
def watched_for_termination() -> Iterator[Callable[[], bool]]:
    """Hold back SIGTERM, by which a scheduler gives notice; yield whether it has come."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)


def train(
    run_iteration: Callable[[int, Any], dict[str, Tensor]],
    make_batches: Callable[[int], Any],
    stateful: Mapping[str, Any],
    iterations: int,
    runtime: Runtime,
    resume: ResumeState,
    save_every: int,
    evaluate: Callable[[], float] | None = None,
    evaluate_every: int = 0,
) -> pd.DataFrame:
    """Run a training to its last iteration, from wherever an earlier attempt left off.

    Parameters
    ----------
    run_iteration : callable
        Takes the iteration (from 0) and its batches; returns this process's share of each loss.
    make_batches : callable
        Takes the first iteration; returns an iterator over the batches from there.
    stateful : mapping
        Everything that changes during training, each with state_dict and load_state_dict.
    save_every : int
        Iterations between resume states; 0 keeps none.  The last iteration's is kept too, so that
        a kill while its network is scored and written costs no iteration.
    evaluate : callable or None
        Returns mIoU on the tuning split; called every ``evaluate_every`` iterations.  It only
        watches: the result is the last iterate in any case.

    Returns
    -------
    pd.DataFrame
        iteration (from 1), one column per loss, and tune_miou where it was measured.

    Raises
    ------
    InputError
        If a loss is no longer finite.
    Interrupted
        If SIGTERM came: the state is saved first, whatever ``save_every``.
    """
    start, rows = 0, []
    saved = resume.load()
    runtime.wait()  # with no iteration left, the state could be gone before the last had read it
    if saved is not None:
        start, rows = saved["iteration"], saved["history"]
        for name, thing in stateful.items():
            thing.load_state_dict(saved["state"][name])
        logging.info("going on from iteration %d of %d", start, iterations)
    with watched_for_termination() as terminated:
        batches = make_batches(start)
        for iteration in progress(range(start, iterations), "training", iterations, start):
            shares = run_iteration(iteration, next(batches))
            done = iteration + 1
            losses, stop = _added_up(shares, terminated(), runtime)
            row = {"iteration": done, **losses}
            if evaluate is not None and evaluate_every and done % evaluate_every == 0:
                row["tune_miou"] = evaluate()
                logging.info("iteration %d: mIoU %.4f on the tuning split", done, row["tune_miou"])
            rows.append(row)
            if stop or (save_every and (done % save_every == 0 or done == iterations)):
                state = {name: thing.state_dict() for name, thing in stateful.items()}
                resume.save({"iteration": done, "history": rows, "state": state})
                if stop:
                    raise Interrupted(
                        f"{resume.root}: terminated, iteration {done} of {iterations} is saved; "
                        "the same command goes on from there"
                    )
    return pd.DataFrame(rows)


def _added_up(
    shares: dict[str, Tensor], stop: bool, runtime: Runtime
) -> tuple[dict[str, float], bool]:
    """The losses of the whole batch, and whether any process is to stop."""
    values = [share.detach().float() for share in shares.values()]
    flag = torch.tensor(float(stop), device=runtime.device)
    *losses, stops = runtime.total(torch.stack([*values, flag])).tolist()
    named = dict(zip(shares, losses, strict=True))
    wrong = [f"{name} {value}" for name, value in named.items() if not math.isfinite(value)]
    if wrong:
        raise InputError(
            f"training: expected finite losses, found {', '.join(wrong)}; a smaller learning rate "
            "may help"
        )
    return named, stops > 0
