"""Studies over seeds: ablation (Table 3), strategies (Table 4), anchors (Figure 4), budgets (Table 5).

Every score lies where any other run would put it, so that studies share warm-ups, features,
anchors and trainings with each other and with the default run.
"""


use rule check_settings as check_study with:
    # Refuse what the data sets cannot give to a study, before any training of it.
    output:
        "results/{preset}/index/{study}.json",
    log:
        "logs/{preset}/check_{study}.log",
    benchmark:
        "logs/{preset}/check_{study}.tsv"
    wildcard_constraints:
        study="strategies|budgets|anchors",
    params:
        script=lambda wildcards, output: step("check_settings")["script"],
        flags=lambda wildcards, output: checked_flags(wildcards.study),


rule tabulate_sweep:
    """Scores along budgets or numbers of anchors, mean and deviation over seeds."""
    input:
        **step("tabulate_sweep"),
        checked="results/{preset}/index/{study}.json",
        scores=lambda wildcards: [row[-1] for row in sweep_scores(wildcards)],
        paper=[recorded(table) for table in sorted(STEPS.glob("mada/reference/*.csv"))],
    output:
        csv=report(
            "results/{preset}/tables/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{study}.csv",
            caption="../report/scores.rst",
            category="Scores",
            labels={"table": "{study}, every seed", "strategy": "{strategy}"},
        ),
        markdown="results/{preset}/tables/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{study}.md",
        figure=report(
            "results/{preset}/tables/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{study}.png",
            caption="../report/scores.rst",
            category="Scores",
            labels={"picture": "{study}", "strategy": "{strategy}"},
        ),
    log:
        "logs/{preset}/tables/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{study}.log",
    benchmark:
        "logs/{preset}/tables/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{study}.tsv"
    wildcard_constraints:
        study="budgets|anchors",
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        scores=lambda wildcards: " ".join(
            flags(score=row) for row in sweep_scores(wildcards)
        ),
        paper=flags(
            paper=config["paper_results"],
            for_orientation=config["paper_results"] != config["preset"],
        ),
    shell:
        r"""
        python {input.script:q} {params.scores} --axis {wildcards.study} {params.paper} \
            --output {output.csv:q} --markdown {output.markdown:q} \
            --figure {output.figure:q} >{log:q} 2>&1
        """


rule add_up_benchmarks:
    """How many trainings a study has, and how long they took in all."""
    input:
        **step("add_up_benchmarks"),
        models=study_models,
    output:
        "results/{preset}/tables/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{study}-cost.csv",
    log:
        "logs/{preset}/tables/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{study}-cost.log",
    benchmark:
        "logs/{preset}/tables/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/{study}-cost.tsv"
    wildcard_constraints:
        study="ablation|strategies|budgets|anchors",
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        benchmarks=training_benchmarks,
    shell:
        """
        python {input.script:q} --benchmarks {params.benchmarks:q} --output {output:q} \
            >{log:q} 2>&1
        """
