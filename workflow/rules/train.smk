"""M0: a warm-up by one of several methods, or a checkpoint of one's own.

In all rules, loader_workers and save_every are resources and not params: they change no byte of
what a step writes, and Snakemake reruns a job for a changed param but not for a changed resource.
"""


rule warmup:
    """Train on the source while a discriminator draws the target's predictions to it."""
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
        method="adaptseg|advent|clan",
    conda:
        environment("train")
    container:
        image("train")
    threads: config["inference_threads"]
    resources:
        **network_needs(
            3000, 30, config["inference_threads"], config["gpus"], streams=2
        ),
        launcher=LAUNCHER,
        save_every=config["save_every"],
    params:
        flags=warmup_flags,
        discriminator=lambda wildcards, output: flags(
            discriminator_output=output.discriminator
        ),
        network=flags(**config["network"]),
        tune=tune_flag,
    shell:
        r"""
        exec {resources.launcher} {input.script:q} --source {input.source:q} --target {input.target:q} \
            --statistics {input.target:q} {params.tune} --seed {wildcards.seed} {params.flags} \
            {params.network} --save-every {resources.save_every} \
            --loader-workers {resources.loader_workers} --history {output.history:q} \
            {params.discriminator} --output {output.model:q} \
            >{log:q} 2>&1
        """


use rule warmup as warmup_without_discriminator with:
    # Train on the source alone, or also for confident predictions of the target.
    output:
        model="results/{preset}/seed-{seed}/warmup-{method}/model.pt",
        history="results/{preset}/seed-{seed}/warmup-{method}/history.csv",
    wildcard_constraints:
        method="none|minent",
    params:
        flags=warmup_flags,
        discriminator="",
        network=flags(**config["network"]),
        tune=tune_flag,


rule adopt_checkpoint:
    """Take warmup_checkpoint as M0."""
    input:
        **step("adopt_checkpoint"),
        classes=CLASS_TABLE,
        checkpoint=of_user(config["warmup_checkpoint"]),
        checked="results/{preset}/index/settings.json",
    output:
        model="results/{preset}/seed-{seed}/warmup-checkpoint/model.pt",
    log:
        "logs/{preset}/seed-{seed}/warmup-checkpoint/adopt_checkpoint.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-checkpoint/adopt_checkpoint.tsv"
    conda:
        environment("train")
    container:
        image("train")
    resources:
        **needs(2000, 10),
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
