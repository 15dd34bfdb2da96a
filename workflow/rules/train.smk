"""M0: adversarial warm-up, or a checkpoint of one's own.

In all rules, loader_workers and save_every are resources and not params: they change no byte of
what a step writes, and Snakemake reruns a job for a changed param but not for a changed resource.
"""


rule warmup:
    """Train on the source while a discriminator pulls the target's predictions towards it."""
    input:
        **step("warmup"),
        classes=CLASS_TABLE,
        source="results/{preset}/index/source.csv",
        target="results/{preset}/index/target_train.csv",
        tune=tune_index,
        checked="results/{preset}/index/settings.json",
    output:
        model="results/{preset}/seed-{seed}/warmup-{method}/model.pt",
        discriminator="results/{preset}/seed-{seed}/warmup-{method}/discriminator.pt",
        history="results/{preset}/seed-{seed}/warmup-{method}/history.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/warmup.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/warmup.tsv"
    wildcard_constraints:
        method="adaptseg",
    conda:
        "../../envs/train.yaml"
    threads: config["inference_threads"]
    resources:
        mem_mb=3000,
        loader_workers=config["loader_workers"],
        save_every=config["save_every"],
    params:
        flags=training_flags(config["inference_threads"], config["warmup"]),
        network=flags(**config["network"]),
        tune=tune_flag,
    shell:
        r"""
        python {input.script:q} --source {input.source:q} --target {input.target:q} \
            --statistics {input.target:q} {params.tune} --seed {wildcards.seed} {params.flags} \
            {params.network} --save-every {resources.save_every} \
            --loader-workers {resources.loader_workers} --history {output.history:q} \
            --discriminator-output {output.discriminator:q} --output {output.model:q} \
            >{log:q} 2>&1
        """


rule adopt_checkpoint:
    """Take warmup_checkpoint as M0."""
    input:
        **step("adopt_checkpoint"),
        classes=CLASS_TABLE,
        checkpoint=config["warmup_checkpoint"] or [],
        checked="results/{preset}/index/settings.json",
    output:
        model="results/{preset}/seed-{seed}/warmup-checkpoint/model.pt",
    log:
        "logs/{preset}/seed-{seed}/warmup-checkpoint/adopt_checkpoint.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-checkpoint/adopt_checkpoint.tsv"
    conda:
        "../../envs/train.yaml"
    params:
        flags=flags(
            classes=CLASSES,
            backbone=config["network"]["backbone"],
            feature_channels=config["network"]["feature_channels"],
            output_stride=config["network"]["output_stride"],
        ),
    shell:
        r"""
        python {input.script:q} --checkpoint {input.checkpoint:q} {params.flags} \
            --output {output.model:q} >{log:q} 2>&1
        """
