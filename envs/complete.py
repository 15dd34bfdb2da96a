"""Complete the environment files: what their packages need in turn, at the lock file's versions.

    python envs/complete.py

After adding a package to the first part of an environment's pip section: pin it and what came with
it in envs/lock.txt, install that, run this.  The parts for CUDA stay as they are.
"""

import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
IN_TURN = "      # what these need in turn\n"
CUDA = "      # CUDA\n"
CUDA_PACKAGES = ("nvidia-", "cuda-", "triton")


def locked() -> dict[str, str]:
    """Package -> its line in the lock file."""
    lines = (HERE / "lock.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    return {canonicalize_name(line.split("==")[0]): line for line in pins}


def needed(packages: list[str]) -> set[str]:
    """All that packages need, directly or through others, CUDA's packages left out."""
    found: set[str] = set()
    waiting = [Requirement(package) for package in packages]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or name.startswith(CUDA_PACKAGES):
            continue
        found.add(name)
        for text in metadata.requires(name) or []:
            more = Requirement(text)
            extras = requirement.extras or {""}
            if more.marker is None or any(more.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(more)
    return found


def main() -> None:
    lock, missing = locked(), set()
    for file in sorted(HERE.glob("*.yaml")):
        head, rest = file.read_text().split(IN_TURN)
        pins = [line[8:] for line in head.splitlines() if line.startswith(" " * 6) and "==" in line]
        # The two builds of faiss need the same but for CUDA; one of them is installed.
        direct = [pin.split("==")[0].replace("faiss-gpu", "faiss-cpu") for pin in pins]
        names = needed(direct) - {canonicalize_name(package) for package in direct}
        missing |= names - set(lock)
        lines = [f"      - {lock[name]}\n" for name in sorted(names & set(lock))]
        cuda = CUDA + rest.split(CUDA)[1] if CUDA in rest else ""
        file.write_text(head + IN_TURN + "".join(lines) + cuda)
    if missing:
        sys.exit(f"error: expected in envs/lock.txt: {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
