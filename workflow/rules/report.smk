"""Tables and figures from JSON, CSV and PNG files alone."""


rule tabulate_scores:
    """Scores of all rows, their mean and deviation over seeds, and differences paired by seed."""
    input:
        **step("tabulate_scores"),
        scores=lambda wildcards: [
            score_file(*row, "val") for row in table_rows(wildcards.table)
        ],
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
    conda:
        "../../envs/report.yaml"
    params:
        scores=lambda wildcards: score_flags(wildcards.table, "val"),
    shell:
        r"""
        python {input.script} {params.scores} --output {output.csv} --markdown {output.markdown} \
            --figure {output.figure} >{log} 2>&1
        """


rule tabulate_tuning_scores:
    """The same table on the tuning split, for choosing settings."""
    input:
        **step("tabulate_scores"),
        scores=lambda wildcards: [
            score_file(*row, "tune") for row in table_rows(wildcards.table)
        ],
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
    conda:
        "../../envs/report.yaml"
    params:
        scores=lambda wildcards: score_flags(wildcards.table, "tune"),
    shell:
        r"""
        python {input.script} {params.scores} --output {output.csv} --markdown {output.markdown} \
            --figure {output.figure} >{log} 2>&1
        """


rule plot_panels:
    """Image, ground truth and predictions side by side (Figure 3)."""
    input:
        **step("plot_panels"),
        images="results/{preset}/index/target_val.csv",
        scores=[
            score_file(config["seeds"][0], strategy, variant, "val")
            for variant, strategy in panel_rows().values()
        ],
    output:
        "results/{preset}/figures/panels.png",
    log:
        "logs/{preset}/figures/panels.log",
    benchmark:
        "logs/{preset}/figures/panels.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        flags=flags(
            classes=config["classes"], encoding=encoding(config["target_layout"])
        ),
        rows=panel_flags(),
    shell:
        r"""
        python {input.script} --images {input.images} {params.flags} {params.rows} \
            --output {output} >{log} 2>&1
        """


rule plot_selection:
    """The active samples in order of rank."""
    input:
        **step("plot_selection"),
        manifest=run_file(config["seeds"][0], config["strategy"], "manifest.csv"),
    output:
        "results/{preset}/figures/selection.png",
    log:
        "logs/{preset}/figures/selection.log",
    benchmark:
        "logs/{preset}/figures/selection.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        title=f"Selected by {config['strategy']}, budget {config['budget']}",
    shell:
        r"""
        python {input.script} --manifest {input.manifest} --title {params.title:q} \
            --output {output} >{log} 2>&1
        """


rule plot_history:
    """Losses of every training of the ladder."""
    input:
        **step("plot_history"),
        histories=[
            history_file(config["seeds"][0], strategy, variant)
            for variant, strategy in shown().values()
        ],
    output:
        "results/{preset}/figures/histories.png",
    log:
        "logs/{preset}/figures/histories.log",
    benchmark:
        "logs/{preset}/figures/histories.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        histories=" ".join(
            flags(history=(name, history_file(config["seeds"][0], strategy, variant)))
            for name, (variant, strategy) in shown().items()
        ),
    shell:
        r"""
        python {input.script} {params.histories} --output {output} >{log} 2>&1
        """
