"""The report: one page that needs nothing else, says what was found, and is safe to open."""

import base64
import io
import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import browser
import write_report
from mada import report
from mada.class_tables import read_class_set
from mada.cli import InputError

REPOSITORY = Path(__file__).parents[1]
CAPTIONS = REPOSITORY / "workflow" / "report"
NASTY = "<img src=x onerror=alert(1)>&\"'"
CLASSES = ("road", "<b>car</b>", "traffic light")
VOID = {"meta", "link", "img", "br"}  # elements without an end
SETTINGS = {
    "preset": "demo",
    "seeds": [0],
    "tuning_split": True,
    "annotation_mode": "benchmark",
    "warmup_method": "adaptseg",
    "strategy": "mada",
    "budget": "5%",
    "exclude": f"{NASTY}.txt",
    "variants": ["M1+", "M4"],
    "network": {"backbone": "resnet18", "weights": "none"},
}
# mIoU of each row, by seed; of the classes the first has more, the second less, the third none.
MIOU = {
    ("M0", "-"): (20.0, 22.0, 21.0),
    ("M1", "mada"): (26.0, 27.0, 28.0),
    ("M1+", "mada"): (26.5, 27.5, 28.5),
    ("M4", "mada"): (27.0, 29.0, 28.0),
    ("M1", "random"): (27.0, 27.5, 26.0),
    ("Mu", "all"): (30.0, 32.0, 31.0),
}


def scores(seeds: int, rows: dict = MIOU) -> pd.DataFrame:
    """A ladder as tabulate_scores writes it."""
    lines = []
    for seed in range(seeds):
        for (variant, strategy), values in rows.items():
            line = {"seed": seed, "strategy": strategy, "variant": variant, "iterations": 1250}
            line |= {"images": 100, "miou": values[seed], "iou_road": values[seed] + 30}
            lines.append(line | {"iou_<b>car</b>": values[seed], "iou_traffic_light": 0.0})
    return pd.DataFrame(lines)


@pytest.fixture
def run(tmp_path) -> Path:
    """A folder with all that a report is made of."""
    rng = np.random.default_rng(0)
    rows = []
    for n in range(6):
        path = tmp_path / f"{n}.png"
        Image.fromarray(rng.integers(0, 255, (64, 128, 3), dtype=np.uint8)).save(path)
        row = {"image_id": f"{n}-{NASTY}", "image": str(path), "rank": n + 1, "score": 9.0 - n}
        rows.append(row | {"anchor": n % 2, "distance": 1.0})
    source = [{"image_id": rows[5]["image_id"], "image": rows[5]["image"]}]
    anchor = {"source_images": 7, "pool_images": 50, "selected_images": 3}
    described = {"strategy": "mada", "rule": f"The furthest {NASTY}", "pool_images": 100}
    described |= {"anchors": [anchor | {"closest_source_images": source}] * 2, "selected": rows}
    described |= {"adjacent_picks": 2, "pool_distance_quartiles": [1.0, 2.0, 3.0]}
    described |= {"selected_distance_quartiles": [5.0, 6.0, 7.0]}
    (tmp_path / "selection.json").write_text(json.dumps(described))
    for name in write_report.PICTURES:
        Image.new("RGB", (1800, 900), (255, 250, 240)).save(tmp_path / f"{name}.png")
    table = [{"name": n, "ids": [i], "colour": [i, 9, 9]} for i, n in enumerate(CLASSES)]
    (tmp_path / "classes.json").write_text(json.dumps({"classes": table, "void_ids": [255]}))
    scores(1).to_csv(tmp_path / "ladder.csv", index=False)
    (tmp_path / "ladder.md").write_text(
        "| variant | mIoU % |\n|---|---:|\n| M0 | 21.4 |\n| M4 | 27.3 |\n\nOne seed.\n\n"
        "IoU % by class:\n\n| class | M4 |\n|---|---:|\n| <b>car</b> | 1.0 |\n"
    )
    (tmp_path / "lock.txt").write_text("# pinned\nnumpy==0.0\nfaiss-cpu==1.2.3\n")
    return tmp_path


