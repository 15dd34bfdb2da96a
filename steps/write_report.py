"""Write the report of a run: one page that needs no other file and no network.

Inputs   selection (JSON, from describe_selection), pictures (PNG) with their captions, settings;
         where there are scores the table of the ladder (CSV and Markdown)
Output   HTML: what was selected and why, what it gained in all and by class, the pictures, what
         none of this shows, settings and versions

Images are part of the page, scaled down, as PNG or JPEG, whichever is smaller.
"""

import argparse
import json
import platform
from pathlib import Path

import jinja2
import pandas as pd
from PIL import Image

from mada import report
from mada.cli import InputError, StepParser, existing_file, positive_int, refuse, run_step
from mada.figures import three_digits
from mada.files import atomic_path, read_csv
from mada.images import read_image
from mada.labels import class_set, class_set_name
from mada.selections import by_anchor, read_selection, thumbnail
from mada.version import VERSION

TEMPLATES = Path(__file__).parent / "mada" / "templates"
PICTURES = {
    "features": "Image-level features of both domains",
    "histories": "Losses of every training",
    "classes": "IoU by class",
    "confusion": "What each class is taken for",
    "panels": "Predictions",
}
SCORED = ("classes", "confusion")  # pictures that a report with scores needs
WIDEST = 1400  # pixels of a picture
THUMBNAIL, SOURCE_THUMBNAIL = 300, 200  # pixels of an image in the gallery
QUALITY, THUMBNAIL_QUALITY = 88, 80  # of JPEG


def inlined(image: Image.Image, quality: int) -> dict:
    return {
        "uri": report.data_uri(image, quality),
        "width": image.width,
        "height": image.height,
    }


def thumb(row: dict, domain: str, width: int) -> dict:
    """An image of the gallery, and what is said of it."""
    shown = inlined(thumbnail(row["image"], width), THUMBNAIL_QUALITY)
    shown |= {"image_id": row["image_id"], "alt": f"{domain} image {row['image_id']}"}
    if "rank" in row:
        shown |= {"rank": row["rank"], "score": three_digits(row["score"])}
    return shown


def gallery(selection: dict, limit: int) -> list[dict]:
    """The anchors that images were selected at, with their pictures."""
    return [
        {"number": number}
        | {name: anchor[name] for name in ("source_images", "pool_images", "selected_images")}
        | {
            "source": [
                thumb(row, "Source", SOURCE_THUMBNAIL) for row in anchor["closest_source_images"]
            ],
            "rows": [thumb(row, "Selected", THUMBNAIL) for row in rows],
        }
        for number, anchor, rows in by_anchor(selection, limit)
    ]


def cards(scores: pd.DataFrame, strategy: str, last: str) -> list[dict]:
    """The figures to see first: M0, the last rung, Mu."""
    rows = report.pooled(scores)
    notes = {
        ("M0", "-"): "before any label",
        (last, strategy): "with the selected labels",
        ("Mu", "all"): "with all labels",
    }
    shown = []
    for row, note in notes.items():
        if row in rows.index:
            mean, deviation, seeds = rows.loc[row]
            value = f"{mean:.1f} %"
            if seeds > 1:
                value, note = f"{mean:.1f} ± {deviation:.1f} %", f"{note}, {seeds:.0f} seeds"
            shown.append({"name": f"mIoU of {row[0]}", "value": value, "note": note})
    return shown


def class_table(rows: pd.DataFrame, strategy: str, last: str) -> dict:
    """IoU of every class and row of the ladder, and what the last rung gained over M0."""
    gain = rows[last, strategy] - rows["M0", "-"]
    columns = [[*("-" if pd.isna(v) else f"{v:.1f}" for v in rows[key])] for key in rows]
    columns.append(["-" if pd.isna(v) else f"{v:+.1f}" for v in gain])
    head = ["class", *((variant, "" if s in ("-", "all") else s) for variant, s in rows.columns)]
    return {
        "head": [*head, (f"{last} − M0", "")],
        "rows": [*zip(rows.index, *columns, strict=True)],
        "numbers": [False] + [True] * len(columns),
    }


def labelled_tables(markdown: str) -> list[dict]:
    """The blocks of a table's Markdown; a paragraph that ends in a colon is the next's label."""
    blocks, label = [], "Rows of the ladder, mIoU in percent"
    for block in report.read_markdown(markdown):
        if "text" in block and block["text"].endswith(":"):
            label = block["text"].removesuffix(":")
        else:
            blocks.append(block | {"label": label})
    return blocks


