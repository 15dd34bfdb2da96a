"""What the figures share: they are drawn without a display, and come out the same every time."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from mada.files import atomic_path

DPI = 150
GREY = "#555555"  # of small print


def text_width(text: str, points: float, weight: str = "normal") -> int:
    """Width of a text in pixels, rounded up generously: hinting widens small letters."""
    path = TextPath((0, 0), text, size=points, prop=FontProperties(weight=weight))
    return int(np.ceil(1.05 * path.get_extents().width * DPI / 72))


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and close it."""
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=DPI, format="png", metadata={"Software": None})
    plt.close(figure)
