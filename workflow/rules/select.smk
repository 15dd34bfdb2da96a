"""Image-level features, source anchors, ranking and manifest: which images to label."""


scattergather:
    shard=config["extract_shards"],


rule extract_source_features:
    """Category features of every source image (Eq. 1), normalised by the source's statistics."""
    input:
        **step("extract_features"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/source.csv",
        model="results/{preset}/seed-{seed}/warmup-{method}/model.pt",
    output:
        features=extracted(
            "results/{preset}/seed-{seed}/warmup-{method}/features/source.npy"
        ),
        table=extracted(
            "results/{preset}/seed-{seed}/warmup-{method}/features/source.csv"
        ),
    log:
        part("logs/{preset}/seed-{seed}/warmup-{method}/features/source.log"),
    benchmark:
        part("logs/{preset}/seed-{seed}/warmup-{method}/features/source.tsv")
    conda:
        environment("train")
    container:
        image("train")
    threads: config["inference_threads"]
    resources:
        **INFERENCE,
    params:
        flags=network_use(
            config["inference_threads"],
            images_size=config["source_size"],
            images_encoding=encoding(config["source_layout"]),
            truth=config["mask_rule"],
        ),
        files=own_statistics,
        shard=shard_flag,
    shell:
        r"""
        python {input.script:q} --images {input.images:q} --model {input.model:q} {params.files} \
            {params.flags} {params.shard} --loader-workers {resources.loader_workers} \
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
            lambda wildcards: wildcards.method in WITHOUT_DISCRIMINATOR,
            then=[],
            otherwise="results/{preset}/seed-{seed}/warmup-{method}/discriminator.pt",
        ),
    output:
        features=extracted(
            "results/{preset}/seed-{seed}/warmup-{method}/features/target_train.npy"
        ),
        table=extracted(
            "results/{preset}/seed-{seed}/warmup-{method}/features/target_train.csv"
        ),
    log:
        part("logs/{preset}/seed-{seed}/warmup-{method}/features/target_train.log"),
    benchmark:
        part("logs/{preset}/seed-{seed}/warmup-{method}/features/target_train.tsv")
    params:
        flags=network_use(
            config["inference_threads"], images_size=config["target_size"]
        ),
        files=lambda wildcards, input: flags(discriminator=input.discriminator or None),
        shard=shard_flag,


if config["extract_shards"] > 1:

    rule merge_features:
        """The shards of any extraction, one after the other."""
        input:
            **step("merge_features"),
            images="results/{preset}/index/{domain}.csv",
            features=gather.shard(
                "results/{{preset}}/{{folder}}/features/{{domain}}.{scatteritem}.npy"
            ),
            tables=gather.shard(
                "results/{{preset}}/{{folder}}/features/{{domain}}.{scatteritem}.csv"
            ),
        output:
            features="results/{preset}/{folder}/features/{domain}.npy",
            table="results/{preset}/{folder}/features/{domain}.csv",
        log:
            "logs/{preset}/{folder}/features/{domain}.log",
        benchmark:
            "logs/{preset}/{folder}/features/{domain}.tsv"
        wildcard_constraints:
            folder="seed-.+",
            domain="source|target_train",
        conda:
            environment("report")
        container:
            image("report")
        resources:
            **LIGHT,
        shell:
            r"""
            python {input.script:q} --images {input.images:q} --features {input.features:q} \
                --output {output.features:q} >{log:q} 2>&1
            """


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
        environment("anchors")
    container:
        image("anchors")
    threads: config["inference_threads"]
    resources:
        **CLUSTERING,
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
        strategy=strategy_modules,
        classes=CLASS_TABLE,
        features="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.csv",
        anchors=anchors_to_rank_by,
    output:
        ranking="results/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}/ranking.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}/rank_targets.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}/rank_targets.tsv"
    wildcard_constraints:
        strategy=FOR_ANY_BUDGET,
    conda:
        environment("anchors")
    container:
        image("anchors")
    resources:
        **LIGHT,
    params:
        flags=ranking_flags,
        budget="",
    shell:
        r"""
        python {input.script:q} --features {input.features:q} --strategy {wildcards.strategy} \
            {params.budget} --seed {wildcards.seed} {params.flags} \
            --output {output.ranking:q} >{log:q} 2>&1
        """


use rule rank_targets as choose_targets with:
    # The order of a strategy that chooses a set, which holds for one budget alone.
    input:
        **step("rank_targets"),
        strategy=strategy_modules,
        classes=CLASS_TABLE,
        features="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.csv",
        anchors=anchors_to_rank_by,
        exclude=of_user(config["exclude"]),
        include=of_user(config["include"]),
    output:
        ranking="results/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}-b{budget}/ranking.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}-b{budget}/rank_targets.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/select/{strategy}-K{k}-b{budget}/rank_targets.tsv"
    wildcard_constraints:
        strategy=FOR_ONE_BUDGET,
    resources:
        **LIGHT | {"mem_mb": memory_to_choose},
    params:
        flags=ranking_flags,
        budget=lambda wildcards: flags(
            budget=budgets_of(wildcards)[-1],
            exclude=config["exclude"],
            include=config["include"],
        ),


rule write_manifest:
    """The active samples: what is to be labelled."""
    input:
        **step("write_manifest"),
        ranking=ranking_file,
        index="results/{preset}/index/target_train.csv",
        exclude=of_user(config["exclude"]),
        include=included,
        earlier=earlier_annotations,
    output:
        manifest="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/manifest.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/write_manifest.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/write_manifest.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        budget=lambda wildcards: budgets_of(wildcards)[-1],
        flags=list_flags,
    shell:
        r"""
        python {input.script:q} --ranking {input.ranking:q} --index {input.index:q} \
            --budget {params.budget} {params.flags} --output {output.manifest:q} >{log:q} 2>&1
        """


rule measure_selection:
    """How the active samples lie in the pool: neighbouring frames, and what they cover."""
    input:
        **step("measure_selection"),
        classes=CLASS_TABLE,
        manifests=lambda wildcards: [
            handed_out_manifest(each)
            for each in [*earlier_rounds(wildcards), dict(wildcards)]
        ],
        index="results/{preset}/index/target_train.csv",
        features="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.csv",
    output:
        measures="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/selection.json",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/measure_selection.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/measure_selection.tsv"
    conda:
        environment("anchors")
    container:
        image("anchors")
    resources:
        **LIGHT | {"mem_mb": memory_of_copies},
    params:
        flags=flags(classes=CLASSES, threads=config["inference_threads"]),
    shell:
        r"""
        python {input.script:q} --manifest {input.manifests:q} --index {input.index:q} \
            --features {input.features:q} {params.flags} --output {output.measures:q} \
            >{log:q} 2>&1
        """
