"""Fine-tuning on the active samples (M1), and semi-supervised adaptation (M1+, M2, M3, M4)."""


rule finetune:
    """M1: source and active samples with their labels (Eq. 6)."""
    input:
        **step("finetune"),
        classes=CLASS_TABLE,
        source="results/{preset}/index/source.csv",
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations",
        earlier=earlier_annotations,
        model=starting_model,
        statistics="results/{preset}/index/target_train.csv",
        tune=tune_index,
    output:
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/model.pt",
        history="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/history.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune.tsv"
    conda:
        environment("train")
    container:
        image("train")
    threads: config["training_threads"]
    resources:
        **network_needs(3000, 30, config["training_threads"], config["gpus"], streams=2),
        launcher=LAUNCHER,
        save_every=config["save_every"],
    params:
        flags=training_flags(config["training_threads"], config["finetune"]),
        tune=tune_flag,
        earlier=earlier_flag,
    shell:
        r"""
        exec {resources.launcher} {input.script:q} --source {input.source:q} \
            --target {input.annotations:q}/index.csv {params.earlier} \
            --statistics {input.statistics:q} \
            {params.tune} --model {input.model:q} --seed {wildcards.seed} {params.flags} \
            --save-every {resources.save_every} --loader-workers {resources.loader_workers} \
            --history {output.history:q} --output {output.model:q} >{log:q} 2>&1
        """


use rule extract_source_features as extract_adapted_features with:
    # Category features of the target as M1 sees it, for the target anchors.
    input:
        **step("extract_features"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/target_train.csv",
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/model.pt",
    output:
        features=extracted(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.npy"
        ),
        table=extracted(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.csv"
        ),
    log:
        part(
            "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.log"
        ),
    benchmark:
        part(
            "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.tsv"
        )
    params:
        flags=network_use(
            config["inference_threads"], images_size=config["target_size"]
        ),
        files="",
        shard=shard_flag,


use rule cluster_source_anchors as cluster_target_anchors with:
    # V anchors of the target domain.
    input:
        **step("cluster_anchors"),
        features="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.csv",
    output:
        anchors="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/target-V{v}.npy",
        assignments="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/target-V{v}.csv",
        objective="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/target-V{v}-objective.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/target-V{v}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/target-V{v}.tsv"
    params:
        anchors=lambda wildcards: wildcards.v,


rule pseudo_label:
    """M1's predictions of the target images without annotation."""
    input:
        **step("pseudo_label"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/target_train.csv",
        annotations=all_annotations,
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/model.pt",
    output:
        labels=directory(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pseudo_labels"
        ),
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pseudo_label.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pseudo_label.tsv"
    conda:
        environment("train")
    container:
        image("train")
    threads: config["inference_threads"]
    resources:
        **INFERENCE,
    params:
        annotations=lambda wildcards, input: flags(
            annotations=[f"{folder}/index.csv" for folder in input.annotations]
        ),
        flags=network_use(
            config["inference_threads"],
            images_size=config["target_size"],
            threshold=config["adapt"]["pseudo_threshold"],
        ),
    shell:
        r"""
        python {input.script:q} --images {input.images:q} \
            {params.annotations} --model {input.model:q} {params.flags} \
            --loader-workers {resources.loader_workers} --output {output.labels:q} >{log:q} 2>&1
        """


rule adapt:
    """M2, M3, M4: soft alignment, moving anchors, pseudo labels (Eqs. 8-11)."""
    input:
        **step("adapt"),
        classes=CLASS_TABLE,
        source="results/{preset}/index/source.csv",
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations",
        earlier=earlier_annotations,
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/model.pt",
        statistics="results/{preset}/index/target_train.csv",
        tune=tune_index,
        anchors="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/target-V{v}.npy",
        unlabelled="results/{preset}/index/target_train.csv",
        pseudo_labels=branch(
            lambda wildcards: wildcards.rung == "M4"
            and config["adapt"]["pseudo_source"] == "fixed",
            then="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pseudo_labels",
            otherwise=[],
        ),
    output:
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt/{rung}-V{v}/model.pt",
        history="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt/{rung}-V{v}/history.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt-{rung}-V{v}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt-{rung}-V{v}.tsv"
    conda:
        environment("train")
    container:
        image("train")
    threads: config["training_threads"]
    resources:
        **network_needs(3500, 30, config["training_threads"], config["gpus"], streams=3),
        launcher=LAUNCHER,
        save_every=config["save_every"],
    params:
        flags=lambda wildcards: adapt_flags(wildcards.rung),
        files=adapt_files,
        tune=tune_flag,
        earlier=earlier_flag,
    shell:
        r"""
        exec {resources.launcher} {input.script:q} --source {input.source:q} \
            --target {input.annotations:q}/index.csv {params.earlier} \
            --statistics {input.statistics:q} \
            {params.tune} --model {input.model:q} {params.files} --seed {wildcards.seed} \
            {params.flags} --save-every {resources.save_every} \
            --loader-workers {resources.loader_workers} --history {output.history:q} \
            --output {output.model:q} >{log:q} 2>&1
        """


use rule adapt as continue_finetuning with:
    # M1+: M1 continued for as long as the adaptation takes, without its losses.
    input:
        **step("adapt"),
        classes=CLASS_TABLE,
        source="results/{preset}/index/source.csv",
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations",
        earlier=earlier_annotations,
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/model.pt",
        statistics="results/{preset}/index/target_train.csv",
        tune=tune_index,
    output:
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt/M1+/model.pt",
        history="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt/M1+/history.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt-M1+.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt-M1+.tsv"
    params:
        flags=adapt_flags("M1+"),
        files="",
