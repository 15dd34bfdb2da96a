"""A page to look through a bundle: every image beside what the model made of it."""

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from mada.annotation.bundle import HandedOut
from mada.annotation.classes import AnnotationClasses
from mada.images import read_image
from mada.labels import VOID

WIDTH = 640  # pixels of a picture on the page
SHADE = 0.55  # of the class's colour over the image
DIM = 0.35  # of its light that an open pixel keeps
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 84rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
  color: #222; background: #fff; }}
h1 {{ font-size: 1.4rem; margin: 0 0 .5rem; }}
ul {{ list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; }}
li span {{ display: inline-block; width: 1.1em; height: 1.1em; margin-right: .4em;
  vertical-align: -.15em; border: 1px solid #888; }}
section {{ border-top: 1px solid #ccc; padding: 1rem 0; }}
h2 {{ font-size: 1rem; margin: 0; overflow-wrap: anywhere; }}
p {{ margin: 0 0 .5rem; }}
.pair {{ display: grid; gap: .5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }}
img {{ display: block; width: 100%; height: auto; background: #eee; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Each image, and then what the model made of it. Dark pixels are open: the model was not sure
enough, and they are to be painted. The most useful images come first.</p>
<ul>
{legend}
</ul>
{sections}
</body>
</html>
"""
SECTION = """\
<section>
<h2>{rank}. <a href="{link}">{name}</a></h2>
<p>{facts}</p>
<div class="pair">
<img src="{image}" width="{width}" height="{height}" loading="lazy" alt="{name}">
<img src="{overlay}" width="{width}" height="{height}" loading="lazy"
  alt="Pre-annotation of {name}">
</div>
</section>"""


def overlaid(image: Image.Image, train_ids: np.ndarray, colours: np.ndarray) -> Image.Image:
    """The image with the classes' colours over it, open pixels dark.

    Parameters
    ----------
    image : Image.Image
        RGB, of the label map's size.
    train_ids : np.ndarray, shape (H, W), uint8
    colours : np.ndarray, shape (H, W, 3), uint8
        Those of ``train_ids``.
    """
    pixels = np.asarray(image, np.float32)
    shaded = pixels * (1 - SHADE) + colours * SHADE
    open_pixels = (train_ids == VOID)[..., None]
    return Image.fromarray(np.where(open_pixels, pixels * DIM, shaded).round().astype(np.uint8))


def write_gallery(
    folder: Path, items: Sequence[HandedOut], classes: AnnotationClasses, title: str
) -> None:
    """Write ``gallery.html`` and its pictures, named by number, in ``gallery/``.

    Parameters
    ----------
    folder : Path
        The bundle, whose images are there already.
    """
    (folder / "gallery").mkdir()
    sections = []
    for number, item in enumerate(items, start=1):
        image = read_image(folder / item.image)
        train_ids = item.train_ids()
        overlay = overlaid(image, train_ids, classes.painted(train_ids))
        names = [f"gallery/{number:04d}.jpg", f"gallery/{number:04d}-pre-annotation.jpg"]
        for name, picture in zip(names, (image, overlay), strict=True):
            picture.thumbnail((WIDTH, 4 * WIDTH))
            picture.save(folder / name, quality=88)
        sections.append(
            SECTION.format(
                rank=item.row.rank,
                name=html.escape(item.image_id),
                link=quote(item.image.as_posix()),
                facts=html.escape(_facts(item.row, float((train_ids == VOID).mean()))),
                image=names[0],
                overlay=names[1],
                width=picture.width,
                height=picture.height,
            )
        )
    rows = [("open", (0, 0, 0)), *zip(classes.names, classes.colours, strict=True)]
    legend = [
        f'<li><span style="background: rgb({red}, {green}, {blue})"></span>{html.escape(name)}</li>'
        for name, (red, green, blue) in rows
    ]
    page = PAGE.format(
        title=html.escape(title), legend="\n".join(legend), sections="\n".join(sections)
    )
    (folder / "gallery.html").write_text(page, encoding="utf-8")


def _facts(row: tuple, open_share: float) -> str:
    facts = [f"{row.width} × {row.height} pixels", f"{open_share:.0%} open"]
    facts.append(f"score {row.score:.4g}")
    if row.anchor == row.anchor:  # not every strategy has anchors
        facts.append(f"nearest anchor {int(row.anchor)}")
    return ", ".join(facts)
