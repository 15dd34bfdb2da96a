"""Which files are images: for steps, and for the rules that watch them, which have no library."""

import glob
from collections import Counter
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def image_files(root: Path, pattern: str) -> list[Path]:
    """Image files of a pattern below a root, in a fixed order."""
    return sorted(_files(root, pattern, images=True))


def other_files(root: Path, pattern: str) -> Counter[str]:
    """How many files of a pattern are no images that can be read, by suffix."""
    return Counter(path.suffix for path in _files(root, pattern, images=False))


def _files(root: Path, pattern: str, images: bool) -> set[Path]:
    # Unlike Path.glob this passes hidden files over and follows links to folders.
    names = glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207
    kind = (name for name in names if (Path(name).suffix.lower() in IMAGE_SUFFIXES) == images)
    return {path for path in map(root.joinpath, kind) if path.is_file()}
