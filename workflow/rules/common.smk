"""Schema check and the helpers that rules are written with."""

import json
import math
import re
import shlex
import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

STEPS = Path(workflow.basedir).resolve().parent / "steps"
sys.path[:0] = [workflow.basedir, str(STEPS)]
from mada.annotation.handover import HANDED_OUT, RETURNED, returned_files
from mada.listing import image_files
from settings import ALL_LABELLED, NEED_UNLABELLED, WILDCARD, WITHOUT_DISCRIMINATOR
from settings import adapted_variants, data_problems, everything_labelled, lies_below
from settings import setting_problems, typed
from sources import imported_modules, registered_strategies

on_command_line = workflow.config_settings.config
config |= {name: typed(value) for name, value in on_command_line.items()}
problems = setting_problems(config, on_command_line)
if problems:
    raise WorkflowError("the settings cannot be used:\n" + "\n".join(problems))
validate(config, schema="../schemas/config.schema.yaml")  # fills in the defaults
config["variants"] = sorted(
    config["variants"]
)  # M1+, M2, M3, M4: the last is the result


def refuse_beyond_the_data(settings):
    """Refuse numbers larger than the data sets, once a first run has counted these.

    Rule check_settings, which does that first, does not run again for a changed number.
    """
    counted = Path(f"results/{config['preset']}/index/settings.json")
    if counted.is_file():
        problems = data_problems(settings, json.loads(counted.read_text()))
        if problems:
            raise WorkflowError(
                "the settings cannot be used:\n"
                + "\n".join(problems)
                + f"\nIf the data sets have grown, remove {counted.parent} and run again."
            )


refuse_beyond_the_data(config)


def recorded(path):
    """A path as Snakemake is to record it: relative where it lies below the working directory,
    so that a checkout that has been moved reruns nothing."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def of_user(path):
    """A file of the user's as an input: by its absolute path where it lies below results/, or it
    would be taken for what some rule makes."""
    if path is None:
        return []
    return str(Path(path).absolute()) if lies_below(path, "results") else path


def watched(paths):
    """Files of a folder of the user's as inputs, but for those that Snakemake would take for
    patterns: the step reads their folder all the same."""
    return [of_user(path) for path in paths if not WILDCARD.search(path)]


def step(name):
    """The script steps/<name>.py and all it imports of ours, as inputs."""
    script = STEPS / f"{name}.py"
    return {
        "script": recorded(script),
        "modules": [recorded(path) for path in imported_modules(script)],
    }


STRATEGIES = registered_strategies(STEPS)
FOR_ANY_BUDGET = "|".join(n for n, found in STRATEGIES.items() if not found.per_budget)
FOR_ONE_BUDGET = "|".join(n for n, found in STRATEGIES.items() if found.per_budget)


def strategy_modules(wildcards):
    """The file of a strategy and all it imports of ours: the others' change nothing for it."""
    file = STRATEGIES[wildcards.strategy].file
    return [recorded(path) for path in (file, *imported_modules(file, STEPS))]


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
        elif str(value).startswith("-"):  # else it would be taken for a flag
            words.append(f"--{name}={value}")
        elif value is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def encoding(layout):
    """What numbers a layout's label files hold (steps/mada/layouts.py, without importing it)."""
    return {
        "gta5": "gta5-ids",
        "synthia": "synthia-ids",
        "cityscapes": "cityscapes-ids",
        "cityscapes-train-ids": "cityscapes-train-ids",
        "camvid": "own-ids",
        "folder": "own-ids",
    }[layout]


# The class table of the configuration as a file, an input of all that takes --classes; without
# one, --classes is the name of a class set.
CLASS_TABLE = (
    [f"results/{config['preset']}/index/classes.json"]
    if "class_table" in config
    else []
)
CLASSES = CLASS_TABLE[0] if CLASS_TABLE else config["classes"]


def network_use(threads, **more):
    """Flags of every step that runs a network."""
    training = config["training"]
    return flags(
        classes=CLASSES,
        batch_size=training["batch_size"],
        precision=training["precision"],
        device=config["device"],
        threads=threads,
        **more,
    )


