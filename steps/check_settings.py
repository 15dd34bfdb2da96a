"""Check what the configuration asks of the data sets, before anything trains.

Inputs   source and target indexes, strategies, budget, numbers of anchors, lists of ids
Output   JSON: the numbers of images
"""

import argparse
from pathlib import Path

from mada.acquisition import load_strategies
from mada.cli import InputError, StepParser, existing_file, refuse, run_step
from mada.files import read_index, write_json
from mada.manifest import budget_count, check_lists, read_ids


def main(args: argparse.Namespace) -> None:
    source, target = read_index(args.source), read_index(args.target)
    known = sorted(load_strategies())
    problems = [
        f"strategy: expected one of {known}, found {name!r}"
        for name in args.strategies
        if name not in known
    ]
    for name, count, index, path in (
        ("source_anchors", args.source_anchors, source, args.source),
        ("target_anchors", args.target_anchors, target, args.target),
    ):
        if count > len(index):
            problems.append(
                f"{name}: expected at most the {len(index)} images of {path}, found {count}"
            )
    try:
        exclude, include = read_ids(args.exclude), read_ids(args.include)
        count = budget_count(args.budget, len(target), len(set(exclude)))
        check_lists(set(target["id"]), count, exclude, include)
    except InputError as error:
        problems.append(str(error))
    refuse(problems, "the configuration")
    write_json(args.output, {"source": len(source), "target": len(target)})


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--source", required=True, type=existing_file)
    parser.add_argument("--target", required=True, type=existing_file)
    parser.add_argument("--strategies", required=True, nargs="+")
    parser.add_argument("--budget", required=True)
    parser.add_argument("--source-anchors", required=True, type=int)
    parser.add_argument("--target-anchors", required=True, type=int)
    parser.add_argument("--exclude", type=existing_file)
    parser.add_argument("--include", type=existing_file)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
