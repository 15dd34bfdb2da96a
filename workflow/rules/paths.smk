"""Where results lie, and which rows a table has.

`chosen` is what varies between runs, by wildcard name: CHOSEN for the configuration's own, or the
wildcards of a table or a figure.
"""

from settings import total_budget


def in_path(budget):
    """A budget as part of a path: 2.5pct of 2.5% and of 2.50%, 16 of 16."""
    return total_budget([budget]).replace("%", "pct")


RUN = "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}"
SUMMARY = "warmup-{method}/{strategy}-K{k}-b{budget}-V{v}"
CHOSEN = {
    "preset": config["preset"],
    "method": config["warmup_method"],
    "strategy": config["strategy"],
    "k": config["source_anchors"],
    "budget": "+".join(map(in_path, config["rounds"] or [config["budget"]])),
    "v": config["target_anchors"],
}
VALIDATED = config["validation_split"]
SCORED_SPLITS = ["tune"] * config["tuning_split"] + ["val"] * VALIDATED
MANUAL = config["annotation_mode"] == "manual"
# What models are scored on: without a validation split it may be a share of the annotations.
SCORED_ON = "val" if VALIDATED else "holdout" if config["annotation_holdout"] else None
NO_SCORES = (
    "No scores: validation_split is false, so nothing was evaluated. "
    f"The models lie below results/{config['preset']}/."
)


def budgets_of(run):
    """What each round of a run may label: of 2.5pct+1pct 2.5% and 1%."""
    return run.budget.replace("pct", "%").split("+")


def earlier_rounds(run):
    """The wildcards of the rounds before, first to last.

    A run's folder names the budgets of all its rounds, so that a round that is appended leaves the
    folders of those before as they are.
    """
    budgets = run["budget"].split("+")[: int(run["round"])]
    return [
        dict(run) | {"budget": "+".join(budgets[: n + 1]), "round": n}
        for n in range(len(budgets))
    ]


def before(run, name):
    """A file of the round before."""
    return f"{RUN}/{name}".format(**dict(run) | earlier_rounds(run)[-1])


def starting_model(run):
    """What a round fine-tunes and pre-annotates with: M0, or M1 of the round before."""
    if int(run["round"]) == 0:
        return warmup_file(run, run["seed"], "model.pt")
    return before(run, "finetune/model.pt")


def earlier_annotations(run):
    """Folders of the annotations of the rounds before."""
    return [f"{RUN.format(**each)}/annotations" for each in earlier_rounds(run)]


def earlier_flag(wildcards, input):
    """Flag of the indexes of the annotations of the rounds before, if there are some."""
    indexes = [f"{folder}/index.csv" for folder in input.earlier]
    return flags(earlier=indexes) if indexes else ""


def included(run):
    """The list of images to label in any case, which the first round does."""
    return of_user(config["include"]) if int(run["round"]) == 0 else []


def labelled(folders):
    """Indexes of all images that came back labelled, those kept for scores included."""
    names = ["index.csv", *(["holdout.csv"] if config["annotation_holdout"] else [])]
    return [f"{folder}/{name}" for folder in folders for name in names]


def list_flags(wildcards, input):
    """Flags of the lists that a manifest heeds."""
    lists = {"exclude": config["exclude"], "include": input.include or None}
    return flags(**lists, earlier=labelled(input.earlier) or None)


def all_annotations(run):
    """Folders of the annotations of a round and of those before."""
    return [*earlier_annotations(run), f"{RUN.format(**run)}/annotations"]


def warmup_file(chosen, seed, name):
    return f"results/{chosen['preset']}/seed-{seed}/warmup-{chosen['method']}/{name}"


def chosen_run(chosen, seed, strategy):
    """The wildcards of a run, the same for selections that cannot differ.

    `all` takes all images, always; `mada` by one anchor is `single-centroid`; and what looks at
    no source anchors has none (K0).
    """
    run = dict(chosen) | {"seed": seed, "strategy": strategy}
    if strategy == "all":
        run["budget"] = "100pct"
    if strategy == "mada" and int(run["k"]) == 1:
        run["strategy"] = "single-centroid"
    elif strategy == "single-centroid":
        run["k"] = 1
    elif not STRATEGIES[strategy].source_anchors:
        run["k"] = 0
    return run | {"round": run["budget"].count("+")}


def source_anchors_shown(run):
    """K of the source anchors that pictures of a run show, whether it was selected by them or not."""
    return int(run["k"]) or config["source_anchors"]


def run_file(chosen, seed, strategy, name):
    """A file of the run of a strategy."""
    return f"{RUN.format(**chosen_run(chosen, seed, strategy))}/{name}"


