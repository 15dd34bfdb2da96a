"""What the figures share: one look, and the same bytes every time, without a display.

Figures are drawn at the width of a two-column page's text, so that their type has its printed
size.  Colours are those of Okabe and Ito (2008), which people tell apart whatever their colour
vision; a domain or a variant has the same one in every figure.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from mada.files import atomic_path

DPI = 200
PAGE_WIDTH = 7.0  # inches
SMALL, PLAIN, LARGE = 6.5, 7.5, 8.5  # points
GREY = "#555555"  # of small print
INK = "#222222"
BLUE, SKY, GREEN, YELLOW = "#0072b2", "#56b4e9", "#009e73", "#f0e442"
ORANGE, VERMILLION, PINK = "#e69f00", "#d55e00", "#cc79a7"
DOMAIN_COLOURS = {"source": BLUE, "target": ORANGE, "adapted": GREEN}
VARIANT_COLOURS = {
    **{"M0": "#b3b3b3", "M1": SKY, "M1+": PINK, "M2": YELLOW, "M3": ORANGE, "M4": BLUE},
    "Mu": GREEN,  # not ink, in which deviations are drawn
}
plt.rcParams.update(
    {
        "font.size": PLAIN,
        "text.parse_math": False,  # a $ in an id is a $
        "axes.titlesize": LARGE,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": PLAIN,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": PLAIN,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "axes.axisbelow": True,
        "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, PINK, SKY, VERMILLION]),
        "grid.color": "#e6e6e6",
        "grid.linewidth": 0.6,
    }
)


def text_width(text: str, points: float, weight: str = "normal") -> int:
    """Width of a text in pixels, rounded up generously: hinting widens small letters."""
    path = TextPath((0, 0), text, size=points, prop=FontProperties(weight=weight))
    return int(np.ceil(1.05 * path.get_extents().width * DPI / 72))


def three_digits(value: float) -> str:
    """A number with three significant digits, without an exponent where that stays readable."""
    value = float(f"{value:.3g}")
    size = abs(value)
    if size == 0:
        return "0"
    if not 1e-3 <= size < 1e5:
        text = f"{value:.2e}"
    else:
        text = f"{value:.{max(0, 2 - int(np.floor(np.log10(size))))}f}"
    return text.replace("-", "−")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and close it."""
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=DPI, format="png", metadata={"Software": None})
    plt.close(figure)