def scored(args: argparse.Namespace, strategy: str, last: str) -> dict:
    """What a report says of scores."""
    scores = read_csv(args.scores, ("seed", "strategy", "variant", "images", "miou"))
    rows = report.class_rows(scores, class_set(args.classes).names)
    return {
        "cards": cards(scores, strategy, last),
        "tables": labelled_tables(args.table.read_text()),
        "findings": report.findings(scores, strategy, last),
        "class_findings": report.class_findings(rows, strategy, last),
        "class_table": class_table(rows, strategy, last),
        "limits": report.limits(scores, json.loads(args.settings), args.scored_on),
    }


def two_columns(head: tuple[str, str], rows: list[tuple[str, str]]) -> dict:
    return {"head": list(head), "rows": rows, "numbers": [False, False]}


def middle_half(quartiles: list[float]) -> str:
    return f"{three_digits(quartiles[0])} to {three_digits(quartiles[2])}"


def read_pictures(args: argparse.Namespace) -> dict[str, dict]:
    """Name -> picture as part of the page, with title and caption."""
    files = {name: (Path(png), Path(text)) for name, png, text in args.picture}
    needed = {"features", "histories", *(SCORED if args.scores else ())}
    refuse(
        [f"--picture: expected one of {[*PICTURES]}, found {n!r}" for n in files.keys() - PICTURES]
        + [f"--picture: expected {name}, found none" for name in sorted(needed - files.keys())]
        + [
            f"{path}: expected a file, found none"
            for both in files.values()
            for path in both
            if not path.is_file()
        ],
        "the pictures",
    )
    return {
        name: inlined(report.fitted(read_image(png), WIDEST), QUALITY)
        | {"title": PICTURES[name], "caption": report.caption(text)}
        for name, (png, text) in files.items()
    }


def main(args: argparse.Namespace) -> None:
    if (args.scores is None) != (args.table is None):
        raise InputError("--scores: expected --table beside it, found one alone")
    settings, selection = json.loads(args.settings), read_selection(args.selection)
    strategy, seeds = selection["strategy"], settings["seeds"]
    last = (settings["variants"] or ["M1"])[-1]
    count, total = len(selection["anchors"]), len(selection["selected"])
    content = {"cards": [], "tables": [], "limits": report.limits(None, settings, None)}
    if args.scores is not None:
        content |= scored(args, strategy, last)
    content |= {
        "preset": settings["preset"],
        "strategy": strategy,
        "rule": selection["rule"],
        "budget": ", then ".join(map(str, settings.get("rounds") or [settings["budget"]])),
        "method": settings["warmup_method"],
        "seeds": f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}",
        "first_seed": seeds[0] if len(seeds) > 1 else None,
        "pool": selection["pool_images"],
        "selected": total,
        "shown": min(total, args.limit),
        "anchors": f"{count} group{'s' if count > 1 else ''} (K = {count})",
        "pool_distance": middle_half(selection["pool_distance_quartiles"]),
        "selected_distance": middle_half(selection["selected_distance_quartiles"]),
        "adjacent": selection["adjacent_picks"],
        "groups": gallery(selection, args.limit),
        "pictures": read_pictures(args),
        "setting_table": two_columns(("setting", "value"), report.flattened(settings)),
        "version_table": two_columns(
            ("package", "version"),
            [
                ("mada", VERSION),
                ("python", platform.python_version()),
                *report.versions(args.lock.read_text()),
            ],
        ),
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("report.html").render(content)
    with atomic_path(args.output) as partial:
        partial.write_text(page, encoding="utf-8")
    print(f"{args.output}: {len(page) / 1e6:.1f} MB")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--selection", required=True, type=existing_file)
    parser.add_argument(
        "--picture",
        required=True,
        action="append",
        nargs=3,
        metavar=("NAME", "PNG", "CAPTION"),
        help=f"one of {', '.join(PICTURES)}",
    )
    parser.add_argument("--scores", type=existing_file, help="CSV of the ladder")
    parser.add_argument("--table", type=existing_file, help="the same as Markdown")
    parser.add_argument("--scored-on", choices=("val", "holdout"))
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--settings", required=True, help="JSON, in the order to show them in")
    parser.add_argument("--lock", required=True, type=existing_file, help="pinned versions")
    parser.add_argument("--limit", type=positive_int, default=40, help="images to show at most")
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
