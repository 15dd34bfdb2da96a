"""Check what the configuration asks of the data sets, before anything trains.

Inputs   source and target indexes, strategies, a budget, several to choose from or rounds, numbers
         of anchors, lists of ids, variants that learn from images without annotation
Output   JSON: the numbers of images
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from mada.acquisition import load_strategies, pair_problems
from mada.cli import InputError, StepParser, existing_file, refuse, run_step
from mada.files import read_index, write_json
from mada.manifest import budget_count, check_lists, held_out_ids, read_ids


def main(args: argparse.Namespace) -> None:
    source, target = read_index(args.source), read_index(args.target)
    known = sorted(load_strategies())
    problems = [
        f"strategy: expected one of {known}, found {name!r}"
        for name in args.strategies
        if name not in known
    ]
    problems += pair_problems(args.strategies, len(target))
    for name, count, index, path in (
        ("source_anchors", args.source_anchors, source, args.source),
        ("target_anchors", args.target_anchors, target, args.target),
    ):
        if count > len(index):
            problems.append(
                f"{name}: expected at most the {len(index)} images of {path}, found {count}"
            )
    rounds = {f"rounds.{place}": budget for place, budget in enumerate(args.rounds or [])}
    lists = set(target["id"]), set(read_ids(args.exclude)), set(read_ids(args.include))
    for budgets in [rounds] if rounds else [{"budget": budget} for budget in args.budget]:
        problems += budget_problems(budgets, *lists, args.unlabelled_for, args.holdout)
    refuse(problems, "the configuration")
    write_json(args.output, {"source": len(source), "target": len(target)})


def budget_problems(
    budgets: dict[str, str],
    known: set[str],
    exclude: set[str],
    include: set[str],
    unlabelled_for: Sequence[str] = (),
    holdout: float = 0,
) -> list[str]:
    """Return what of the budgets, by setting, and of the lists of ids the images cannot give.

    The include list is of the first round, and 100 % of a later one all that are left.
    Variants in ``unlabelled_for`` need images without annotation, which excluded ones are too.
    Of each round's annotations the share ``holdout`` is kept from training.
    """
    problems, counts = [], []
    for name, budget in budgets.items():
        try:
            counts.append(budget_count(budget, len(known), len(exclude) + sum(counts)))
            if counts[-1] < 1:
                problems.append(f"{name}: expected images that are left to label, found none")
                continue
            held_out_ids(range(counts[-1]), holdout)
            if len(counts) == 1:
                check_lists(known, counts[0], exclude, include)
        except InputError as error:
            problems.append(re.sub("^budget:", f"{name}:", str(error)))
    left = len(known) - len(exclude)
    if not problems and sum(counts) > left:
        problems.append(
            f"rounds: expected at most {left} images in all, the exclude list left out, "
            f"found {sum(counts)}"
        )
    if not problems and sum(counts) == len(known):
        problems += [
            f"variants: {variant} needs images without annotation, found that all {len(known)} "
            "are to be annotated"
            for variant in unlabelled_for
        ]
    return problems


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--source", required=True, type=existing_file)
    parser.add_argument("--target", required=True, type=existing_file)
    parser.add_argument("--strategies", required=True, nargs="+")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--budget", nargs="+", help="each of these on its own")
    budget.add_argument("--rounds", nargs="+", help="budgets of several rounds")
    parser.add_argument("--source-anchors", required=True, type=int)
    parser.add_argument("--target-anchors", required=True, type=int)
    parser.add_argument(
        "--unlabelled-for", nargs="*", default=[], help="variants that need unannotated images"
    )
    parser.add_argument(
        "--holdout", type=float, default=0, help="share of the annotations that is not trained with"
    )
    parser.add_argument("--exclude", type=existing_file)
    parser.add_argument("--include", type=existing_file)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
