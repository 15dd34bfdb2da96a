"""Which scores and trainings each study is made of."""

from settings import adapted_variants, study_problem


def study(name):
    """What the target of a study makes: its table, and what its trainings cost."""
    if problem := study_problem(config, name):
        raise WorkflowError(f"{name}: {problem}")
    if name == "anchors":
        refuse_beyond_the_data(config | most_anchors())
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
            series = dict.fromkeys((wildcards.strategy, "random", *config["compare"]))
            for strategy in (name for name in series if name != "all"):
                for share in dict.fromkeys(map(in_path, config["study_budgets"])):
                    # All labels are all labels, whatever would have picked them.
                    picked = "all" if share == "100pct" else strategy
                    place = share.replace("pct", "%")
                    run = moved(wildcards, budget=share)
                    rows.append((seed, strategy, place, picked, "M1", run))
        else:
            series = [
                ("K, source anchors", "M1", "k"),
                ("V, target anchors", adapted_variants(config)[-1], "v"),
            ]
            # What looks at no source anchors, or always at one, has no K to vary.
            if chosen_run(moved(wildcards, k=2), seed, wildcards.strategy)["k"] != 2:
                series.pop(0)
            for number in config["study_anchors"]:
                for name, variant, changed in series:
                    run = moved(wildcards, **{changed: number})
                    row = (f"{name}: {variant}", number, wildcards.strategy, variant)
                    rows.append((seed, *row, run))
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


def study_trainings(wildcards):
    """Model -> benchmark of every training that a study needs, of all rounds, each once."""
    found = {}
    for seed, strategy, variant, run in study_runs(wildcards):
        if run["method"] != "checkpoint":
            found[warmup_file(run, seed, "model.pt")] = warmup_file(
                run, seed, "warmup.tsv"
            )
        if variant != "M0":
            last = chosen_run(run, seed, strategy)
            for each in [*earlier_rounds(last), last]:
                folder = RUN.format(**each)
                found[f"{folder}/finetune/model.pt"] = f"{folder}/finetune.tsv"
        if variant not in ("M0", "M1"):
            folder = RUN.format(**trained_run(run, seed, strategy, variant))
            model = training_file(run, seed, strategy, variant, "model.pt")
            found[model] = f"{folder}/adapt-{trained_as(run, variant)}.tsv"
    return found


def study_models(wildcards):
    return list(study_trainings(wildcards))


def training_benchmarks(wildcards):
    """Not inputs: a model whose benchmark was cleared away is not trained again for it."""
    found = study_trainings(wildcards).values()
    return [f"logs/{path.removeprefix('results/')}" for path in found]
