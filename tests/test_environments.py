"""The environments: one version of everything, nothing missing, nothing that is not needed."""

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sources import imported_modules

REPOSITORY = Path(__file__).parents[1]
STEPS = REPOSITORY / "steps"
FILES = sorted((REPOSITORY / "envs").glob("*.yaml"))
CUDA = re.compile(r"nvidia-|cuda-|triton$")
DOCKERFILE = (REPOSITORY / "docker/Dockerfile").read_text()


def lines(file: Path) -> list[str]:
    """What pip is given: the lines of a requirements file, or an environment's pip section."""
    if file.suffix == ".txt":
        return [line for line in file.read_text().splitlines() if not line.startswith("#")]
    dependencies = yaml.safe_load(file.read_text())["dependencies"]
    return next(item["pip"] for item in dependencies if isinstance(item, dict))


def pins(name: str) -> dict[str, str]:
    """Package -> version."""
    found = [line for line in lines(REPOSITORY / "envs" / name) if not line.startswith("--")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", line) for line in found), found
    pairs = [line.split("==") for line in found]
    assert len({canonicalize_name(package) for package, _ in pairs}) == len(pairs)
    return {canonicalize_name(package): version for package, version in pairs}


LOCK = pins("lock.txt")
ENVIRONMENTS = {file.stem: pins(file.name) for file in FILES}
OWNERS = metadata.packages_distributions()  # top-level module -> packages it comes with


def test_there_is_an_environment_for_each_kind_of_step_and_where_gpus_differ_another():
    assert set(ENVIRONMENTS) == {"train", "train-cuda", "anchors", "anchors-cuda", "report"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_versions_are_those_of_the_lock_file(name):
    expected = LOCK | {"faiss-gpu": LOCK["faiss-cpu"]}
    found = {p: v.removesuffix("+cpu") for p, v in ENVIRONMENTS[name].items() if not CUDA.match(p)}
    assert found == {package: expected.get(package) for package in found}


def test_what_a_cluster_needs_beside_the_lock_is_pinned_once():
    extra = pins("cluster.txt")
    assert "snakemake-executor-plugin-slurm" in extra
    assert not set(extra) & set(LOCK)


def test_variants_for_gpus_differ_in_their_builds_alone():
    plain, cuda = ENVIRONMENTS["train"], ENVIRONMENTS["train-cuda"]
    assert plain["torch"] == f"{cuda['torch']}+cpu"
    assert {p for p in cuda if not CUDA.match(p)} == set(plain)
    plain, cuda = ENVIRONMENTS["anchors"], ENVIRONMENTS["anchors-cuda"]
    assert {p for p in cuda if not CUDA.match(p)} - {"faiss-gpu"} == set(plain) - {"faiss-cpu"}
    # torch's CUDA is 13, faiss' is 12: one environment for both would hold the two.
    assert all(p.endswith("-cu12") for p in cuda if CUDA.match(p))
    assert not any(p.endswith("-cu12") for p in ENVIRONMENTS["train-cuda"])


def needed(package: str) -> set[str]:
    """What an installed package requires, whatever extras it offers left out."""
    requirements = map(Requirement, metadata.requires(package) or [])
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


@pytest.mark.parametrize("name", ["train", "anchors", "report"])
def test_nothing_that_a_package_needs_is_missing(name):
    environment = ENVIRONMENTS[name]
    missing = {package: needed(package) - set(environment) for package in environment}
    missing = {p: {n for n in names if not CUDA.match(n)} for p, names in missing.items()}
    assert {package: names for package, names in missing.items() if names} == {}


def environments_of_steps() -> dict[str, set[str]]:
    """Step -> environments of the rules that run it."""
    found = {}
    for file in (REPOSITORY / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"(?m)^\s*(?:use )?rule ", file.read_text()):
            steps = re.findall(r'step\("(\w+)"\)', rule)
            for name in re.findall(r'environment\("(\w+)"\)', rule):
                for step in steps:
                    found.setdefault(step, set()).add(name)
    return found


STEP_ENVIRONMENTS = environments_of_steps()


def test_every_step_has_an_environment():
    assert set(STEP_ENVIRONMENTS) == {script.stem for script in STEPS.glob("*.py")}


def test_every_rule_of_ours_names_an_environment_and_its_image():
    for file in (REPOSITORY / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"(?m)^\s*rule (?=\w+:)", file.read_text())[1:]:
            body = re.split(r"(?m)^\s*use rule ", rule)[0]
            if "{input.script" in body or "{params.script" in body:
                names = re.findall(r'environment\("(\w+)"\)', body)
                assert len(names) == 1 and f'image("{names[0]}")' in body, (file, body[:40])
    for name in ENVIRONMENTS:
        assert f" AS {name}\n" in DOCKERFILE


def third_party(file: Path) -> set[str]:
    """Top-level modules that a file imports anywhere, functions included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"mada"}


def provided(name: str) -> set[str]:
    """Top-level modules of an environment's packages."""
    packages = {canonicalize_name(package) for package in ENVIRONMENTS[name]}
    return {m for m, owners in OWNERS.items() if {canonicalize_name(o) for o in owners} & packages}


@pytest.mark.parametrize("step", sorted(STEP_ENVIRONMENTS))
def test_an_environment_holds_all_that_its_steps_import(step):
    script = STEPS / f"{step}.py"
    files = (script, *imported_modules(script))
    imported = set().union(*map(third_party, files))
    for name in STEP_ENVIRONMENTS[step]:
        assert imported <= provided(name), (step, name)


ONLY = """
import importlib, sys
from importlib.machinery import ModuleSpec

class Blocked:
    def find_spec(self, name, path=None, target=None):
        # Found but not to be had: torch looks for packages that it never imports.
        return ModuleSpec(name, self) if name.split(".")[0] in blocked else None

    def create_module(self, spec):
        raise ModuleNotFoundError(f"{spec.name} is not in this environment", name=spec.name)

    def exec_module(self, module):
        pass

steps, blocked = sys.argv[1].split(","), set(sys.argv[2].split(","))
sys.meta_path.insert(0, Blocked())
for step in steps:
    importlib.import_module(step)
"""


@pytest.mark.parametrize("name", ["train", "anchors", "report"])
def test_steps_start_where_nothing_but_their_environment_can_be_imported(name):
    steps = [step for step, names in STEP_ENVIRONMENTS.items() if name in names]
    blocked = set(OWNERS) - provided(name) - sys.stdlib_module_names
    assert ("torch" in blocked) == (name != "train")
    assert ("faiss" in blocked) == (name != "anchors")
    words = [sys.executable, "-c", ONLY, ",".join(steps), ",".join(sorted(blocked))]
    result = subprocess.run(words, cwd=STEPS, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_images_run_as_a_normal_user_and_hold_what_the_environments_pin():
    targets = re.split(r"(?m)^FROM ", DOCKERFILE)[1:]
    for target in targets:
        name = re.search(r" AS (\S+)", target)[1]
        if name == "base":
            continue
        assert re.findall(r"(?m)^USER (\S+)", target)[-1] == "mada", name
        if name in ENVIRONMENTS:
            assert f"RUN install-environment envs/{name}.yaml" in target
            installed = target.index("RUN install-environment")
            assert installed < target.index("COPY steps steps")  # our files change more often
    assert re.search(r"ARG PYTHON_IMAGE=python:3\.11\.\d+-slim", DOCKERFILE)
