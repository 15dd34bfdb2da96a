"""Image-level features, source anchors, ranking and manifest: which images to label."""


rule extract_source_features:
    """Category features of every source image (Eq. 1), normalised by the source's statistics."""
    input:
        **step("extract_features"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/source.csv",
        model="results/{preset}/seed-{seed}/warmup-{method}/model.pt",
    output:
        features="results/{preset}/seed-{seed}/warmup-{method}/features/source.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/features/source.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/features/source.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/features/source.tsv"
    conda:
        "../../envs/train.yaml"
    threads: config["inference_threads"]
    resources:
        mem_mb=2000,
        loader_workers=config["loader_workers"],
    params:
        flags=network_use(
            config["inference_threads"],
            images_size=config["source_size"],
            images_encoding=encoding(config["source_layout"]),
            truth=config["mask_rule"],
        ),
        files=lambda wildcards, input: flags(statistics=input.images),
    shell:
        r"""
        python {input.script:q} --images {input.images:q} --model {input.model:q} {params.files} \
            {params.flags} --loader-workers {resources.loader_workers} \
            --output {output.features:q} >{log:q} 2>&1
        """


use rule extract_source_features as extract_target_features with:
    # Category features and scores of every target training image (Eqs. 4 and 12).
    input:
        **step("extract_features"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/target_train.csv",
        model="results/{preset}/seed-{seed}/warmup-{method}/model.pt",
        discriminator=branch(
            lambda wildcards: wildcards.method == "checkpoint",
            then=[],
            otherwise="results/{preset}/seed-{seed}/warmup-{method}/discriminator.pt",
        ),
    output:
        features="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/features/target_train.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/features/target_train.tsv"
    params:
        flags=network_use(
            config["inference_threads"], images_size=config["target_size"]
        ),
        files=lambda wildcards, input: flags(discriminator=input.discriminator or None),


rule cluster_source_anchors:
    """K anchors of the source domain (Eqs. 2 and 3)."""
    input:
        **step("cluster_anchors"),
        features="results/{preset}/seed-{seed}/warmup-{method}/features/source.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/features/source.csv",
    output:
        anchors="results/{preset}/seed-{seed}/warmup-{method}/anchors/source-K{k}.npy",
        assignments="results/{preset}/seed-{seed}/warmup-{method}/anchors/source-K{k}.csv",
        objective="results/{preset}/seed-{seed}/warmup-{method}/anchors/source-K{k}-objective.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/anchors/source-K{k}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/anchors/source-K{k}.tsv"
    conda:
        "../../envs/anchors.yaml"
    threads: config["inference_threads"]
    params:
        anchors=lambda wildcards: wildcards.k,
        threads=config["inference_threads"],
    shell:
        r"""
        python {input.script:q} --features {input.features:q} --count {params.anchors} \
            --seed {wildcards.seed} --threads {params.threads} \
            --assignments {output.assignments:q} --objective {output.objective:q} \
            --output {output.anchors:q} >{log:q} 2>&1
        """


rule rank_targets:
    """Order target images by a strategy's acquisition score (mada: Eq. 5)."""
    input:
        **step("rank_targets"),
        classes=CLASS_TABLE,
        features="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.csv",
        anchors="results/{preset}/seed-{seed}/warmup-{method}/anchors/source-K{k}.npy",
    output:
        ranking="results/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}/ranking.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}/rank_targets.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}/rank_targets.tsv"
    conda:
        "../../envs/anchors.yaml"
    params:
        flags=flags(
            classes=CLASSES,
            distance=config["distance"],
            threads=config["inference_threads"],
        ),
    shell:
        r"""
        python {input.script:q} --features {input.features:q} --anchors {input.anchors:q} \
            --strategy {wildcards.strategy} --seed {wildcards.seed} {params.flags} \
            --output {output.ranking:q} >{log:q} 2>&1
        """


rule write_manifest:
    """The active samples, and the bundle that an annotator receives."""
    input:
        **step("write_manifest"),
        classes=CLASS_TABLE,
        ranking="results/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}/ranking.csv",
        index="results/{preset}/index/target_train.csv",
        exclude=config["exclude"] or [],
        include=config["include"] or [],
    output:
        manifest="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/manifest.csv",
        bundle=directory(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/bundle"
        ),
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/write_manifest.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/write_manifest.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        budget=budget_of,
        flags=flags(
            classes=CLASSES,
            exclude=config["exclude"],
            include=config["include"],
        ),
    shell:
        r"""
        python {input.script:q} --ranking {input.ranking:q} --index {input.index:q} \
            --budget {params.budget} {params.flags} --bundle {output.bundle:q} \
            --output {output.manifest:q} >{log:q} 2>&1
        """
