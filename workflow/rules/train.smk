"""M0: adversarial warm-up, or a checkpoint of one's own."""


rule warmup:
    """Train on the source while a discriminator pulls the target's predictions towards it."""
    input:
        **step("warmup"),
        source="results/{preset}/index/source.csv",
        target="results/{preset}/index/target_train.csv",
        tune=tune_index,
        # Checked before the long work; ancient, since neither changes what the warm-up learns.
        settings=ancient("results/{preset}/index/settings.json"),
        val=ancient("results/{preset}/index/target_val.csv") if VALIDATED else [],
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
        flags=training_flags("warmup", config["inference_threads"]),
        network=flags(**config["network"]),
        tune=tune_flag,
    shell:
        r"""
        python {input.script} --source {input.source} --target {input.target} \
            --statistics {input.target} {params.tune} --seed {wildcards.seed} {params.flags} \
            {params.network} --save-every {resources.save_every} \
            --loader-workers {resources.loader_workers} --history {output.history} \
            --discriminator-output {output.discriminator} --output {output.model} >{log} 2>&1
        """


rule adopt_checkpoint:
    """Take warmup_checkpoint as M0."""
    input:
        **step("adopt_checkpoint"),
        checkpoint=config["warmup_checkpoint"] or [],
        settings=ancient("results/{preset}/index/settings.json"),
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
            classes=config["classes"],
            **{
                name: config["network"][name]
                for name in sorted(config["network"])
                if name != "weights"
            },
        ),
    shell:
        r"""
        python {input.script} --checkpoint {input.checkpoint} {params.flags} \
            --output {output.model} >{log} 2>&1
        """
