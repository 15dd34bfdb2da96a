"""Leave word where annotators' work is waited for, and keep what they were given.

Inputs   manifest, pre-annotations, bundle
Outputs  WAITING.md; in the run's annotation folder handed-out/ (manifest and pre-annotations) and
         returned/, which is the annotators': nothing in it is ever changed

Once something lies in returned/ the selection stands, whatever a later run of the model would
select, and nothing else may be handed out in its place.
"""

import argparse
import shutil
from pathlib import Path

from mada.annotation.bundle import LABELS
from mada.annotation.handover import HANDED_OUT, RETURNED, returned_files
from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import atomic_directory, atomic_path, read_csv

WAITING = """\
# Waiting for annotations

{count} images wait to be labelled. The bundle holds all that annotators need: start with its
README.txt and gallery.html.

    {bundle}/

Put what they hand back, a folder or the zip file that their tool wrote, into

    {returned}/

where nothing is ever changed or deleted. Then go on with

    {command}
"""


def main(args: argparse.Namespace) -> None:
    manifest = read_csv(args.manifest, ("image_id",))
    given, returned = args.folder / HANDED_OUT, args.folder / RETURNED
    if returned_files(returned):
        before = read_csv(existing_manifest(given), ("image_id",))
        if set(before["image_id"]) != set(manifest["image_id"]):
            raise InputError(
                f"{returned}: expected nothing, since another selection is to be handed out, found "
                "the annotations of an earlier one; move them away, or run without this target "
                "and they are used as they are"
            )
    else:
        returned.mkdir(parents=True, exist_ok=True)
        with atomic_directory(given) as folder:
            shutil.copyfile(args.manifest, folder / "manifest.csv")
            shutil.copytree(args.pre_annotations / LABELS, folder / LABELS)
    text = WAITING.format(
        count=len(manifest), bundle=args.bundle, returned=returned, command=args.go_on
    )
    with atomic_path(args.output) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"{args.output}: {len(manifest)} images wait for annotations in {returned}")


def existing_manifest(given: Path) -> Path:
    """The manifest of what was handed out; InputError if it is gone."""
    if not (given / "manifest.csv").is_file():
        raise InputError(f"{given / 'manifest.csv'}: expected what was handed out, found none")
    return given / "manifest.csv"


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--manifest", required=True, type=existing_file)
    parser.add_argument("--pre-annotations", required=True, type=Path, help="folder of labels/")
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--folder", required=True, type=Path, help="annotations of this run")
    parser.add_argument("--go-on", required=True, help="command that goes on when they are there")
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
