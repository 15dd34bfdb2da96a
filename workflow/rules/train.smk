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
    params:
        flags=training_flags("warmup", config["inference_threads"]) + " " + flags(**config["network"]),
        tune=tune_flag,
    threads: config["inference_threads"]
    resources:
        mem_mb=3000,
        loader_workers=config["loader_workers"],
        save_every=config["save_every"],
    conda:
        "../../envs/train.yaml"
    shell:
        r"""
        python {input.script} --source {input.source} --target {input.target} {params.tune} \
            --seed {wildcards.seed} {params.flags} --save-every {resources.save_every} \
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
    params:
        flags=flags(
            classes=config["classes"],
            **{name: config["network"][name] for name in sorted(config["network"]) if name != "weights"},
        ),
    conda:
        "../../envs/train.yaml"
    shell:
        r"""
        python {input.script} --checkpoint {input.checkpoint} {params.flags} \
            --output {output.model} >{log} 2>&1
        """