def written(run: Path, *more: str, scored: bool = True, **settings) -> str:
    """The page, having been written with some settings."""
    names = write_report.PICTURES if scored else ("features", "histories")
    arguments = ["--selection", run / "selection.json", "--classes", run / "classes.json"]
    arguments += ["--settings", json.dumps(SETTINGS | settings), "--lock", run / "lock.txt"]
    for name in names:
        arguments += ["--picture", name, run / f"{name}.png", CAPTIONS / f"{name}.rst"]
    if scored:
        arguments += ["--scores", run / "ladder.csv", "--table", run / "ladder.md"]
        arguments += ["--scored-on", "val"]
    arguments += ["--output", run / "report.html", *more]
    write_report.main(write_report.parser().parse_args(list(map(str, arguments))))
    return (run / "report.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Elements with their attributes and texts; wrong nesting is an error."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[tuple[str, str]] = []  # innermost element, text
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], " ".join(data.split())))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag != "style")


def test_every_image_is_part_of_the_page_and_has_a_text(run):
    images = Page(written(run)).all("img")
    assert len(images) == 5 + 6 + 2  # pictures, selected images, one source image an anchor
    for image in images:
        kind, data = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", image["src"]).groups()
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as decoded:
            decoded.load()
            assert decoded.format.lower() == kind
            assert decoded.size == (int(image["width"]), int(image["height"]))
            assert decoded.width <= 1400
        assert image["alt"]


