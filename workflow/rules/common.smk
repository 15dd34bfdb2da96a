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


def step(name):
    """The script steps/<name>.py and all it imports of ours, as inputs."""
    script = STEPS / f"{name}.py"
    return {
        "script": str(script),
        "modules": [str(path) for path in imported_modules(script)],
    }


def flags(**settings):
    """Command-line flags of settings: True and False become --x and --no-x, None is left out."""
    words = []
    for name, value in settings.items():
        name = name.replace("_", "-")
        if value is True:
            words.append(f"--{name}")
        elif value is False:
            words.append(f"--no-{name}")
        elif isinstance(value, (list, tuple)):
            words += [f"--{name}", *(str(item) for item in value)]
        elif value is not None:
            words += [f"--{name}", str(value)]
    return " ".join(words)


def encoding(layout):
    """What numbers a layout's label files hold (steps/mada/layouts.py, without importing it)."""
    known = {"gta5": "gta5-ids", "cityscapes": "cityscapes-ids", "camvid": "camvid-ids"}
    return known.get(layout, "train-ids")


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
        more |= {
            "tune_every": training["tune_every"],
            "tune_size": config["target_size"],
        }
        more["tune_encoding"] = encoding(config["target_layout"])
    return network_use(
        **more, **{k: config[section][k] for k in sorted(config[section])}
    )


def tune_index(wildcards):
    """The tuning split's index, where trainings are to be scored on it as they go."""
    if config["tuning_split"] and config["training"]["tune_every"]:
        return f"results/{wildcards.preset}/index/target_tune.csv"
    return []


def tune_flag(wildcards, input):
    return flags(tune=input.tune) if input.tune else ""


def dataset_marker(root):
    """The rendered data set that a root lies in, if it is rendered."""
    folder = config.get("demo_data", {}).get("folder")
    return (
        f"{folder}/dataset.json"
        if folder and Path(folder) in Path(root).parents
        else []
    )


def refuse_preset(other):
    raise WorkflowError(
        f"results/{other}/ was asked for while preset {config['preset']} is loaded: "
        f"add --config preset={other}"
    )


EVALUATION_FLAGS = network_use(
    threads=config["inference_threads"],
    images_size=config["target_size"],
    images_encoding=encoding(config["target_layout"]),
)
