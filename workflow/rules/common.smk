"""Schema check, wildcards, and the helpers that rules are written with."""

import re
import sys
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

sys.path.insert(0, workflow.basedir)
from sources import imported_modules

validate(config, schema="../schemas/config.schema.yaml")

STEPS = Path(workflow.basedir).parent / "steps"
RUN = "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}"
VALIDATED = config["validation_split"]


wildcard_constraints:
    preset=re.escape(config["preset"]),
    seed=r"\d+",
    method="adaptseg|checkpoint",
    strategy=r"[a-z-]+",
    k=r"[1-9]\d*",
    v=r"[1-9]\d*",
    budget=r"\d+(\.\d+)?(pct)?",
    round="0",
    rung="M[234]",


def step(name):
    """Inputs of a rule that runs ``steps/<name>.py``: the script and all it imports of ours."""
    script = STEPS / f"{name}.py"
    return {"script": str(script), "modules": [str(path) for path in imported_modules(script)]}


def flags(**settings):
    """Command-line flags of settings: True and False become --x and --no-x, None is left out."""
    words = []
    for name, value in settings.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is False:
            words.append("--no-" + name.replace("_", "-"))
        elif isinstance(value, (list, tuple)):
            words += [flag, *(str(item) for item in value)]
        elif value is not None:
            words += [flag, str(value)]
    return " ".join(words)


def encoding(layout):
    """What numbers a layout's label files hold (steps/mada/layouts.py, without importing it)."""
    known = {"gta5": "gta5-ids", "cityscapes": "cityscapes-ids", "camvid": "camvid-ids"}
    return known.get(layout, "train-ids")


def budget_label(budget):
    """A budget as part of a path: 5% -> 5pct."""
    return str(budget).replace("%", "pct")


def budget_of(wildcards):
    return wildcards.budget.replace("pct", "%")


def run_file(seed, strategy, name, budget=None):
    """A file of the run of a strategy, with the settings of the configuration."""
    if strategy == "all":
        budget = "100%"
    return RUN.format(
        preset=config["preset"],
        seed=seed,
        method=config["warmup_method"],
        strategy=strategy,
        k=config["source_anchors"],
        budget=budget_label(budget or config["budget"]),
        round=0,
    ) + f"/{name}"


def warmup_file(seed, name):
    return f"results/{config['preset']}/seed-{seed}/warmup-{config['warmup_method']}/{name}"


def variant_label(variant):
    """A variant as part of a path: those that use target anchors carry their number."""
    return variant if variant in ("M1", "M1+") else f"{variant}-V{config['target_anchors']}"


def network_use(**more):
    """Flags of every step that runs a network."""
    training = config["training"]
    return flags(
        classes=config["classes"],
        batch_size=training["batch_size"],
        precision=training["precision"],
        device=config["device"],
        **more,
    )


def training_flags(section, threads):
    """Flags of a training step, from its section of the preset and the common ones."""
    training = config["training"]
    more = {"threads": threads, "source_encoding": encoding(config["source_layout"])}
    more |= {"source_size": config["source_size"], "target_size": config["target_size"]}
    for name in ("crop", "resize_range", "flip", "momentum", "weight_decay", "power"):
        more[name] = training[name]
    if config["tuning_split"] and training["tune_every"]:
        more |= {"tune_every": training["tune_every"], "tune_size": config["target_size"]}
        more["tune_encoding"] = encoding(config["target_layout"])
    return network_use(**more, **{k: config[section][k] for k in sorted(config[section])})


def tune_index(wildcards):
    """The tuning split's index, where trainings are to be scored on it as they go."""
    if config["tuning_split"] and config["training"]["tune_every"]:
        return f"results/{wildcards.preset}/index/target_tune.csv"
    return []


def tune_flag(wildcards, input):
    return flags(tune=input.tune) if input.tune else ""


rule other_preset:
    """Name the mistake when a file of another preset is asked for."""
    output:
        "results/{other}/{file}",
    wildcard_constraints:
        other=rf"(?!{re.escape(config['preset'])}/)[^/]+",
        file=".+",
    input:
        lambda wildcards: refuse_preset(wildcards.other),


def refuse_preset(other):
    raise WorkflowError(
        f"results/{other}/ was asked for while preset {config['preset']} is loaded: "
        f"add --config preset={other}"
    )