def trained_run(chosen, seed, strategy, variant):
    """The wildcards of the run that a variant is trained in.

    Mu has all labels in its first round; a folder beside it, of as many rounds as the others have,
    holds the Mu that is continued for as long as they train.
    """
    run = chosen_run(chosen, seed, strategy)
    return run | ({"round": chosen["budget"].count("+")} if variant == "Mu" else {})


def ranking_file(wildcards):
    """The ranking that a run's manifest is taken from; some hold for one budget alone.

    After the first round it is one by the features of the round before.
    """
    if wildcards.round != "0":
        return f"{RUN}/ranking.csv".format(**wildcards)
    folder = "{strategy}-K{k}".format(**wildcards)
    if STRATEGIES[wildcards.strategy].per_budget:
        folder += f"-b{wildcards.budget}"
    return warmup_file(wildcards, wildcards.seed, f"select/{folder}/ranking.csv")


def anchors_to_rank_by(wildcards):
    """Source anchors, for strategies that look at them."""
    if not STRATEGIES[wildcards.strategy].source_anchors:
        return []
    if int(wildcards.get("round", 0)):
        return before(wildcards, f"anchors/source-K{wildcards.k}.npy")
    return warmup_file(wildcards, wildcards.seed, f"anchors/source-K{wildcards.k}.npy")


def ranking_flags(wildcards, input):
    """Flags of every ranking; how to measure distances to anchors only where there are some."""
    return flags(
        anchors=input.anchors or None,
        distance=config["distance"] if input.anchors else None,
        classes=CLASSES,
        threads=config["inference_threads"],
    )


def trained_as(chosen, variant):
    """A variant as part of a path: Mu is M1+ of the strategy `all`, M2 to M4 have V anchors."""
    if variant in ("M1", "M1+", "Mu"):
        return variant.replace("Mu", "M1+")
    return f"{variant}-V{chosen['v']}"


def training_folder(label):
    """Where a variant's training lies in its run."""
    return "finetune" if label == "M1" else f"adapt/{label}"


def training_file(chosen, seed, strategy, variant, name):
    """A file of the training of a variant: model.pt or history.csv."""
    if variant == "M0":
        return warmup_file(chosen, seed, name)
    folder = RUN.format(**trained_run(chosen, seed, strategy, variant))
    return f"{folder}/{training_folder(trained_as(chosen, variant))}/{name}"


def score_file(chosen, seed, strategy, variant, split):
    """The scores of a row of a table."""
    if variant == "M0" and split == "holdout":  # each run holds out images of its own
        own = dict(chosen)["strategy"]
        return run_file(chosen, seed, own, "evaluation/holdout/M0.json")
    if variant == "M0":
        return warmup_file(chosen, seed, f"evaluation/{split}/M0.json")
    folder = RUN.format(**trained_run(chosen, seed, strategy, variant))
    return f"{folder}/evaluation/{split}/{trained_as(chosen, variant)}.json"


def evaluated_model(wildcards):
    """The checkpoint of a variant of a run."""
    if wildcards.variant == "M0":
        return warmup_file(wildcards, wildcards.seed, "model.pt")
    return f"{RUN.format(**wildcards)}/{training_folder(wildcards.variant)}/model.pt"


def result_file(seed, strategy, variant):
    """What a row of the configuration's table ends with: its scores, without labels its model.

    While annotations are waited for it ends with the word that says so.
    """
    waiting = waiting_round(seed, strategy)
    if waiting and variant != "M0":
        return f"{RUN.format(**waiting)}/WAITING.md"
    if SCORED_ON == "val" or (SCORED_ON and not waiting):
        return score_file(CHOSEN, seed, strategy, variant, SCORED_ON)
    return training_file(CHOSEN, seed, strategy, variant, "model.pt")


def refuse_if_all_labelled(variant):
    if variant in NEED_UNLABELLED and everything_labelled(config):
        raise WorkflowError(f"{variant} {ALL_LABELLED}")


def variant_files(variant):
    """The results of a variant, over the seeds of the configuration."""
    refuse_if_all_labelled(variant)
    strategy = "all" if variant == "Mu" else config["strategy"]
    return [result_file(seed, strategy, variant) for seed in config["seeds"]]


def iterations(chosen, seed, strategy, variant):
    """How many iterations a row's variant has trained for in all rounds, warm-up included."""
    total = config["warmup"]["iterations"] if chosen["method"] != "checkpoint" else 0
    if variant != "M0":
        last = trained_run(chosen, seed, strategy, variant)["round"]
        total += (last + 1) * config["finetune"]["iterations"]
    if variant not in ("M0", "M1"):
        total += config["adapt"]["iterations"]
    return total


