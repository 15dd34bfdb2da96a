"""What is wrong with the settings, as far as can be told before any data set is read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, ValidationError

from sources import registered_strategies

HERE = Path(__file__).parent
STEPS = HERE.parent / "steps"
SCHEMA = HERE / "schemas" / "config.schema.yaml"
WITHOUT_DISCRIMINATOR = ("checkpoint", "none", "minent")
NEED_UNLABELLED = ("M2", "M3", "M4")
ALL_LABELLED = "needs images without label, all are to be labelled"
PATHS = (
    *("source_root", "target_root", "exclude", "include", "warmup_checkpoint"),
    *("predict_images", "annotation_root"),
)
# What Snakemake takes for a wildcard in the name of a file.
WILDCARD = re.compile(r"\{\s*\w")


def typed(value: object) -> object:
    """A value given with --config, where false, null and lists of numbers arrive as text."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if value in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[value]
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d+", value) else value


def lies_below(path: str | Path, folder: str | Path) -> bool:
    """Whether a path is a folder's or the folder itself, however either is written."""
    return Path(path).absolute().is_relative_to(Path(folder).absolute())


def adapted_variants(config: Mapping) -> list[str]:
    """Return the variants to train that need images without annotation, in order."""
    return [variant for variant in NEED_UNLABELLED if variant in config.get("variants", [])]


def everything_labelled(config: Mapping) -> bool:
    """Whether the settings alone say that no image is left without annotation."""
    share, _ = added_up(config.get("rounds") or [config.get("budget", "1%")])
    left = config.get("exclude") or config.get("annotation_holdout")
    return (config.get("strategy") == "all" or share == 100) and not left


def added_up(budgets: Iterable[str | int]) -> tuple[Decimal, Decimal]:
    """Return the sum of the budgets that are shares, in percent, and of those that are counts."""
    texts = [str(budget) for budget in budgets]
    shares = [Decimal(text.removesuffix("%")) for text in texts if text.endswith("%")]
    counts = [Decimal(text) for text in texts if not text.endswith("%")]
    return sum(shares, Decimal(0)), sum(counts, Decimal(0))


def total_budget(budgets: Iterable[str | int]) -> str:
    """Return what several rounds label together: ``5%``, ``16``, or of both kinds ``5%+16``."""
    share, count = (f"{amount.normalize():f}" for amount in added_up(budgets))
    return "+".join(text for text in (f"{share}%", count) if text not in ("0%", "0"))


def need_discriminator(names: Iterable[str]) -> list[str]:
    """Return those of the strategies that rank by the warm-up's discriminator, by name."""
    known = registered_strategies(STEPS)
    return sorted(name for name in set(names) if name in known and known[name].discriminator)


def setting_problems(config: Mapping, command_line: Mapping) -> list[str]:
    """Return one line for each setting that cannot be used, beginning with its key.

    Parameters
    ----------
    config : Mapping
        All settings together, defaults not filled in.
    command_line : Mapping
        Those given with --config.
    """
    presets = sorted(file.stem for file in (HERE / "presets").glob("*.yaml"))
    if config.get("preset") not in presets:
        return [f"preset: expected one of {presets}, found {config.get('preset')!r}"]
    schema = yaml.safe_load(SCHEMA.read_text())
    # What `strategy` stands for in the schema, `compare` refers to.
    schema["properties"]["strategy"]["enum"] = sorted(registered_strategies(STEPS))
    nested = {name for name, value in command_line.items() if isinstance(value, Mapping)}
    problems = [
        f"{name}: expected nested settings in a file given with --configfile, found --config"
        for name in sorted(nested)
    ]
    wrong = set(nested)
    for error in sorted(Draft202012Validator(schema).iter_errors(config), key=_place):
        for key, message in _described(error):
            if key.split(".")[0] not in nested:
                problems.append(f"{key}: {message}")
            wrong.add(key.split(".")[0])
    if "demo_data" in wrong:  # it says which folders need not be there yet
        wrong |= {"source_root", "target_root"}
    for key, message in _contradictions({k: v for k, v in config.items() if k not in wrong}):
        problems.append(f"{key}: {message}")
    return list(dict.fromkeys(problems))


