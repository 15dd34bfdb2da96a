"""Pictures, and the page that tells of the whole run.

Captions are plain text, since both this page and Snakemake's own report take them.
"""


report: "../report/overview.rst"


rule describe_selection:
    """What was selected and from where, whatever the strategy ranks by."""
    input:
        **step("describe_selection"),
        strategy=strategy_modules,
        classes=CLASS_TABLE,
        manifest=handed_out_manifest,
        target="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.npy",
        target_table="results/{preset}/seed-{seed}/warmup-{method}/features/target_train.csv",
        source="results/{preset}/seed-{seed}/warmup-{method}/features/source.npy",
        source_table="results/{preset}/seed-{seed}/warmup-{method}/features/source.csv",
        anchors=lambda wildcards: warmup_file(
            wildcards,
            wildcards.seed,
            f"anchors/source-K{source_anchors_shown(wildcards)}.npy",
        ),
        source_index="results/{preset}/index/source.csv",
        target_index="results/{preset}/index/target_train.csv",
    output:
        "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/by-anchor.json",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/describe_selection.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/describe_selection.tsv"
    conda:
        environment("anchors")
    container:
        image("anchors")
    resources:
        **LIGHT,
    params:
        flags=flags(
            classes=CLASSES,
            distance=config["distance"],
            threads=config["inference_threads"],
        ),
    shell:
        r"""
        python {input.script:q} --manifest {input.manifest:q} --features {input.target:q} \
            --source-features {input.source:q} --anchors {input.anchors:q} \
            --source {input.source_index:q} --target {input.target_index:q} \
            --strategy {wildcards.strategy} {params.flags} --output {output:q} >{log:q} 2>&1
        """


rule plot_selection:
    """The active samples by rank, beside the source images that they are compared with."""
    input:
        **step("plot_selection"),
        selection=lambda wildcards: first_run(wildcards, "by-anchor.json"),
    output:
        report(
            "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/selection.png",
            caption="../report/selection.rst",
            category="Selection",
            labels={"picture": "selected images", "strategy": "{strategy}"},
        ),
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/selection.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/selection.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    shell:
        r"""
        python {input.script:q} --selection {input.selection:q} --output {output:q} >{log:q} 2>&1
        """


rule plot_features:
    """Both domains' image-level features with their anchors, in the plane (Figure 1)."""
    input:
        **step("plot_features"),
        source=lambda wildcards: first_warmup(wildcards, "features/source.npy"),
        target=lambda wildcards: first_warmup(wildcards, "features/target_train.npy"),
        table=lambda wildcards: first_warmup(wildcards, "features/target_train.csv"),
        source_anchors=lambda wildcards: first_warmup(
            wildcards,
            f"anchors/source-K{source_anchors_shown(shown_run(wildcards))}.npy",
        ),
        manifest=lambda wildcards: handed_out_manifest(shown_run(wildcards)),
        adapted=lambda wildcards: (
            first_run(wildcards, "features/target_train.npy") if ADAPTED else []
        ),
        target_anchors=lambda wildcards: (
            first_run(wildcards, f"anchors/target-V{wildcards.v}.npy")
            if ADAPTED
            else []
        ),
    output:
        report(
            "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/features.png",
            caption="../report/features.rst",
            category="Selection",
            labels={"picture": "image-level features", "strategy": "{strategy}"},
        ),
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/features.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/features.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        adapted=lambda wildcards, input: flags(
            adapted=input.adapted or None, target_anchors=input.target_anchors or None
        ),
        seed=config["seeds"][0],
    shell:
        r"""
        python {input.script:q} --source {input.source:q} --target {input.target:q} \
            --source-anchors {input.source_anchors:q} --manifest {input.manifest:q} \
            {params.adapted} --seed {params.seed} --output {output:q} >{log:q} 2>&1
        """


