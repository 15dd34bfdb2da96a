"""Tables and figures from JSON, CSV and PNG files alone."""


rule tabulate_scores:
    """Scores of all rows, their mean and deviation over seeds, and differences paired by seed.

    On the validation split below tables/; below tuning/ on the tuning split, to choose settings.
    """
    input:
        **step("tabulate_scores"),
        scores=lambda wildcards: [row[-1] for row in score_rows(wildcards)],
    output:
        csv="results/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.csv",
        markdown="results/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.md",
        figure="results/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.png",
    log:
        "logs/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.log",
    benchmark:
        "logs/{preset}/{folder}/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{table}.tsv"
    wildcard_constraints:
        folder="tables|tuning",
        table="ladder|replicates",
    conda:
        "../../envs/report.yaml"
    params:
        scores=lambda wildcards: " ".join(
            flags(score=row) for row in score_rows(wildcards)
        ),
    shell:
        r"""
        python {input.script:q} {params.scores} --output {output.csv:q} \
            --markdown {output.markdown:q} --figure {output.figure:q} >{log:q} 2>&1
        """


rule plot_panels:
    """Image, ground truth and predictions side by side (Figure 3)."""
    input:
        **step("plot_panels"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/target_val.csv",
        scores=lambda wildcards: list(panel_rows(wildcards).values()),
    output:
        "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/panels.png",
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/panels.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/panels.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        flags=flags(classes=CLASSES, encoding=encoding(config["target_layout"])),
        rows=lambda wildcards: " ".join(
            flags(
                prediction=(name, scores.removesuffix(".json") + "-panels"),
                scores=(name, scores),
            )
            for name, scores in panel_rows(wildcards).items()
        ),
    shell:
        r"""
        python {input.script:q} --images {input.images:q} {params.flags} {params.rows} \
            --output {output:q} >{log:q} 2>&1
        """


rule plot_selection:
    """The active samples in order of rank."""
    input:
        **step("plot_selection"),
        manifest=lambda wildcards: run_file(
            wildcards, config["seeds"][0], wildcards.strategy, "manifest.csv"
        ),
    output:
        "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/selection.png",
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/selection.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/selection.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        title=lambda wildcards: f"Selected by {wildcards.strategy}, budget {budget_of(wildcards)}",
    shell:
        r"""
        python {input.script:q} --manifest {input.manifest:q} --title {params.title:q} \
            --output {output:q} >{log:q} 2>&1
        """


rule plot_history:
    """Losses of every training of the ladder."""
    input:
        **step("plot_history"),
        histories=lambda wildcards: list(history_rows(wildcards).values()),
    output:
        "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/histories.png",
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/histories.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/histories.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        histories=lambda wildcards: " ".join(
            flags(history=row) for row in history_rows(wildcards).items()
        ),
    shell:
        r"""
        python {input.script:q} {params.histories} --output {output:q} >{log:q} 2>&1
        """
