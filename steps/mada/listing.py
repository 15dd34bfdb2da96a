"""Which files are images: for steps, and for the rules that watch them, which have no library."""

import glob
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def image_files(root: Path, pattern: str) -> list[Path]:
    """Image files of a pattern below a root, in a fixed order."""
    # Unlike Path.glob this passes hidden files over and follows links to folders.
    names = glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207
    found = {root / name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES}
    return sorted(path for path in found if path.is_file())