rule plot_panels:
    """Image, ground truth and predictions side by side (Figure 3)."""
    input:
        **step("plot_panels"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/target_val.csv",
        scores=lambda wildcards: list(panel_rows(wildcards).values()),
        panels=lambda wildcards: [
            panel_folder(scores) for scores in panel_rows(wildcards).values()
        ],
    output:
        report(
            "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/panels.png",
            caption="../report/panels.rst",
            category="Predictions",
            labels={"picture": "predictions", "strategy": "{strategy}"},
        ),
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/panels.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/panels.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        flags=flags(classes=CLASSES, encoding=encoding(config["target_layout"])),
        rows=lambda wildcards: " ".join(
            flags(
                prediction=(name, panel_folder(scores)),
                scores=(name, scores),
            )
            for name, scores in panel_rows(wildcards).items()
        ),
    shell:
        r"""
        python {input.script:q} --images {input.images:q} {params.flags} {params.rows} \
            --output {output:q} >{log:q} 2>&1
        """


rule plot_classes:
    """IoU of every class, by variant."""
    input:
        **step("plot_classes"),
        classes=CLASS_TABLE,
        scores=lambda wildcards: [path for _, path in class_rows(wildcards)],
    output:
        report(
            "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/classes.png",
            caption="../report/classes.rst",
            category="Scores",
            labels={"picture": "IoU by class", "strategy": "{strategy}"},
        ),
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/classes.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/classes.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        classes=CLASSES,
        scores=lambda wildcards: " ".join(
            flags(score=row) for row in class_rows(wildcards)
        ),
    shell:
        r"""
        python {input.script:q} --classes {params.classes:q} {params.scores} \
            --output {output:q} >{log:q} 2>&1
        """


rule plot_confusion:
    """What the last variant of the ladder takes each class for."""
    input:
        **step("plot_confusion"),
        classes=CLASS_TABLE,
        scores=lambda wildcards: variant_scores(wildcards, LAST),
    output:
        report(
            "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/confusion.png",
            caption="../report/confusion.rst",
            category="Predictions",
            labels={"picture": "confusion matrix", "strategy": "{strategy}"},
        ),
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/confusion.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/confusion.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        flags=flags(classes=CLASSES, variant=LAST),
    shell:
        r"""
        python {input.script:q} {params.flags} --scores {input.scores:q} --output {output:q} \
            >{log:q} 2>&1
        """


rule plot_history:
    """Losses of every training of the ladder."""
    input:
        **step("plot_history"),
        histories=lambda wildcards: list(history_rows(wildcards).values()),
    output:
        report(
            "results/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/histories.png",
            caption="../report/histories.rst",
            category="Training",
            labels={"picture": "losses", "strategy": "{strategy}"},
        ),
    log:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/histories.log",
    benchmark:
        "logs/{preset}/figures/warmup-{method}/{strategy}-K{k}-b{budget}-V{v}/histories.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        histories=lambda wildcards: " ".join(
            flags(history=row) for row in history_rows(wildcards).items()
        ),
    shell:
        r"""
        python {input.script:q} {params.histories} --output {output:q} >{log:q} 2>&1
        """


rule write_report:
    """One page of what was selected, what it gained, and how; it needs no other file."""
    input:
        **step("write_report"),
        template=recorded(STEPS / "mada" / "templates" / "report.html"),
        lock=recorded(STEPS.parent / "envs" / "lock.txt"),
        classes=CLASS_TABLE,
        selection=first_run(CHOSEN, "by-anchor.json"),
        scores=ladder("csv"),
        table=ladder("md"),
        pictures=[picture(name) for name in pictures()[1:]],
        captions=[caption(name) for name in pictures()[1:]],
    output:
        "results/{preset}/report.html",
    log:
        "logs/{preset}/report.log",
    benchmark:
        "logs/{preset}/report.tsv"
    conda:
        environment("report")
    container:
        image("report")
    resources:
        **LIGHT,
    params:
        pictures=" ".join(
            flags(picture=(name, picture(name), caption(name)))
            for name in pictures()[1:]
        ),
        scores=lambda wildcards, input: flags(
            scores=input.scores or None,
            table=input.table or None,
            scored_on=SCORED_ON,
        ),
        flags=flags(classes=CLASSES, settings=json.dumps(reported_settings())),
    shell:
        r"""
        python {input.script:q} --selection {input.selection:q} {params.pictures} {params.scores} \
            --lock {input.lock:q} {params.flags} --output {output:q} >{log:q} 2>&1
        """