def study_problem(config: Mapping, study: str) -> str | None:
    """Return what of the settings, all with their defaults, keeps a study from being made."""
    if config["annotation_mode"] == "manual" or not config["validation_split"]:
        return (
            "a study needs labels of every image it may select and of a validation split; expected "
            "annotation_mode benchmark and validation_split true"
        )
    judged = need_discriminator([config["strategy"], *config["study_strategies"]])
    without = config["warmup_method"] in WITHOUT_DISCRIMINATOR
    if study == "strategies" and judged and (without or len(config["rounds"] or []) > 1):
        return (
            "study_strategies: expected none that ranks by the warm-up's discriminator, since "
            f"{'there is none' if without else 'there are several rounds'}; "
            f"found {', '.join(judged)}"
        )
    if study == "anchors" and not adapted_variants(config):
        return (
            f"variants: expected one of {', '.join(NEED_UNLABELLED)}, whose target anchors are "
            f"varied; found {', '.join(config['variants']) or 'none'}"
        )
    return None


def data_problems(config: Mapping, images: Mapping[str, int]) -> list[str]:
    """Return one line for each number, all with their defaults, that is beyond the data sets.

    ``steps/check_settings.py`` refuses these before the first training, and more that needs the
    images' ids; this tells of settings changed since.

    Parameters
    ----------
    images : Mapping
        Number of images by domain, ``source`` and ``target``, as that step found them.
    """
    problems = [
        f"{domain}_anchors: expected at most the {images[domain]} images of the {domain}, "
        f"found {config[f'{domain}_anchors']}"
        for domain in ("source", "target")
        if config[f"{domain}_anchors"] > images[domain]
    ]
    _, count = added_up(config["rounds"] or [config["budget"]])
    if count > images["target"]:
        name = "rounds" if config["rounds"] else "budget"
        problems.append(f"{name}: expected 1 to {images['target']} images, found {count}")
    return problems


def _place(error: ValidationError) -> list[str]:
    return [str(part) for part in error.absolute_path]


def _described(error: ValidationError) -> Iterator[tuple[str, str]]:
    """The keys that a schema error speaks of, each with what is wrong."""
    prefix = [str(part) for part in error.absolute_path]
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield ".".join([*prefix, name]), "expected a value, found none"
    elif error.validator == "additionalProperties":
        for name in sorted(set(error.instance) - set(error.schema["properties"])):
            yield ".".join([*prefix, name]), "no such setting"
    elif error.validator == "dependentRequired":
        for name, needed in error.validator_value.items():
            if name in error.instance and not set(needed) <= set(error.instance):
                yield name, f"expected {', '.join(needed)} beside it, found none"
    elif "examples" in error.schema:  # they say more than a pattern or a bound
        likes = " or ".join(map(str, error.schema["examples"]))
        yield ".".join(prefix), f"expected a value like {likes}, found {error.instance!r}"
    elif error.validator == "type" and prefix[0] in PATHS:
        yield prefix[0], f"{error.message}; of that name, write ./{error.instance}"
    else:
        yield ".".join(prefix), error.message


