"""Tables and figures from JSON, CSV and PNG files alone."""


def iterations(variant):
    """How many iterations a variant has trained for in all, warm-up included."""
    total = config["warmup"]["iterations"] if config["warmup_method"] != "checkpoint" else 0
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
    ladder = [("-", "M0")] + [(config["strategy"], rung) for rung in ("M1", *config["variants"])]
    compared = dict.fromkeys(config["compare"])
    if name == "replicates":
        compared |= dict.fromkeys(["random", "nearest"])
    ladder += [(strategy, "M1") for strategy in compared if strategy != config["strategy"]]
    if config["upper_bound"] or name == "replicates":
        ladder.append(("all", "Mu"))
    return [(seed, strategy, variant) for seed in seeds for strategy, variant in ladder]


def tables(name):
    """The table's file, or what stands in for it where the target has no labelled split."""
    if not VALIDATED:
        return [
            run_file(seed, config["strategy"], f"adapt/{variant_label(variant)}/model.pt")
            for seed in config["seeds"]
            for variant in config["variants"]
        ]
    return f"results/{config['preset']}/tables/{name}.md"


def score_flags(table, split):
    rows = table_rows(table)
    return " ".join(
        flags(score=(seed, strategy, variant, iterations(variant), score_file(seed, strategy, variant, split)))
        for seed, strategy, variant in rows
    )


rule tabulate_scores:
    """Scores of all rows, their mean and deviation over seeds, and differences paired by seed."""
    input:
        **step("tabulate_scores"),
        scores=lambda wildcards: [score_file(*row, "val") for row in table_rows(wildcards.table)],
    output:
        csv="results/{preset}/tables/{table}.csv",
        markdown="results/{preset}/tables/{table}.md",
        figure="results/{preset}/tables/{table}.png",
    log:
        "logs/{preset}/tables/{table}.log",
    benchmark:
        "logs/{preset}/tables/{table}.tsv"
    wildcard_constraints:
        table="ladder|replicates",
    params:
        scores=lambda wildcards: score_flags(wildcards.table, "val"),
    conda:
        "../../envs/report.yaml"
    shell:
        r"""
        python {input.script} {params.scores} --output {output.csv} --markdown {output.markdown} \
            --figure {output.figure} >{log} 2>&1
        """


rule tabulate_tuning_scores:
    """The same table on the tuning split, for choosing settings."""
    input:
        **step("tabulate_scores"),
        scores=lambda wildcards: [score_file(*row, "tune") for row in table_rows(wildcards.table)],
    output:
        csv="results/{preset}/tables/tuning-{table}.csv",
        markdown="results/{preset}/tables/tuning-{table}.md",
        figure="results/{preset}/tables/tuning-{table}.png",
    log:
        "logs/{preset}/tables/tuning-{table}.log",
    benchmark:
        "logs/{preset}/tables/tuning-{table}.tsv"
    wildcard_constraints:
        table="ladder|replicates",
    params:
        scores=lambda wildcards: score_flags(wildcards.table, "tune"),
    conda:
        "../../envs/report.yaml"
    shell:
        r"""
        python {input.script} {params.scores} --output {output.csv} --markdown {output.markdown} \
            --figure {output.figure} >{log} 2>&1
        """


def figures():
    """Pictures of the first seed's run."""
    return []
