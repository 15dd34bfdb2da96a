"""Tables from JSON and CSV files alone."""


rule tabulate_scores:
    """Scores of all rows, their mean and deviation over seeds, and differences paired by seed.

    On the validation split below tables/; below tuning/ on the tuning split, to choose settings.
    """
    input:
        **step("tabulate_scores"),
        scores=lambda wildcards: [row[-1] for row in score_rows(wildcards)],
        selections=lambda wildcards: [row[-1] for row in measure_rows(wildcards)],
        checked=branch(
            lambda wildcards: wildcards.table == "strategies",
            then="results/{preset}/index/strategies.json",
            otherwise=[],
        ),
        paper=[recorded(table) for table in sorted(STEPS.glob("mada/reference/*.csv"))],
    output:
        csv=report(
            "results/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.csv",
            caption="../report/scores.rst",
            category="Scores",
            labels={"table": "{table}, every seed", "strategy": "{strategy}"},
        ),
        markdown="results/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.md",
        figure=report(
            "results/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.png",
            caption="../report/scores.rst",
            category="Scores",
            labels={"picture": "{table}", "strategy": "{strategy}"},
        ),
    log:
        "logs/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.log",
    benchmark:
        "logs/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.tsv"
    wildcard_constraints:
        folder="tables|tuning",
        table="ladder|replicates|ablation|strategies",
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        scores=lambda wildcards: " ".join(
            flags(score=row) for row in score_rows(wildcards)
        ),
        selections=lambda wildcards: " ".join(
            flags(selection=row) for row in measure_rows(wildcards)
        ),
        budget=lambda wildcards: total_budget(budgets_of(wildcards)),
        paper=flags(
            paper=config["paper_results"],
            for_orientation=config["paper_results"] != config["preset"],
        ),
    shell:
        r"""
        python {input.script:q} {params.scores} {params.selections} \
            --strategy {wildcards.strategy} --budget {params.budget} {params.paper} \
            --output {output.csv:q} --markdown {output.markdown:q} \
            --figure {output.figure:q} >{log:q} 2>&1
        """
