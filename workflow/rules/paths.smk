"""Where results lie, which rows a table has, and which of them the pictures show."""

RUN = "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}"
VALIDATED = config["validation_split"]


def budget_label(budget):
    """A budget as part of a path: 5% -> 5pct."""
    return str(budget).replace("%", "pct")


def budget_of(wildcards):
    return wildcards.budget.replace("pct", "%")


def run_file(seed, strategy, name, budget=None):
    """A file of the run of a strategy, with the settings of the configuration."""
    if strategy == "all":
        budget = "100%"
    run = RUN.format(
        preset=config["preset"],
        seed=seed,
        method=config["warmup_method"],
        strategy=strategy,
        k=config["source_anchors"],
        budget=budget_label(budget or config["budget"]),
        round=0,
    )
    return f"{run}/{name}"


def warmup_file(seed, name):
    return f"results/{config['preset']}/seed-{seed}/warmup-{config['warmup_method']}/{name}"


def variant_label(variant):
    """A variant as part of a path: those that use target anchors carry their number."""
    return (
        variant
        if variant in ("M1", "M1+")
        else f"{variant}-V{config['target_anchors']}"
    )


def discriminator_of(wildcards):
    """The warm-up's discriminator; a checkpoint of one's own has none."""
    if wildcards.method == "checkpoint":
        return []
    return f"results/{wildcards.preset}/seed-{wildcards.seed}/warmup-{wildcards.method}/discriminator.pt"


def discriminator_flag(wildcards, input):
    return flags(discriminator=input.discriminator) if input.discriminator else ""


def evaluated_model(wildcards):
    """The checkpoint of a variant of a run."""
    run = RUN.format(**wildcards)
    name = wildcards.variant
    return (
        f"{run}/finetune/model.pt" if name == "M1" else f"{run}/adapt/{name}/model.pt"
    )


def iterations(variant):
    """How many iterations a variant has trained for in all, warm-up included."""
    total = (
        config["warmup"]["iterations"] if config["warmup_method"] != "checkpoint" else 0
    )
    if variant != "M0":
        total += config["finetune"]["iterations"]
    if variant not in ("M0", "M1"):
        total += config["adapt"]["iterations"]
    return total


def score_file(seed, strategy, variant, split):
    """The scores of a row of a table; Mu is the strategy all, trained for as long as M4."""
    if variant == "M0":
        return warmup_file(seed, f"evaluation/{split}/M0.json")
    name = "M1+" if variant == "Mu" else variant_label(variant)
    return run_file(seed, strategy, f"evaluation/{split}/{name}.json")


def table_rows(name):
    """(seed, strategy, variant) of every row of a table."""
    seeds = config["report_seeds"] if name == "replicates" else config["seeds"]
    ladder = [("-", "M0")] + [
        (config["strategy"], rung) for rung in ("M1", *config["variants"])
    ]
    compared = dict.fromkeys(config["compare"])
    if name == "replicates":
        compared |= dict.fromkeys(["random", "nearest"])
    ladder += [
        (strategy, "M1") for strategy in compared if strategy != config["strategy"]
    ]
    if config["upper_bound"] or name == "replicates":
        ladder.append(("all", "Mu"))
    return [(seed, strategy, variant) for seed in seeds for strategy, variant in ladder]


def tables(name):
    """The table's file, or what stands in for it where the target has no labelled split."""
    if not VALIDATED:
        return [
            run_file(
                seed, config["strategy"], f"adapt/{variant_label(variant)}/model.pt"
            )
            for seed in config["seeds"]
            for variant in config["variants"]
        ]
    return f"results/{config['preset']}/tables/{name}.md"


def score_flags(table, split):
    rows = table_rows(table)
    return " ".join(
        flags(
            score=(
                seed,
                strategy,
                variant,
                iterations(variant),
                score_file(seed, strategy, variant, split),
            )
        )
        for seed, strategy, variant in rows
    )


def shown():
    """Name -> (variant, strategy) of the trainings that the default run's pictures show."""
    names = {"M0": ("M0", "-"), "M1": ("M1", config["strategy"])}
    return names | {
        variant: (variant, config["strategy"]) for variant in config["variants"]
    }


def figures():
    """Pictures of the first seed's run; those that need labels only where there are some."""
    names = ["selection", "histories"] + (["panels"] if VALIDATED else [])
    return [f"results/{config['preset']}/figures/{name}.png" for name in names]


def history_file(seed, strategy, variant):
    if variant == "M0":
        return warmup_file(seed, "history.csv")
    folder = "finetune" if variant == "M1" else f"adapt/{variant_label(variant)}"
    return run_file(seed, strategy, f"{folder}/history.csv")


def panel_rows():
    """Variants whose predictions are shown beside the ground truth (Figure 3)."""
    last = config["variants"][-1:] or ["M1"]
    return {name: row for name, row in shown().items() if name in ("M0", "M1", *last)}


def panel_flags():
    seed, words = config["seeds"][0], []
    for name, (variant, strategy) in panel_rows().items():
        scores = score_file(seed, strategy, variant, "val")
        folder = scores.removesuffix(".json")
        words.append(flags(prediction=(name, f"{folder}-panels")))
        words.append(flags(scores=(name, scores)))
    return " ".join(words)
