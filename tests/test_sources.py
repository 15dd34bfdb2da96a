"""Which of our files a step depends on, and that torch stays where it belongs."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from mada.version import VERSION
from sources import imported_modules

STEPS = Path(__file__).parents[1] / "steps"
TORCH = {"torch", "torchvision"}
TORCH_STEPS = {
    *("warmup", "adopt_checkpoint", "extract_features", "finetune", "pseudo_label"),
    *("adapt", "evaluate", "predict", "export_onnx"),
}


def names(modules) -> set[str]:
    return {path.relative_to(STEPS).as_posix() for path in modules}


def test_step_depends_on_what_its_modules_import():
    found = names(imported_modules(STEPS / "rank_targets.py"))
    assert {"mada/acquisition.py", "mada/files.py", "mada/labels.py", "mada/cli.py"} <= found
    assert "mada/distances.py" in found  # by way of acquisition
    assert not any(name.startswith("mada/nn/") for name in found)
    assert "mada/layouts.py" not in found


def test_every_step_depends_on_modules_that_exist():
    scripts = sorted(STEPS.glob("*.py"))
    assert scripts
    for script in scripts:
        assert all(path.is_file() for path in imported_modules(script))


def test_packages_hold_nothing_themselves():
    """Only modules are followed: what stood in a package's own file would rerun no step."""
    packages = sorted(STEPS.rglob("__init__.py"))
    assert packages
    assert [path for path in packages if path.read_text()] == []


def test_the_version_is_one():
    project = tomllib.loads((STEPS.parent / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((STEPS.parent / "CITATION.cff").read_text())
    changes = re.search(r"^## (.+)$", (STEPS.parent / "CHANGELOG.md").read_text(), re.M)
    assert {project["version"], citation["version"], changes[1]} == {VERSION}


TREE = {
    "step.py": "import os\nfrom mada.first import thing\nraise SystemExit('never run')\n",
    "mada/__init__.py": "",
    "mada/first.py": "def thing():\n    from mada.nn import second\n    return second\n",
    "mada/nn/__init__.py": "",
    "mada/nn/second.py": "import mada.third\nimport numpy\n",
    "mada/third.py": "from mada.first import thing  # a circle\n",
    "mada/stranger.py": "import mada.first\n",
    "mada/os.py": "",
}


@pytest.mark.parametrize("checkout", ["project", "steps/project"])
def test_imports_are_followed_through_others_wherever_the_checkout_lies(tmp_path, checkout):
    steps = tmp_path / checkout / "steps"
    for name, text in TREE.items():
        (steps / name).parent.mkdir(parents=True, exist_ok=True)
        (steps / name).write_text(text)
    found = {path.relative_to(steps).as_posix() for path in imported_modules(steps / "step.py")}
    assert found == {"mada/first.py", "mada/nn/second.py", "mada/third.py"}


def imports_torch(file: Path) -> bool:
    roots = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.split(".")[0])
    return bool(roots & TORCH)


def test_torch_is_imported_by_the_network_steps_and_their_library_alone():
    importing = {file for file in STEPS.rglob("*.py") if imports_torch(file)}
    assert STEPS / "warmup.py" in importing and STEPS / "mada/nn/deeplab.py" in importing
    allowed = {STEPS / f"{name}.py" for name in TORCH_STEPS}
    elsewhere = {file for file in importing - allowed if STEPS / "mada" / "nn" not in file.parents}
    assert not elsewhere


def test_steps_without_torch_reach_it_through_no_module():
    light = [file for file in STEPS.glob("*.py") if file.stem not in TORCH_STEPS]
    assert STEPS / "rank_targets.py" in light and STEPS / "index_dataset.py" in light
    for script in light:
        assert not any(imports_torch(module) for module in imported_modules(script)), script
