"""Which of our own files a step imports, so that editing one reruns the steps that use it."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = "mada"


@cache
def imported_modules(script: Path) -> tuple[Path, ...]:
    """Return every module of the package that a file imports, directly or through others.

    Imports are absolute throughout (``from mada.distances import …``), so a walk over the syntax
    tree finds them all; nothing is executed.
    """
    root = script.parent
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for name in _imports(waiting.pop()):
            module = root / Path(*name.split(".")).with_suffix(".py")
            if module.is_file() and module not in found:
                found.add(module)
                waiting.append(module)
    return tuple(sorted(found))


@cache
def _imports(file: Path) -> tuple[str, ...]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            # What is imported may be a module (`from mada.nn import runtime`) or a name in one.
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)