def table_rows(table, strategy):
    """(seed, strategy, variant) of every row of a table."""
    seeds = config["seeds"] if table == "ladder" else config["report_seeds"]
    if table == "strategies":  # random first, since rows are compared with the first M1
        names = ["random", strategy, *config["study_strategies"], "all"]
        compared = dict.fromkeys(names)  # each once, whatever names it
        rows = [("-", "M0"), *((name, "M1") for name in compared)]
        return [(seed, *row) for seed in seeds for row in rows]
    ladder = [("-", "M0")]
    ladder += [(strategy, rung) for rung in ("M1", *config["variants"])]
    if MANUAL:  # nobody labels images for comparison alone
        return [(seed, *row) for seed in seeds for row in ladder]
    compared = [] if table == "ablation" else [*config["compare"]]
    compared += ["random", "nearest"] if table == "replicates" else []
    ladder += [(other, "M1") for other in dict.fromkeys(compared) if other != strategy]
    if config["upper_bound"] or table != "ladder":
        ladder.append(("all", "Mu"))
    return [(seed, *row) for seed in seeds for row in ladder]


def score_rows(wildcards):
    """(seed, strategy, variant, iterations, file) of every row of a table."""
    split = "tune" if wildcards.folder == "tuning" else SCORED_ON
    return [
        (*row, iterations(wildcards, *row), score_file(wildcards, *row, split))
        for row in table_rows(wildcards.table, wildcards.strategy)
    ]


def measure_rows(wildcards):
    """(seed, strategy, file) of how each selection of a table of strategies lies in its pool."""
    if wildcards.table != "strategies":
        return []
    rows = table_rows(wildcards.table, wildcards.strategy)
    return [
        (seed, strategy, run_file(wildcards, seed, strategy, "selection.json"))
        for seed, strategy, variant in rows
        if variant == "M1"
    ]


def tables(table):
    """The table's file, or the models of its rows where there are no labels to score them with."""
    rows = table_rows(table, config["strategy"])
    if SCORED_ON and not any(waits(*row[:2]) for row in rows):
        folder = SUMMARY.format(**CHOSEN)
        return f"results/{config['preset']}/tables/{folder}/{table}.md"
    return list(dict.fromkeys(result_file(*row) for row in rows))


def final_files(files_of):
    """What becomes of the final model of each seed; of one that waits the word that says so."""
    variant = config["final_variant"]
    refuse_if_all_labelled(variant)
    found = []
    for seed in config["seeds"]:
        if variant != "M0" and waits(seed, config["strategy"]):
            found.append(run_file(CHOSEN, seed, config["strategy"], "WAITING.md"))
        else:
            found += files_of(
                seed, trained_as(CHOSEN, variant) if variant != "M0" else "M0"
            )
    return list(dict.fromkeys(found))


def predictions(seed, variant):
    name = f"predictions/{variant}"
    return [run_file(CHOSEN, seed, config["strategy"], name)]


def exported(seed, variant):
    names = [f"export/{variant}/model.onnx", f"export/{variant}/model-card.md"]
    return [run_file(CHOSEN, seed, config["strategy"], name) for name in names]


def images_to_predict(wildcards):
    """Every image below the folder, so that one more or another is noticed."""
    if config["predict_images"] is None:
        raise WorkflowError(
            "predict_images: expected a folder of images, found none: add --config predict_images=…"
        )
    found = image_files(Path(config["predict_images"]), "**/*")
    if not found:
        raise WorkflowError(
            f"predict_images: expected images below {config['predict_images']}, found none"
        )
    return watched(map(str, found))


def scores_to_report(wildcards):
    """Scores of the model, where there are labels to score it on."""
    if not SCORED_ON:
        return []
    folder = f"{RUN.format(**wildcards)}/evaluation"
    if wildcards.variant == "M0":  # held-out annotations are of one run, M0 is of all
        if SCORED_ON == "holdout":
            return []
        folder = warmup_file(wildcards, wildcards.seed, "evaluation")
    return f"{folder}/{SCORED_ON}/{wildcards.variant}.json"


def part(path):
    """Where an extraction's job writes: the path itself, or beside it one shard's."""
    if config["extract_shards"] == 1:
        return path
    stem, _, suffix = path.rpartition(".")
    return f"{stem}.{{scatteritem}}.{suffix}"


def extracted(path):
    """A file of an extraction; those of shards go once they are merged."""
    return path if part(path) == path else temp(part(path))


def shard_flag(wildcards):
    return flags(shard=wildcards.get("scatteritem"))


def own_statistics(wildcards, input):
    """Flag that the images' own batch-norm statistics be used, as in training unless frozen."""
    frozen = config["training"]["batch_norm"] == "frozen"
    return flags(statistics=None if frozen else input.images)