def test_the_page_asks_for_nothing_and_runs_nothing(run):
    text = written(run)
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= {
        *("html", "head", "meta", "title", "link", "style", "body", "header", "main", "footer"),
        *("nav", "section", "h1", "h2", "h3", "h4", "h5", "p", "b", "br", "span", "ul", "li", "a"),
        *("div", "figure", "figcaption", "img"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    }
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#")), tag
    assert "url(" not in text and "@import" not in text
    policy = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_what_comes_from_data_is_text_and_nothing_else(run):
    text = written(run)
    page = Page(text)
    assert NASTY not in text
    assert page.text.count(NASTY) >= 6 + 2 + 1 + 1  # images, source images, rule, setting
    assert "<b>car</b>" not in text and "<b>car</b>" in page.text
    assert any(NASTY in image["alt"] for image in page.all("img"))


def test_headings_go_down_step_by_step_and_tables_have_headers(run):
    page = Page(written(run))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    tables = len(page.all("table"))
    assert tables == 5 == len(page.all("caption"))  # ladder, two of classes, settings, versions
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    links = [link["href"].removeprefix("#") for link in page.all("a")]
    assert links and set(links) <= set(names)
    labelled = [a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a]
    assert set(labelled) <= set(names)


def test_the_page_says_what_was_selected_gained_and_not_shown(run):
    text = Page(written(run)).text
    for said in (
        "6 of 100 target images, selected by mada",
        "Budget 5%, warm-up adaptseg, seed 0.",
        "clustered into 2 groups (K = 2)",
        "1.00 to 3.00 in the pool, 5.00 to 7.00 among the selected",
        "beside another selected one in their sequence, with none of the pool between them, "
        "in video a near twin: 2.",
        "Anchor 0 Images nearest to it: 7 of the source, 50 of the pool, 3 of the selected.",
        f"1. score 9.00 0-{NASTY}",
        "What each class is taken for.",
        "M4 is 7.0 points above M0, 70 % of the way from M0 to Mu.",
        "1.0 points below M1 with as many by random. Here the selection did not pay.",
        "M4 is 0.5 points above M1+",
        "One seed. Another may well differ",
        "Scored on 100 images.",
        "no person labelled the selected images",
        "started from random weights",
    ):
        assert said in text, said
    assert "Selection and pictures are those of seed" not in text  # there is one
    assert "by rank are shown" not in text  # all are


def test_the_first_figures_are_those_of_no_labels_the_selected_and_all(run):
    page = Page(written(run))
    shown = [text for tag, text in page.texts if tag in ("span", "b")]
    at = shown.index("mIoU of M0")
    assert shown[at : at + 9] == [
        *("mIoU of M0", "20.0 %", "before any label"),
        *("mIoU of M4", "27.0 %", "with the selected labels"),
        *("mIoU of Mu", "30.0 %", "with all labels"),
    ]


def test_a_seed_that_lacks_a_row_is_in_no_difference_to_it():
    ladder = scores(2).iloc[:-2]  # without the second seed's random selection and Mu
    said = report.findings(ladder, "mada", "M4")
    assert said[0] == "M4 is 7.0 ± 0.0 points above M0, 70 % of the way from M0 to Mu."
    assert "is 1.0 points below M1 with as many by random." in said[1]


def test_the_table_of_classes_ends_with_what_the_last_rung_gained():
    columns = pd.MultiIndex.from_tuples([("M0", "-"), ("M4", "mada"), ("Mu", "all")])
    values = [[10.0, 30.04, 40.0], [50.0, 49.0, np.nan]]
    rows = pd.DataFrame(values, index=["road", "sky"], columns=columns)
    table = write_report.class_table(rows, "mada", "M4")
    assert table["head"] == ["class", ("M0", ""), ("M4", "mada"), ("Mu", ""), ("M4 − M0", "")]
    assert table["rows"] == [
        ("road", "10.0", "30.0", "40.0", "+20.0"),
        ("sky", "50.0", "49.0", "-", "-1.0"),
    ]


def test_a_table_of_the_ladder_has_the_label_that_stands_before_it(run):
    captions = [text for tag, text in Page(written(run)).texts if tag == "caption"]
    assert captions[:2] == ["Rows of the ladder, mIoU in percent", "IoU % by class"]
    (table,) = report.read_markdown("| a | b |\n|---|---:|\n| x | 1.0 |\n")
    assert table == {"head": ["a", "b"], "rows": [["x", "1.0"]], "numbers": [False, True]}


def test_all_labels_are_compared_with_as_such(run):
    rows = {**MIOU, ("M1", "all"): (28.0,)}
    scores(1, rows).to_csv(run / "ladder.csv", index=False)
    text = Page(written(run)).text
    assert "points below M1 with the labels of all images." in text
    assert "by all" not in text


def not_installed(name: str) -> str:
    raise report.metadata.PackageNotFoundError(name)


def test_versions_are_those_installed_else_those_pinned(run, monkeypatch):
    pinned = (run / "lock.txt").read_text()
    assert dict(report.versions(pinned))["numpy"] == np.__version__
    monkeypatch.setattr(report.metadata, "version", not_installed)
    assert report.versions(pinned) == [
        ("faiss-cpu", "1.2.3 (pinned)"),
        ("numpy", "0.0 (pinned)"),
    ]


def test_the_same_run_gives_the_same_page(run):
    assert written(run) == written(run)


def test_several_seeds_are_means_with_deviations_paired_by_seed(run):
    scores(3).to_csv(run / "ladder.csv", index=False)
    text = Page(written(run, seeds=[0, 1, 2])).text
    m0, m4 = np.array(MIOU["M0", "-"]), np.array(MIOU["M4", "mada"])
    upper = np.array(MIOU["Mu", "all"])
    gain = m4 - m0
    closed = round(100 * np.mean(gain / (upper - m0)))
    for said in (
        f"{m4.mean():.1f} ± {m4.std(ddof=1):.1f} % with the selected labels, 3 seeds",
        f"M4 is {gain.mean():.1f} ± {gain.std(ddof=1):.1f} points above M0, {closed} % of the way",
        "3 seeds: ± is a sample standard deviation",
        "warm-up adaptseg, seeds 0, 1, 2.",
        "Selection and pictures are those of seed 0.",
    ):
        assert said in text, said


def test_without_scores_the_page_says_so(run):
    page = Page(written(run, scored=False, validation_split=False))
    assert "No scores: validation_split is false, so nothing was evaluated." in page.text
    assert "what it gained is not known" in page.text
    assert "One seed." not in page.text and "mIoU of" not in page.text
    assert len(page.all("table")) == 2
    assert len(page.all("img")) == 2 + 6 + 2


@pytest.mark.parametrize("variants", [[], ["M1+"], ["M2"]])
def test_any_part_of_the_ladder_will_do(run, variants):
    last = (variants or ["M1"])[-1]
    rows = {("M0", "-"): (20.0,), ("M1", "random"): (25.0,), (last, "random"): (26.0,)}
    scores(1, rows).to_csv(run / "ladder.csv", index=False)
    described = json.loads((run / "selection.json").read_text()) | {"strategy": "random"}
    (run / "selection.json").write_text(json.dumps(described))
    text = Page(written(run, variants=variants, strategy="random")).text
    assert f"{last} is 6.0 points above M0." in text
    assert "with as many by" not in text and "Mu." not in text
    assert "M1+, which trained as long" not in text  # neither is compared with itself


def test_of_several_rounds_the_last_is_shown_and_the_page_says_so(run):
    text = Page(written(run, rounds=["2%", 4])).text
    assert "Budget 2%, then 4, warm-up" in text
    assert "The selection shown is that of the last round alone" in text
    assert "last round" not in Page(written(run, rounds=["6%"])).text


def test_many_images_are_cut_and_the_page_says_where(run):
    text = Page(written(run, "--limit", "2")).text
    assert "The first 2 by rank are shown." in text
    assert f"5-{NASTY}" in text  # a source image
    assert f"2-{NASTY}" not in text


def findings(rows: dict, seeds: int = 1, last: str = "M4") -> str:
    return " ".join(report.findings(scores(seeds, rows), "mada", last))


def test_the_way_from_no_labels_to_all_is_a_mean_of_each_seeds_share():
    rows = {("M0", "-"): (20, 20), ("M1", "mada"): (25, 30), ("M4", "mada"): (25, 30)}
    said = findings({**rows, ("Mu", "all"): (30, 60)}, 2)  # 5 of 10, 10 of 40
    assert "7.5 ± 3.5 points above M0, 38 % of the way from M0 to Mu." in said
    for upper in ((30, 20), (30, 15)):  # of no way, or one back, there is no share
        assert "of the way" not in findings({**rows, ("Mu", "all"): upper}, 2)


@pytest.mark.parametrize(
    ("random", "expected"),
    [
        (24.0, "is 1.0 points above M1 with as many by random."),
        (25.0, "is level with M1 with as many by random. Here the selection did not pay."),
        (26.0, "is 1.0 points below M1 with as many by random. Here the selection did not pay."),
    ],
)
def test_a_selection_that_did_not_pay_is_called_so(random, expected):
    rows = {("M0", "-"): (20.0,), ("M1", "mada"): (25.0,), ("M4", "mada"): (27.0,)}
    said = findings({**rows, ("M1", "random"): (random,), ("M4", "random"): (25.0,)})
    assert said == f"M4 is 7.0 points above M0. M1 with the images that mada selected {expected}"


LIMITS = {
    *("One seed.", "Scored on 100 images.", "started from random weights", "tuning split"),
    *("no person labelled", "The map of the features"),
}
OTHER_LIMITS = {
    *("validation_split is false", "2 seeds:", "selected like those trained with"),
    "of the last round alone",
}


@pytest.mark.parametrize(
    ("change", "gone", "told"),
    [
        ({}, set(), set()),
        ({"seeds": 2}, {"One seed."}, {"2 seeds:"}),
        (
            {"seeds": 0},
            {"One seed.", "Scored on 100 images.", "started from random weights"},
            {"validation_split is false"},
        ),
        ({"images": 500}, {"Scored on 100 images."}, set()),
        ({"scored_on": "holdout"}, set(), {"selected like those trained with"}),
        ({"network": {"weights": "imagenet"}}, {"started from random weights"}, set()),
        ({"warmup_method": "checkpoint"}, {"started from random weights"}, set()),
        ({"tuning_split": False}, {"tuning split"}, set()),
        ({"rounds": ["2%"]}, set(), set()),
        ({"rounds": ["2%", "4%"]}, set(), {"of the last round alone"}),
        ({"annotation_mode": "people"}, {"no person labelled"}, set()),
    ],
)
def test_each_limit_is_told_where_it_holds_and_nowhere_else(change, gone, told):
    case = SETTINGS | {"seeds": 1, "images": 100, "scored_on": "val"} | change
    ladder = scores(case["seeds"]).assign(images=case["images"]) if case["seeds"] else None
    said = report.limits(ladder, case, case["scored_on"])
    found = {words for words in LIMITS | OTHER_LIMITS if any(words in one for one in said)}
    assert found == LIMITS - gone | told
    assert len(said) == len(found)


def test_classes_that_gained_lost_or_are_not_found_are_named():
    columns = pd.MultiIndex.from_tuples([("M0", "-"), ("M4", "mada")])
    values = [[10.0, 30.0], [50.0, 49.0], [0.4, 0.0], [20.0, 20.0], [0.0, 2.0]]
    rows = pd.DataFrame(values, index=["road", "sky", "train", "car", "boat"], columns=columns)
    assert report.class_findings(rows, "mada", "M4") == [
        "M4 gained most over M0: road (+20.0), boat (+2.0).",
        "M4 lost: sky (-1.0), train (-0.4).",
        "M4 does not find: train.",
    ]


def test_of_many_classes_those_that_changed_most_are_named():
    columns = pd.MultiIndex.from_tuples([("M0", "-"), ("M4", "mada")])
    gains = {"a": 1.0, "b": 4.0, "c": 3.0, "d": 2.0, "e": -1.0, "f": -4.0, "g": -3.0, "h": -2.0}
    rows = pd.DataFrame([[10.0, 10 + gain] for gain in gains.values()], [*gains], columns)
    assert report.class_findings(rows, "mada", "M4") == [
        "M4 gained most over M0: b (+4.0), c (+3.0), d (+2.0).",
        "M4 lost: f (-4.0), g (-3.0), h (-2.0), and 1 more.",
    ]


def test_iou_of_a_class_is_its_mean_over_seeds(run):
    classes = read_class_set(run / "classes.json").names
    rows = report.class_rows(scores(3), classes)
    assert rows.index.tolist() == list(CLASSES)
    assert rows["M4", "mada"].tolist() == pytest.approx([58.0, 28.0, 0.0])
    with pytest.raises(InputError, match="expected a column iou_boat, found none"):
        report.class_rows(scores(1), ("boat",))


def test_a_difference_of_nothing_is_called_level():
    assert report.in_words(pd.Series([0.04])) == "level with"
    assert report.in_words(pd.Series([-1.0, 1.0])) == "level (0.0 ± 1.4 points) with"
    assert report.in_words(pd.Series([-0.5])) == "0.5 points below"
    assert report.in_words(pd.Series([1.0, 3.0])) == "2.0 ± 1.4 points above"


def test_a_picture_is_png_or_jpeg_whichever_is_smaller(rng):
    noise = Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    assert report.data_uri(noise, 80).startswith("data:image/jpeg;")
    assert report.data_uri(Image.new("RGB", (64, 64)), 80).startswith("data:image/png;")
    assert report.fitted(Image.new("RGB", (300, 200)), 150).size == (150, 100)
    assert report.fitted(Image.new("RGB", (30, 20)), 150).size == (30, 20)


def test_settings_are_shown_flat_and_as_they_are_written():
    given = {"seeds": [0, 1], "rounds": [], "network": {"weights": None, "size": {"width": 8}}}
    assert report.flattened(given | {"holdout": False, "preset": "demo"}) == [
        ("seeds", "0, 1"),
        ("rounds", "none"),
        ("network.weights", "none"),
        ("network.size.width", "8"),
        ("holdout", "false"),
        ("preset", "demo"),
    ]


def test_pictures_that_are_not_known_or_not_given_are_named(run, capsys):
    picture = (run / "panels.png", CAPTIONS / "panels.rst")
    with pytest.raises(InputError, match=r"expected one of .*'panels'.*, found 'moon'"):
        written(run, "--picture", "moon", *picture)
    with pytest.raises(InputError, match="expected --table beside it, found one alone"):
        written(run, "--scores", run / "ladder.csv", scored=False)
    with pytest.raises(InputError):
        written(run, "--scores", run / "ladder.csv", "--table", run / "ladder.md", scored=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"error: --picture: expected {n}, found none" for n in ("classes", "confusion")
    ]


def test_a_missing_picture_is_named(run):
    (run / "panels.png").unlink()
    with pytest.raises(InputError, match=r"panels\.png: expected a file, found none"):
        written(run)


def test_captions_are_plain_text_so_that_both_reports_take_them():
    for file in sorted(CAPTIONS.glob("*.rst")):
        text = file.read_text()
        assert text.strip() and not re.search(r"[`*|{}<>]|::|__|\.\. ", text), file
    assert {f"{name}.rst" for name in write_report.PICTURES} <= {
        file.name for file in CAPTIONS.iterdir()
    }


needs_chromium = pytest.mark.skipif(not browser.CHROMIUM, reason="no Chromium here")


@needs_chromium
def test_a_browser_finds_nothing_wrong_at_the_widths_of_a_desk_and_a_telephone(run):
    written(run)
    alone = run / "alone"  # whatever the page would need beside itself is not there
    alone.mkdir()
    shutil.move(run / "report.html", alone)
    assert browser.problems(alone / "report.html") == []


@needs_chromium
def test_a_browser_would_find_what_is_wrong(run):
    (run / "bad.html").write_text(
        "<!doctype html><title>bad</title><meta name='viewport' content='width=device-width'>"
        "<img src='gone.png' alt='gone'>"
        "<p style='width: 700px'>wide</p><script>console.error('oh'); undefined_name()</script>"
        "<link rel='stylesheet' href='http://127.0.0.1:9/style.css'>"
    )
    found = "\n".join(browser.problems(run / "bad.html"))
    for width in ("1280-light", "400-dark"):
        assert f"{width}: an image is missing: gone" in found
        assert f"{width}: console.error" in found
        assert f"{width}: Uncaught" in found
        assert f"{width}: asks for http://127.0.0.1:9/style.css" in found
    assert "400-light: is 7" in found and "1280-light: is" not in found
