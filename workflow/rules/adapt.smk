"""Fine-tuning on the active samples (M1), and semi-supervised adaptation (M1+, M2, M3, M4)."""


rule finetune:
    """M1: source and active samples with their labels (Eq. 6)."""
    input:
        **step("finetune"),
        source="results/{preset}/index/source.csv",
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations",
        model="results/{preset}/seed-{seed}/warmup-{method}/model.pt",
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
        "../../envs/train.yaml"
    threads: config["training_threads"]
    resources:
        mem_mb=3000,
        loader_workers=config["loader_workers"],
        save_every=config["save_every"],
    params:
        flags=training_flags("finetune", config["training_threads"]),
        tune=tune_flag,
    shell:
        r"""
        python {input.script} --source {input.source} --target {input.annotations}/index.csv \
            --statistics {input.statistics} {params.tune} --model {input.model} \
            --seed {wildcards.seed} {params.flags} --save-every {resources.save_every} \
            --loader-workers {resources.loader_workers} --history {output.history} \
            --output {output.model} >{log} 2>&1
        """


rule extract_adapted_features:
    """Category features of the target as M1 sees it, for the target anchors."""
    input:
        **step("extract_features"),
        images="results/{preset}/index/target_train.csv",
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/model.pt",
    output:
        features="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/target_train.tsv"
    conda:
        "../../envs/train.yaml"
    threads: config["inference_threads"]
    resources:
        mem_mb=2000,
        loader_workers=config["loader_workers"],
    params:
        flags=network_use(
            threads=config["inference_threads"], images_size=config["target_size"]
        ),
    shell:
        r"""
        python {input.script} --images {input.images} --model {input.model} {params.flags} \
            --loader-workers {resources.loader_workers} --output {output.features} >{log} 2>&1
        """


rule cluster_target_anchors:
    """V anchors of the target domain."""
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
    conda:
        "../../envs/anchors.yaml"
    threads: config["inference_threads"]
    params:
        threads=config["inference_threads"],
    shell:
        r"""
        python {input.script} --features {input.features} --count {wildcards.v} \
            --seed {wildcards.seed} --threads {params.threads} \
            --assignments {output.assignments} --objective {output.objective} \
            --output {output.anchors} >{log} 2>&1
        """


rule pseudo_label:
    """M1's predictions of the target images without annotation."""
    input:
        **step("pseudo_label"),
        images="results/{preset}/index/target_train.csv",
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations",
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
        "../../envs/train.yaml"
    threads: config["inference_threads"]
    resources:
        mem_mb=2000,
        loader_workers=config["loader_workers"],
    params:
        flags=network_use(
            threads=config["inference_threads"],
            images_size=config["target_size"],
            threshold=config["adapt"]["pseudo_threshold"],
        ),
    shell:
        r"""
        python {input.script} --images {input.images} --annotations {input.annotations}/index.csv \
            --model {input.model} {params.flags} --loader-workers {resources.loader_workers} \
            --output {output.labels} >{log} 2>&1
        """


rule continue_finetuning:
    """M1+: M1 continued for as long as the adaptation takes, without its losses."""
    input:
        **step("adapt"),
        source="results/{preset}/index/source.csv",
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations",
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
    conda:
        "../../envs/train.yaml"
    threads: config["training_threads"]
    resources:
        mem_mb=3000,
        loader_workers=config["loader_workers"],
        save_every=config["save_every"],
    params:
        flags=training_flags("adapt", config["training_threads"]),
        tune=tune_flag,
    shell:
        r"""
        python {input.script} --variant M1+ --source {input.source} \
            --target {input.annotations}/index.csv --statistics {input.statistics} \
            {params.tune} --model {input.model} \
            --seed {wildcards.seed} {params.flags} --save-every {resources.save_every} \
            --loader-workers {resources.loader_workers} --history {output.history} \
            --output {output.model} >{log} 2>&1
        """


rule adapt:
    """M2, M3, M4: soft alignment, moving anchors, pseudo labels (Eqs. 8-11)."""
    input:
        **step("adapt"),
        source="results/{preset}/index/source.csv",
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations",
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/model.pt",
        pseudo_labels="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pseudo_labels",
        anchors="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/target-V{v}.npy",
        statistics="results/{preset}/index/target_train.csv",
        tune=tune_index,
    output:
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt/{rung}-V{v}/model.pt",
        history="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt/{rung}-V{v}/history.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt-{rung}-V{v}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt-{rung}-V{v}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: config["training_threads"]
    resources:
        mem_mb=3000,
        loader_workers=config["loader_workers"],
        save_every=config["save_every"],
    params:
        flags=training_flags("adapt", config["training_threads"]),
        tune=tune_flag,
    shell:
        r"""
        python {input.script} --variant {wildcards.rung} --source {input.source} \
            --target {input.annotations}/index.csv --statistics {input.statistics} \
            {params.tune} --model {input.model} \
            --pseudo-labels {input.pseudo_labels}/index.csv --anchors {input.anchors} \
            --seed {wildcards.seed} {params.flags} --save-every {resources.save_every} \
            --loader-workers {resources.loader_workers} --history {output.history} \
            --output {output.model} >{log} 2>&1
        """
