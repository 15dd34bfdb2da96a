"""Where results lie, which rows a table has, and which of them the pictures show.

`chosen` is what varies between runs, by wildcard name: CHOSEN for the configuration's own, or the
wildcards of a table or a figure.
"""

RUN = "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}"
SUMMARY = "warmup-{method}/{strategy}-K{k}-b{budget}-V{v}"
CHOSEN = {
    "preset": config["preset"],
    "method": config["warmup_method"],
    "strategy": config["strategy"],
    "k": config["source_anchors"],
    "budget": str(config["budget"]).replace("%", "pct"),
    "v": config["target_anchors"],
}
VALIDATED = config["validation_split"]
NO_SCORES = (
    "No scores: validation_split is false, so nothing was evaluated. "
    f"The models lie below results/{config['preset']}/."
)


def budget_of(wildcards):
    return wildcards.budget.replace("pct", "%")


def warmup_file(chosen, seed, name):
    return f"results/{chosen['preset']}/seed-{seed}/warmup-{chosen['method']}/{name}"


def run_file(chosen, seed, strategy, name):
    """A file of the run of a strategy; `all` takes all images whatever the budget."""
    run = dict(chosen) | {"seed": seed, "strategy": strategy, "round": 0}
    if strategy == "all":
        run["budget"] = "100pct"
    return f"{RUN.format(**run)}/{name}"


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
    folder = training_folder(trained_as(chosen, variant))
    return run_file(chosen, seed, strategy, f"{folder}/{name}")


def score_file(chosen, seed, strategy, variant, split):
    """The scores of a row of a table."""
    if variant == "M0":
        return warmup_file(chosen, seed, f"evaluation/{split}/M0.json")
    name = f"evaluation/{split}/{trained_as(chosen, variant)}.json"
    return run_file(chosen, seed, strategy, name)


def evaluated_model(wildcards):
    """The checkpoint of a variant of a run."""
    return f"{RUN.format(**wildcards)}/{training_folder(wildcards.variant)}/model.pt"


def result_file(seed, strategy, variant):
    """What a row of the configuration's table ends with: its scores, without labels its model."""
    if VALIDATED:
        return score_file(CHOSEN, seed, strategy, variant, "val")
    return training_file(CHOSEN, seed, strategy, variant, "model.pt")


def variant_files(variant):
    """The results of a variant, over the seeds of the configuration."""
    strategy = "all" if variant == "Mu" else config["strategy"]
    return [result_file(seed, strategy, variant) for seed in config["seeds"]]


def iterations(chosen, variant):
    """How many iterations a variant has trained for in all, warm-up included."""
    total = config["warmup"]["iterations"] if chosen["method"] != "checkpoint" else 0
    if variant != "M0":
        total += config["finetune"]["iterations"]
    if variant not in ("M0", "M1"):
        total += config["adapt"]["iterations"]
    return total


def table_rows(table, strategy):
    """(seed, strategy, variant) of every row of a table."""
    seeds = config["report_seeds"] if table == "replicates" else config["seeds"]
    ladder = [("-", "M0")]
    ladder += [(strategy, rung) for rung in ("M1", *config["variants"])]
    compared = dict.fromkeys(config["compare"])
    if table == "replicates":
        compared |= dict.fromkeys(["random", "nearest"])
    ladder += [(other, "M1") for other in compared if other != strategy]
    if config["upper_bound"] or table == "replicates":
        ladder.append(("all", "Mu"))
    return [(seed, *row) for seed in seeds for row in ladder]


def score_rows(wildcards):
    """(seed, strategy, variant, iterations, file) of every row of a table."""
    split = "tune" if wildcards.folder == "tuning" else "val"
    return [
        (*row, iterations(wildcards, row[2]), score_file(wildcards, *row, split))
        for row in table_rows(wildcards.table, wildcards.strategy)
    ]


def tables(table):
    """The table's file, or the models of its rows where there are no labels to score them with."""
    if VALIDATED:
        folder = SUMMARY.format(**CHOSEN)
        return f"results/{config['preset']}/tables/{folder}/{table}.md"
    return [result_file(*row) for row in table_rows(table, config["strategy"])]


def figures():
    """Pictures of the first seed's run; those that need labels only where there are some."""
    folder = f"results/{config['preset']}/figures/{SUMMARY.format(**CHOSEN)}"
    names = ["selection", "histories"] + (["panels"] if VALIDATED else [])
    return [f"{folder}/{name}.png" for name in names]


def history_rows(wildcards):
    """Variant -> history of every training of the ladder; a checkpoint of one's own has none."""
    variants = [] if wildcards["method"] == "checkpoint" else ["M0"]
    variants += ["M1", *config["variants"]]
    row = (wildcards, config["seeds"][0], wildcards["strategy"])
    return {name: training_file(*row, name, "history.csv") for name in variants}


def panel_rows(wildcards):
    """Variant -> scores of those whose predictions are shown beside the ground truth (Figure 3)."""
    variants = dict.fromkeys(["M0", "M1", *config["variants"][-1:]])
    row = (wildcards, config["seeds"][0], wildcards["strategy"])
    return {name: score_file(*row, name, "val") for name in variants}
