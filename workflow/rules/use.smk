"""The trained model at work: labels of a folder of images, and a file for other programs."""


rule predict_images:
    """Label maps and overlays of a folder of images."""
    input:
        **step("predict"),
        classes=CLASS_TABLE,
        images=images_to_predict,
        model=evaluated_model,
    output:
        folder=directory(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/predictions/{variant}"
        ),
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/predictions/{variant}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/predictions/{variant}.tsv"
    wildcard_constraints:
        variant=r"M0|M1\+?|M[234]-V[1-9]\d*",
    conda:
        environment("train")
    container:
        image("train")
    threads: config["inference_threads"]
    resources:
        **INFERENCE,
    params:
        # A function, since of {…} in a folder's name Snakemake would make a wildcard.
        flags=lambda wildcards: network_use(
            config["inference_threads"],
            images=config["predict_images"],
            images_size=(
                config["target_size"] if config["predict_window"] == "own" else "own"
            ),
            window=config["predict_window"],
            overlap=config["predict_overlap"],
        ),
    shell:
        r"""
        python {input.script:q} --model {input.model:q} {params.flags} \
            --loader-workers {resources.loader_workers} --output {output.folder:q} >{log:q} 2>&1
        """


rule export_model:
    """ONNX and a model card."""
    input:
        **step("export_onnx"),
        classes=CLASS_TABLE,
        model=evaluated_model,
        source="results/{preset}/index/source.csv",
        target="results/{preset}/index/target_train.csv",
        annotations=branch(
            lambda wildcards: wildcards.variant == "M0",
            then=[],
            otherwise=all_annotations,
        ),
        scores=scores_to_report,
    output:
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/export/{variant}/model.onnx",
        card="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/export/{variant}/model-card.md",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/export/{variant}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/export/{variant}.tsv"
    wildcard_constraints:
        variant=r"M0|M1\+?|M[234]-V[1-9]\d*",
    conda:
        environment("train")
    container:
        image("train")
    resources:
        **needs(2000, 10),
    params:
        flags=flags(
            classes=CLASSES,
            annotated_by="people" if MANUAL else "the data set's own labels",
            scored_on=(
                "the validation split"
                if SCORED_ON == "val"
                else "annotations held out of training"
            ),
        ),
        made_by=lambda wildcards: (
            f"preset {wildcards.preset}, strategy {wildcards.strategy}, "
            f"budget {total_budget(budgets_of(wildcards))}, seed {wildcards.seed}"
        ),
        files=lambda wildcards, input: flags(
            annotations=[*input.annotations] or None, scores=input.scores or None
        ),
    shell:
        r"""
        python {input.script:q} --model {input.model:q} --variant {wildcards.variant} \
            --made-by {params.made_by:q} --source {input.source:q} --target {input.target:q} \
            {params.flags} {params.files} \
            --card {output.card:q} --output {output.model:q} >{log:q} 2>&1
        """