def training_flags(threads, settings):
    """Flags of a training step: those that all share, and its own settings."""
    training = config["training"]
    more = {"source_encoding": encoding(config["source_layout"])}
    more |= {"source_size": config["source_size"], "target_size": config["target_size"]}
    names = ("crop", "resize_range", "flip", "colour_jitter", "momentum")
    names += ("weight_decay", "power", "accumulate", "batch_norm", "compile")
    for name in names:
        more[name] = training[name]
    if config["tuning_split"] and training["tune_every"]:
        more |= {
            "tune_every": training["tune_every"],
            "tune_size": config["target_size"],
        }
        more["tune_encoding"] = encoding(config["target_layout"])
    return network_use(threads, **more, **settings)


ALIGNMENT = ("iterations", "learning_rate", "alignment_weight")
# The settings of section `adapt` that each variant reads.
ADAPT_SETTINGS = {
    "M1+": ("iterations", "learning_rate"),
    "M2": ALIGNMENT,
    "M3": (*ALIGNMENT, "ema_decay"),
    "M4": (
        *(*ALIGNMENT, "ema_decay"),
        *("pseudo_weight", "pseudo_source", "pseudo_threshold"),
    ),
}


ADVERSARIAL = (
    "adversarial_weight",
    "discriminator_learning_rate",
    "source_only_iterations",
)
# The settings of section `warmup` that a method reads beyond those of every training.
WARMUP_SETTINGS = {
    "none": (),
    "minent": ("entropy_weight", "source_only_iterations"),
    "adaptseg": ADVERSARIAL,
    "advent": ADVERSARIAL,
    "clan": ADVERSARIAL,
}


def warmup_settings(method):
    """What a method reads of section `warmup`."""
    names = ("iterations", "learning_rate", *WARMUP_SETTINGS[method])
    return {name: config["warmup"][name] for name in names}


def warmup_flags(wildcards):
    """Flags of the warm-up by one method."""
    return training_flags(
        config["inference_threads"],
        {"method": wildcards.method} | warmup_settings(wildcards.method),
    )


def flavour(name):
    """The name of an environment, or of its variant for GPUs where the settings ask for some."""
    return f"{name}-cuda" if config["gpus"] and name != "report" else name


def environment(name):
    """The conda file of an environment."""
    return f"../../envs/{flavour(name)}.yaml"


def image(name):
    """The image of an environment."""
    return config["container_image"].replace("{environment}", flavour(name))


def needs(memory, minutes, gpus=0):
    """What a job asks a cluster for, in MB and minutes, and at each retry as much again.

    Memory counts two Snakemake processes around the step too.  Presets with larger images and
    longer trainings multiply the demo's figures.  With tasks=0 SLURM starts a job once and not
    once for each GPU.
    """

    def tries(amount):
        return lambda wildcards, attempt: math.ceil(amount * attempt)

    found = {
        "mem_mb": tries(memory * config["memory_scale"]),
        "runtime": tries(minutes * config["runtime_scale"]),
    }
    return found | ({"gpu": gpus, "tasks": 0} if gpus else {})


def network_needs(memory, minutes, threads, gpus, streams=1):
    """What a job with a network asks for: a process for each GPU, with loader workers of its own
    for each of the data sets (`streams`) that it reads at once.

    Resources, not params: a model need not be trained anew on a machine with other GPUs.
    """
    processes = max(gpus, 1)
    workers = config["loader_workers"]
    found = {
        "loader_workers": workers,
        "cpus_per_task": processes * (threads + streams * workers),
    }
    return found | needs(memory * processes, minutes, gpus)


def memory_of_copies(wildcards, input, attempt, pairs=0):
    """MB of a light job, and of what it holds: copies of a pool's features, and matrices of all
    pairs of its images."""
    size = 3 * Path(input.features).stat().st_size
    if pairs:
        with open(input.table) as table:
            size += pairs * 4 * sum(1 for _ in table) ** 2
    return LIGHT["mem_mb"](wildcards, attempt) + math.ceil(size / 1e6 * attempt)


