"""People in the loop: what annotators receive, what it costs, and what comes back.

`annotation_mode: benchmark` takes the data set's own labels.  With `manual` a run ends, well, once
its bundle stands; when something lies in its `returned/` folder the same command goes on.  The
selection then stands as it was handed out, whatever a newer model would select.
"""


rule pre_annotate:
    """The newest model's labels of the active samples where it is sure, for people to correct."""
    input:
        **step("pseudo_label"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/target_train.csv",
        manifest="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/manifest.csv",
        model=starting_model,
    output:
        labels=directory(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pre_annotations"
        ),
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pre_annotate.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pre_annotate.tsv"
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
            images_size=config["target_size"],
            threshold=config["annotation_threshold"],
        ),
    shell:
        r"""
        python {input.script:q} --images {input.images:q} --manifest {input.manifest:q} \
            --model {input.model:q} {params.flags} --loader-workers {resources.loader_workers} \
            --output {output.labels:q} >{log:q} 2>&1
        """


rule write_bundle:
    """Everything that annotators need, in one folder."""
    input:
        **step("write_bundle"),
        classes=CLASS_TABLE,
        manifest="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/manifest.csv",
        pre_annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pre_annotations",
    output:
        bundle=directory(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/bundle"
        ),
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/write_bundle.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/write_bundle.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        flags=flags(classes=CLASSES, tools=config["annotation_tools"]),
    shell:
        r"""
        python {input.script:q} --manifest {input.manifest:q} \
            --pre-annotations {input.pre_annotations:q} {params.flags} \
            --output {output.bundle:q} >{log:q} 2>&1
        """


rule estimate_cost:
    """How much there is to label, and how long that may take."""
    input:
        **step("annotation_cost"),
        classes=CLASS_TABLE,
        manifest="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/manifest.csv",
        pre_annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pre_annotations",
    output:
        csv="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/cost/handed-out.csv",
        markdown="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/cost/handed-out.md",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/estimate_cost.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/estimate_cost.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        flags=flags(
            classes=CLASSES,
            minutes_per_image=config["annotation_minutes_per_image"],
        ),
        files="",
    shell:
        r"""
        python {input.script:q} --manifest {input.manifest:q} \
            --pre-annotations {input.pre_annotations:q} {params.files} {params.flags} \
            --markdown {output.markdown:q} --output {output.csv:q} >{log:q} 2>&1
        """


use rule estimate_cost as count_cost with:
    # The same with what came back: how much of it people changed.
    input:
        **step("annotation_cost"),
        classes=CLASS_TABLE,
        manifest=handed_out_manifest,
        pre_annotations=handed_out_labels,
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations",
    output:
        csv="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/cost/returned.csv",
        markdown="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/cost/returned.md",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/count_cost.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/count_cost.tsv"
    params:
        flags=flags(
            classes=CLASSES,
            minutes_per_image=config["annotation_minutes_per_image"],
        ),
        files=lambda wildcards, input: flags(annotations=input.annotations),


localrules:
    hand_over,


rule hand_over:
    """Say where the work is waited for, and keep what was handed out beside it.

    The folder that people put their work into is no output: Snakemake deletes outputs.  The command
    that goes on is what the run was started with, and no reason to run again.  On a cluster too this
    runs where Snakemake does, which alone knows that command.
    """
    input:
        **step("hand_over"),
        manifest="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/manifest.csv",
        pre_annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/pre_annotations",
        bundle="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/bundle",
        cost="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/cost/handed-out.md",
    output:
        "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/WAITING.md",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/hand_over.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/hand_over.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        folder=annotation_folder,
        command=lambda wildcards, output: same_command(),
    shell:
        r"""
        python {input.script:q} --manifest {input.manifest:q} \
            --pre-annotations {input.pre_annotations:q} --bundle {input.bundle:q} \
            --folder {params.folder:q} --go-on {params.command:q} --output {output:q} >{log:q} 2>&1
        """


if MANUAL:

    rule collect_returned:
        """Check what annotators handed back, all of it at once."""
        input:
            **step("collect_returned"),
            classes=CLASS_TABLE,
            manifest=handed_out_manifest,
            pre_annotations=handed_out_labels,
            index="results/{preset}/index/target_train.csv",
            returned=returned_or_refused,
        output:
            annotations=directory(
                "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations"
            ),
        log:
            "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/collect_returned.log",
        benchmark:
            "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/collect_returned.tsv"
        conda:
            environment("report")
        container:
            image("report")
        resources:
            **LIGHT,
        params:
            folder=lambda wildcards: f"{annotation_folder(wildcards)}/{RETURNED}",
            flags=flags(
                classes=CLASSES,
                values=config["annotation_values"],
                allow_partial=config["annotation_allow_partial"],
                check_swaps=config["annotation_check_swaps"],
                max_void=config["annotation_max_void"],
                holdout=config["annotation_holdout"],
            ),
        shell:
            r"""
            python {input.script:q} --manifest {input.manifest:q} \
                --pre-annotations {input.pre_annotations:q} --index {input.index:q} \
                --returned {params.folder:q} {params.flags} \
                --output {output.annotations:q} >{log:q} 2>&1
            """

else:

    rule collect_annotations:
        """Open the labels of the manifest's images, and of no other, and check them."""
        input:
            **step("collect_annotations"),
            classes=CLASS_TABLE,
            manifest="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/manifest.csv",
            index="results/{preset}/index/target_train.csv",
        output:
            annotations=directory(
                "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/annotations"
            ),
        log:
            "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/collect_annotations.log",
        benchmark:
            "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/collect_annotations.tsv"
        conda:
            environment("report")
        container:
            image("report")
        resources:
            **LIGHT,
        params:
            # A function, since of a glob's {split} Snakemake would make a wildcard.
            flags=lambda wildcards: flags(
                layout=config["target_layout"],
                root=config["target_root"],
                image_glob=config["target_image_glob"],
                label_glob=config["target_label_glob"],
                classes=CLASSES,
            ),
        shell:
            r"""
            python {input.script:q} --manifest {input.manifest:q} --index {input.index:q} \
                {params.flags} --output {output.annotations:q} >{log:q} 2>&1
            """


rule evaluate_holdout:
    """Score a model on the annotations, of all rounds, that were held out of its training."""
    input:
        **step("evaluate"),
        classes=CLASS_TABLE,
        annotations=all_annotations,
        model=evaluated_model,
    output:
        images=temp(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/evaluation/holdout/{variant}.csv"
        ),
        scores="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/evaluation/holdout/{variant}.json",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/evaluation/holdout/{variant}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/evaluation/holdout/{variant}.tsv"
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
        flags=network_use(
            config["inference_threads"],
            images_size=config["target_size"],
            images_encoding="train-ids",
        ),
        indexes=lambda wildcards, input: [
            f"{folder}/holdout.csv" for folder in input.annotations
        ],
    shell:
        r"""
        partial={output.images:q}.partial
        head -n 1 {params.indexes[0]:q} >"$partial"
        for index in {params.indexes:q}; do tail -n +2 "$index" >>"$partial"; done
        mv "$partial" {output.images:q}
        python {input.script:q} --images {output.images:q} \
            --model {input.model:q} {params.flags} --loader-workers {resources.loader_workers} \
            --output {output.scores:q} >{log:q} 2>&1
        """
