"""Which scores and trainings each study is made of."""


def study(name):
    """What the target of a study makes: its table, and what its trainings cost."""
    if MANUAL or not VALIDATED:
        raise WorkflowError(
            f"{name}: a study needs labels of every image it may select and of a validation split; "
            "expected annotation_mode benchmark and validation_split true"
        )
    folder = f"results/{config['preset']}/tables/{SUMMARY.format(**CHOSEN)}"
    return [f"{folder}/{name}.md", f"{folder}/{name}-cost.csv"]


def study_runs(wildcards):
    """(seed, strategy, variant, wildcards) of every row of a study."""
    if wildcards.study in ("ablation", "strategies"):
        rows = table_rows(wildcards.study, wildcards.strategy)
        return [(*row, wildcards) for row in rows]
    return [row[:1] + row[3:] for row in sweep_rows(wildcards)]


def sweep_rows(wildcards):
    """(seed, series, place, strategy, variant, wildcards) of every score along a sweep."""
    rows = []
    for seed in config["report_seeds"]:
        if wildcards.study == "budgets":
            for strategy in dict.fromkeys((wildcards.strategy, "random")):
                for budget in config["study_budgets"]:
                    run = moved(wildcards, budget=budget.replace("%", "pct"))
                    # All labels are all labels, whatever would have picked them.
                    picked = "all" if budget == "100%" else strategy
                    rows.append((seed, strategy, budget, picked, "M1", run))
        else:
            last = config["variants"][-1]
            for number in config["study_anchors"]:
                for name, variant, changed in (
                    ("K, source anchors", "M1", {"k": number}),
                    ("V, target anchors", last, {"v": number}),
                ):
                    run = moved(wildcards, **changed)
                    series = f"{name}: {variant}"
                    rows.append(
                        (seed, series, number, wildcards.strategy, variant, run)
                    )
    return rows


def moved(wildcards, **changes):
    """The wildcards of a table, some of them changed: another budget, other anchors."""
    return dict(wildcards) | changes


def sweep_scores(wildcards):
    """(seed, series, place, file) of every score along a sweep."""
    return [
        (seed, series, place, score_file(run, seed, strategy, variant, "val"))
        for seed, series, place, strategy, variant, run in sweep_rows(wildcards)
    ]


def training_benchmarks(wildcards):
    """Benchmark files of every training that a study needs, of all rounds, each once."""
    found = {}
    for seed, strategy, variant, run in study_runs(wildcards):
        if run["method"] != "checkpoint":
            found[warmup_file(run, seed, "warmup.tsv")] = True
        if variant != "M0":
            last = chosen_run(run, seed, strategy)
            for each in [*earlier_rounds(last), last]:
                found[f"{RUN.format(**each)}/finetune.tsv"] = True
        if variant not in ("M0", "M1"):
            folder = RUN.format(**trained_run(run, seed, strategy, variant))
            found[f"{folder}/adapt-{trained_as(run, variant)}.tsv"] = True
    return [f"logs/{path.removeprefix('results/')}" for path in found]
