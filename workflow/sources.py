"""Which of our own files a step imports, so that editing one reruns the steps that use it.

Nothing is executed: all is read from syntax trees.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = "mada"


@cache
def imported_modules(script: Path, root: Path | None = None) -> tuple[Path, ...]:
    """Return every module of the package that a file imports, directly or through others.

    Imports are absolute throughout (``from mada.distances import …``), so a walk over the syntax
    tree finds them all.  ``root`` is the folder of the package, by default that of the file.
    """
    root = root or script.parent
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for name in _imports(waiting.pop()):
            module = root / Path(*name.split(".")).with_suffix(".py")
            if module.is_file() and module not in found:
                found.add(module)
                waiting.append(module)
    return tuple(sorted(found))


def _tree(file: Path) -> ast.Module:
    """A file's syntax tree; an error in it names the file."""
    return ast.parse(file.read_text(), str(file))


@cache
def _imports(file: Path) -> tuple[str, ...]:
    names = []
    for node in _statements(_tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            # What is imported may be a module (`from mada.nn import runtime`) or a name in one.
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)


@dataclass(frozen=True)
class Registration:
    """A selection strategy as its file registers it."""

    file: Path
    per_budget: bool  # whether its ranking holds for one budget alone
    source_anchors: bool  # whether it looks at them
    discriminator: bool  # whether it needs a warm-up with one
    all_pairs: bool  # whether it compares every image with every other


def registered_strategies(steps: Path) -> dict[str, Registration]:
    """Return the selection strategies of a steps folder by name, from ``@strategy(…)``.

    Raises
    ------
    ValueError
        If a name is registered twice.
    """
    found: dict[str, Registration] = {}
    for file in sorted((steps / PACKAGE / "strategies").glob("*.py")):
        for name, settings in _strategies(file):
            if name in found:
                raise ValueError(f"{file}: strategy {name!r} is that of {found[name].file} too")
            found[name] = Registration(
                file,
                settings.get("per_budget", False),
                settings.get("source_anchors", True),
                settings.get("discriminator", False),
                settings.get("all_pairs", False),
            )
    return found


@cache
def _strategies(file: Path) -> tuple[tuple[str, dict], ...]:
    """Name and settings of every strategy that a file registers."""
    functions = [n for n in _tree(file).body if isinstance(n, ast.FunctionDef)]
    calls = [c for n in functions for c in n.decorator_list if isinstance(c, ast.Call)]
    return tuple(
        (
            ast.literal_eval(call.args[0]),
            {word.arg: ast.literal_eval(word.value) for word in call.keywords},
        )
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "strategy"
    )


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and the statements in it: expressions, most of a tree, hold no import."""
    yield node
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            yield from _statements(statement)
