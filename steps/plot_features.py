"""Map image-level features to the plane: both domains, their anchors, the selection (Figure 1).

Inputs   features of source and target as M0 sees them (.npy, ids in the .csv beside it), source
         anchors, manifest; if the target is adapted to, its features as M1 sees them and anchors
Output   PNG: left M0, right M1, as one map that both panels share

The map is t-SNE of all points together, after PCA to 50 dimensions; of fewer than 100 points PCA
alone.  Of large sets evenly spaced images are shown, and all selected ones.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from mada.cli import InputError, StepParser, existing_file, positive_int, refuse, run_step
from mada.figures import DOMAIN_COLOURS, GREY, INK, PAGE_WIDTH, SMALL, save_figure
from mada.files import read_csv, read_npy
from mada.images import evenly_spread

FEWEST_FOR_TSNE = 100  # points
PRINCIPAL = 50  # dimensions that t-SNE starts from
PERPLEXITY = 30.0
MARGIN = 0.04  # of the map's width
HEIGHT = 3.5  # inches, of the figure
DOT, ANCHOR, RING = 7, 46, 34  # areas in square points


def mapped_rows(count: int, most: int, always: np.ndarray | None = None) -> np.ndarray:
    """Rows to show: at most ``most`` evenly spaced ones, and those that must be there."""
    return np.union1d(evenly_spread(count, most), [] if always is None else always).astype(int)


def to_plane(points: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """Map points to the plane; return their places and the method's name.

    Parameters
    ----------
    points : np.ndarray, shape (N, C·D), float32

    Returns
    -------
    places : np.ndarray, shape (N, 2)
        The same for the same points and seed, whatever the number of threads.
    method : str
    """
    with threadpool_limits(1):
        if len(points) < FEWEST_FOR_TSNE:
            return PCA(2, svd_solver="full").fit_transform(points), "PCA"
        kept = min(PRINCIPAL, *points.shape)
        points = PCA(kept, svd_solver="randomized", random_state=seed).fit_transform(points)
        # Its own progress, a line every 50 iterations.
        tsne = TSNE(perplexity=PERPLEXITY, init="pca", random_state=seed, n_jobs=1, verbose=2)
        return tsne.fit_transform(points), "t-SNE"


def selected_rows(table: Path, manifest: Path) -> np.ndarray:
    """Rows of the target's features that were selected."""
    ids = pd.Index(read_csv(table, ("id",))["id"])
    wanted = read_csv(manifest, ("image_id",))["image_id"]
    rows = ids.get_indexer(wanted)
    refuse(
        [f"{table}: expected an image {name!r}, found none" for name in wanted[rows < 0]],
        "the manifest",
    )
    return rows


def cloud(domain: str, label: str, alpha: float = 0.6) -> dict:
    colour = DOMAIN_COLOURS[domain]
    return {"s": DOT, "color": colour, "alpha": alpha, "linewidths": 0, "label": label}


def anchor_marks(domain: str, label: str) -> dict:
    colour, marker = DOMAIN_COLOURS[domain], "D" if domain == "source" else "^"
    style = {"s": ANCHOR, "color": colour, "marker": marker, "edgecolors": "white"}
    return style | {"linewidths": 1.0, "label": label, "zorder": 4}


def ring() -> dict:
    style = {"s": RING, "facecolors": "none", "edgecolors": INK, "linewidths": 0.9}
    return style | {"label": "selected", "zorder": 3}


def panels_of(place: dict[str, np.ndarray], picked: np.ndarray) -> dict[str, list]:
    """Title -> (places, style) of what a panel shows, from the back to the front."""
    adapted = "adapted" in place
    panels = {
        f"{'(a) ' if adapted else ''}After the warm-up (M0)": [
            (place["source"], cloud("source", "source")),
            (place["target"], cloud("target", "target")),
            (place["target"][picked], ring()),
            (place["source anchors"], anchor_marks("source", "source anchors")),
        ]
    }
    if adapted:
        panels["(b) After fine-tuning on the selected (M1)"] = [
            (place["source"], cloud("source", "source (M0)", 0.2)),
            (place["target"], cloud("target", "target (M0)", 0.2)),
            (place["adapted"], cloud("adapted", "target (M1)")),
            (place["adapted"][picked], ring()),
            (place["target anchors"], anchor_marks("adapted", "target anchors")),
        ]
    return panels


def draw(panels: dict[str, list], points: np.ndarray, method: str, path: Path) -> None:
    figure, grid = plt.subplots(
        *(1, len(panels)),
        figsize=(PAGE_WIDTH * len(panels) / 2, HEIGHT),
        layout="constrained",
        squeeze=False,
    )
    low, high = points.min(axis=0), points.max(axis=0)
    pad = MARGIN * (high - low)
    for axes, (title, clouds) in zip(grid[0], panels.items(), strict=True):
        for places, style in clouds:
            axes.scatter(places[:, 0], places[:, 1], **style)
        axes.set_title(title)
        axes.set(xticks=[], yticks=[])
        axes.set(xlim=(low[0] - pad[0], high[0] + pad[0]), ylim=(low[1] - pad[1], high[1] + pad[1]))
        axes.spines[:].set(visible=True, color="#999999")
        corner = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": SMALL}
        axes.text(0.99, 0.01, method, color=GREY, **corner)
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.01),
            ncols=-(-len(clouds) // 2),
            handletextpad=0.1,
            columnspacing=1,
        )
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    anchors = read_npy(args.source_anchors)
    width = anchors.shape[1]
    source, target = read_npy(args.source, width), read_npy(args.target, width)
    chosen = selected_rows(args.target.with_suffix(".csv"), args.manifest)
    rows = mapped_rows(len(target), args.most, chosen)
    parts = {"source": source[mapped_rows(len(source), args.most)], "target": target[rows]}
    parts["source anchors"] = anchors
    if args.adapted is not None:
        adapted = read_npy(args.adapted, width)
        if len(adapted) != len(target):
            raise InputError(
                f"{args.adapted}: expected {len(target)} rows like {args.target}, "
                f"found {len(adapted)}"
            )
        parts |= {"adapted": adapted[rows], "target anchors": read_npy(args.target_anchors, width)}
    points, method = to_plane(np.concatenate(list(parts.values())), args.seed)
    ends = np.cumsum([len(part) for part in parts.values()])
    place = dict(zip(parts, np.split(points, ends[:-1]), strict=True))
    draw(panels_of(place, np.isin(rows, chosen)), points, method, args.output)
    print(f"{args.output}: {method} of {len(points)} points")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--source", required=True, type=existing_file)
    parser.add_argument("--target", required=True, type=existing_file)
    parser.add_argument("--source-anchors", required=True, type=existing_file)
    parser.add_argument("--manifest", required=True, type=existing_file)
    parser.add_argument("--adapted", type=existing_file, help="features of the target by M1")
    parser.add_argument("--target-anchors", type=existing_file, help="anchors of --adapted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=positive_int, default=1000, help="images shown of a domain")
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