def _contradictions(config: Mapping) -> Iterator[tuple[str, str]]:
    """Settings that are each well formed but do not fit the disk or one another."""
    rendered = config.get("demo_data", {}).get("folder")
    for name in ("source_root", "target_root"):
        root = config.get(name)
        if root is None or Path(root).is_dir():
            continue
        domain = f"{rendered}/{name.removesuffix('_root')}"
        if not rendered or not lies_below(root, rendered):
            yield name, f"expected a folder, found none at {root}"
        elif not lies_below(root, domain):
            yield name, f"expected {domain}, which will be rendered, found {root}"
    for name in ("exclude", "include", "warmup_checkpoint"):
        if config.get(name) is not None and not Path(config[name]).is_file():
            yield name, f"expected a file, found none at {config[name]}"
    for name in ("exclude", "include", "warmup_checkpoint", "annotation_root"):
        if WILDCARD.search(config.get(name) or ""):
            yield name, f"expected a path without a word in braces, found {config[name]}"
    work = config.get("annotation_root", "annotations")
    if lies_below(work, "results"):
        yield "annotation_root", f"expected a folder outside of results/, found {work}"

    strategies = [config.get("strategy"), *config.get("compare", [])]
    method = config.get("warmup_method")
    if method == "checkpoint" and config.get("warmup_checkpoint") is None:
        yield "warmup_checkpoint", "expected a file for warmup_method checkpoint, found none"
    if method != "checkpoint" and config.get("warmup_checkpoint") is not None:
        yield "warmup_checkpoint", f"is for warmup_method checkpoint, found {method}"
    judged = need_discriminator(strategies)
    if method in WITHOUT_DISCRIMINATOR:
        for strategy in judged:
            key = "strategy" if strategy == config.get("strategy") else "compare"
            yield key, f"{strategy} needs a discriminator, warmup_method {method} has none"

    if len(config.get("rounds") or []) > 1:
        for strategy in judged:
            yield "rounds", f"{strategy} ranks by the warm-up's discriminator: expected one round"
    rounds = {f"rounds.{n}": budget for n, budget in enumerate(config.get("rounds") or [])}
    budgets = rounds or {"budget": config.get("budget", "1%")}
    refused = False
    for name, budget in budgets.items():
        share, count = added_up([budget])
        if share > 100 or share + count == 0:
            refused = True
            yield name, f"expected a share above 0% and up to 100%, found {budget}"
    for budget in config.get("study_budgets", []):
        if not 0 < added_up([budget])[0] <= 100:
            yield "study_budgets", f"expected shares above 0% and up to 100%, found {budget}"
    share, _ = added_up(budgets.values())
    if share > 100 and not refused:
        yield "rounds", f"expected shares of up to 100% in all, found {share}%"
    if everything_labelled(config):
        for variant in adapted_variants(config):
            yield "variants", f"{variant} {ALL_LABELLED}: expected [M1+] or []"

    training = config.get("training", {})
    low, high = training.get("resize_range", (1, 1))
    if low > high:
        yield "training.resize_range", f"expected the smaller ratio first, found {low} and {high}"
    if training.get("tune_every") and not config.get("tuning_split", True):
        yield "training.tune_every", "is for targets with tuning_split"
    warmup = config.get("warmup", {})
    alone = warmup.get("source_only_iterations", 0)
    if alone >= warmup.get("iterations", alone + 1):
        yield (
            "warmup.source_only_iterations",
            f"expected fewer than iterations, {warmup['iterations']}, found {alone}",
        )
    device, gpus = config.get("device", "auto"), config.get("gpus", 0)
    if (gpus > 0 and device == "cpu") or (gpus > 1 and ":" in device):
        yield "device", f"expected auto or cuda for gpus {gpus}, found {device}"
    pieces = max(1, gpus) * training.get("accumulate", 1)
    if training.get("batch_size", pieces) % pieces:
        yield (
            "training.batch_size",
            f"expected a multiple of gpus times training.accumulate, {pieces}, "
            f"found {training['batch_size']}",
        )

    folder = config.get("predict_images")
    if folder is not None and not Path(folder).is_dir():
        yield "predict_images", f"expected a folder, found none at {folder}"
    if config.get("annotation_holdout"):
        if config.get("annotation_mode") != "manual":
            yield "annotation_holdout", "needs annotation_mode manual"
        if config.get("validation_split", True):
            yield "annotation_holdout", "is for targets without validation_split"

    for name in ("source", "target"):
        layout = config.get(f"{name}_layout", "folder")
        for kind in ("image", "label"):
            if config.get(f"{name}_{kind}_glob") is not None and layout != "folder":
                yield f"{name}_{kind}_glob", f"is for layout folder, found {layout}"
        if layout == "camvid" and "class_table" not in config:
            yield f"{name}_layout", "camvid needs a class_table, found none"
