"""What the pictures and the report show: runs, variants, settings.

The pictures are of the first seed's run, scores of all seeds.
"""

from settings import adapted_variants

PICTURE = f"results/{{preset}}/figures/{SUMMARY}"
# Whether the target is adapted to, and so has features of M1 and anchors of its own.
ADAPTED = bool(adapted_variants(config))
LAST = (config["variants"] or ["M1"])[-1]
# What the report shows of the settings: all that shape the results.
REPORTED = """
    preset seeds rounds classes source_layout target_layout source_size target_size tuning_split
    validation_split annotation_mode annotation_holdout warmup_method strategy budget exclude
    include mask_rule distance source_anchors target_anchors variants compare upper_bound
    network training warmup finetune adapt training_threads inference_threads
""".split()


def shown_run(wildcards):
    """The wildcards of the run that is shown: the first seed's."""
    return chosen_run(wildcards, config["seeds"][0], wildcards["strategy"])


def first_run(wildcards, name):
    """A file of the run that is shown."""
    return run_file(wildcards, config["seeds"][0], wildcards["strategy"], name)


def first_warmup(wildcards, name):
    return warmup_file(wildcards, config["seeds"][0], name)


def history_rows(wildcards):
    """Title -> history of every training of the ladder; a checkpoint of one's own has none."""
    variants = [] if wildcards["method"] == "checkpoint" else ["M0"]
    variants += ["M1", *config["variants"]]
    trainings = {name: (wildcards["strategy"], name) for name in variants}
    if config["upper_bound"] and not MANUAL:
        trainings |= {"M1, all labels": ("all", "M1"), "Mu": ("all", "Mu")}
    row = (wildcards, config["seeds"][0])
    return {
        title: training_file(*row, *training, "history.csv")
        for title, training in trainings.items()
    }


def panel_rows(wildcards):
    """Variant -> scores of those whose predictions are shown beside the ground truth (Figure 3)."""
    row = (wildcards, config["seeds"][0], wildcards["strategy"])
    return {
        name: score_file(*row, name, "val")
        for name in dict.fromkeys(["M0", "M1", LAST])
    }


def panel_folder(scores):
    """The predictions that were written with a score."""
    return scores.removesuffix(".json") + "-panels"


def variant_scores(wildcards, variant):
    """Scores of a variant, one file a seed."""
    strategy = "all" if variant == "Mu" else wildcards["strategy"]
    return [
        score_file(wildcards, seed, strategy, variant, SCORED_ON)
        for seed in config["seeds"]
    ]


def class_rows(wildcards):
    """(variant, scores) of those that are compared class by class, one a seed."""
    variants = ["M0", "M1", LAST]
    if config["upper_bound"] and not MANUAL:
        variants.append("Mu")
    return [
        (variant, path)
        for variant in dict.fromkeys(variants)
        for path in variant_scores(wildcards, variant)
    ]


def reported_settings():
    """Settings in the order of REPORTED; of a method's own section only what it reads."""
    settings = {name: config[name] for name in REPORTED}
    method = config["warmup_method"]
    if method == "checkpoint":
        settings.pop("warmup")
    else:
        settings["warmup"] = warmup_settings(method)
    read = {name for variant in config["variants"] for name in ADAPT_SETTINGS[variant]}
    settings["adapt"] = {
        name: value for name, value in config["adapt"].items() if name in read
    }
    return settings


def pictures():
    """Names of the pictures; those that need labels only where there are some."""
    names = ["selection", "features", "histories"]
    names += ["classes", "confusion"] if SCORED_ON else []
    return names + (["panels"] if VALIDATED else [])


def picture(name):
    return f"{PICTURE.format(**CHOSEN)}/{name}.png"


def caption(name):
    return recorded(Path(workflow.basedir).resolve() / "report" / f"{name}.rst")


def page():
    """The report and its pictures, once there is something to tell."""
    if any(waits(seed, config["strategy"]) for seed in config["seeds"]):
        return []
    return [
        f"results/{config['preset']}/report.html",
        *(picture(name) for name in pictures()),
    ]


def ladder(kind):
    """The table of scores as csv or md, where there are scores."""
    if not SCORED_ON:
        return []
    folder = SUMMARY.format(**CHOSEN)
    return f"results/{config['preset']}/tables/{folder}/ladder.{kind}"


def say_what_came_out():
    """The last word of a run that was asked for tables: the tables, and what to open."""
    if not came_to_its_end():
        return
    named = [Path(name) for job in workflow._dag.targetjobs for name in job.input]
    wanted = [path for path in named if path.is_file()]  # they may have been deleted
    scores = [
        path for path in wanted if path.suffix == ".md" and "tables" in path.parts
    ]
    for table in scores:
        print(f"\n{table.read_text()}", file=sys.stderr)
    reports = [path for path in wanted if path.name == "report.html"]
    for path in reports or [table.with_suffix(".png") for table in scores]:
        print(f"Open {path.resolve()}", file=sys.stderr)
    if reports:
        pictures_folder = Path(PICTURE.format(**CHOSEN)).resolve()
        print(
            f"Its pictures, ready for print, are in {pictures_folder}/", file=sys.stderr
        )


if workflow.is_main_process:
    atexit.register(say_what_came_out)