def memory_to_choose(wildcards, input, attempt):
    """MB for a strategy that may choose a set."""
    strategy = STRATEGIES[wildcards.strategy]
    if not strategy.per_budget:
        return LIGHT["mem_mb"](wildcards, attempt)
    pairs = 2.5 if strategy.all_pairs else 0
    return memory_of_copies(wildcards, input, attempt, pairs)


# From the demo's benchmarks, with room: 0.2 GB and 28 s at most, 1.4 GB and 25 s.
LIGHT = needs(1000, 10)
ONE_GPU = min(config["gpus"], 1)
CLUSTERING = needs(1000, 10, ONE_GPU)
INFERENCE = network_needs(2000, 10, config["inference_threads"], ONE_GPU)

# Jobs on one machine share its GPUs: no more of them at once than there are. Scope "local" leaves
# jobs that a scheduler starts alone, which has GPUs of its own for each.
if config["gpus"] and "gpu" not in workflow.global_resources:

    resource_scopes:
        gpu="local",

    workflow.register_resource("gpu", config["gpus"])


def forget_the_job_rate():
    """Let jobs on one machine start as cores become free, unless told otherwise.

    Snakemake's limit of 100 jobs a second keeps timers that look at all jobs each second, and
    every job that ends adds one: after 150 jobs they take a third of a core.
    """
    limit = workflow.scheduler.job_rate_limiter
    if workflow.local_exec and limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


# What runs a training: several GPUs take a process each, which torchrun starts.
LAUNCHER = (
    f"python -m torch.distributed.run --standalone --nproc-per-node={config['gpus']}"
    if config["gpus"] > 1
    else "python"
)


def adapt_flags(variant, more_rounds=0):
    """Flags of a variant beyond M1, or of a training as long as it and so many rounds of M1."""
    settings = {name: config["adapt"][name] for name in ADAPT_SETTINGS[variant]}
    settings["iterations"] += more_rounds * config["finetune"]["iterations"]
    return training_flags(config["training_threads"], {"variant": variant} | settings)


def adapt_files(wildcards, input):
    """Flags of the files that a variant reads beside those of M1+."""
    fixed = f"{input.pseudo_labels}/index.csv" if input.pseudo_labels else None
    return flags(
        anchors=input.anchors, unlabelled=input.unlabelled, pseudo_labels=fixed
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
    return f"{folder}/dataset.json" if folder and lies_below(root, folder) else []


def most_anchors():
    """The numbers of anchors that the study of them asks of the data sets."""
    return dict.fromkeys(
        ("source_anchors", "target_anchors"), max(config["study_anchors"])
    )


def checked_flags(study=None):
    """Flags of check_settings: what the numbers and ids of images have a say in."""
    names = ("source_anchors", "target_anchors", "exclude", "include")
    budget = "rounds" if config["rounds"] else "budget"
    settings = {name: config[name] for name in (budget, *names)}
    settings["holdout"] = config["annotation_holdout"]
    # Images held out for scores are unlabelled to the training.
    held_out = config["annotation_holdout"] > 0
    settings["unlabelled_for"] = [] if held_out else adapted_variants(config)
    if study == "budgets":  # of M1 alone
        settings |= {"rounds": None, "budget": config["study_budgets"]}
        settings["unlabelled_for"] = []
    if study == "anchors":
        settings |= most_anchors()
    strategies = [config["strategy"], *config["compare"]]
    strategies += config["study_strategies"] if study == "strategies" else []
    return flags(strategies=list(dict.fromkeys(strategies)), **settings)


def refuse_preset(other):
    raise WorkflowError(
        f"results/{other}/ was asked for while preset {config['preset']} is loaded: "
        f"add --config preset={other}"
    )


EVALUATION_FLAGS = network_use(
    config["inference_threads"],
    images_size=config["target_size"],
    images_encoding=encoding(config["target_layout"]),
)
