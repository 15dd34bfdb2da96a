"""Scores on the labelled target splits: tune for choosing settings, val for reporting."""


rule evaluate_warmup:
    """Score M0."""
    input:
        **step("evaluate"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/target_{split}.csv",
        model="results/{preset}/seed-{seed}/warmup-{method}/model.pt",
    output:
        scores="results/{preset}/seed-{seed}/warmup-{method}/evaluation/{split}/M0.json",
        panels=directory(
            "results/{preset}/seed-{seed}/warmup-{method}/evaluation/{split}/M0-panels"
        ),
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/evaluation/{split}/M0.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/evaluation/{split}/M0.tsv"
    wildcard_constraints:
        split="tune|val",
    conda:
        environment("train")
    container:
        image("train")
    threads: config["inference_threads"]
    resources:
        **INFERENCE,
    params:
        flags=EVALUATION_FLAGS,
    shell:
        r"""
        python {input.script:q} --images {input.images:q} --model {input.model:q} {params.flags} \
            --loader-workers {resources.loader_workers} --panels {output.panels:q} \
            --output {output.scores:q} >{log:q} 2>&1
        """


use rule evaluate_warmup as evaluate with:
    # Score a variant of a run.
    input:
        **step("evaluate"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/target_{split}.csv",
        model=evaluated_model,
    output:
        scores="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/evaluation/{split}/{variant}.json",
        panels=directory(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/evaluation/{split}/{variant}-panels"
        ),
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/evaluation/{split}/{variant}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/evaluation/{split}/{variant}.tsv"
