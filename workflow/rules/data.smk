"""Data sets: the demo's streets, the class table, the index of every split."""

if "demo_data" in config:

    rule make_demo_data:
        """Render the demo's two domains in the official folder layouts."""
        input:
            **step("make_demo_data"),
        output:
            f"{config['demo_data']['folder']}/dataset.json",
        log:
            f"logs/{config['preset']}/make_demo_data.log",
        benchmark:
            f"logs/{config['preset']}/make_demo_data.tsv"
        conda:
            environment("report")
        container:
            image("report")
        threads: 2
        resources:
            **LIGHT,
        params:
            flags=flags(
                output=config["demo_data"]["folder"],
                **{
                    k: v
                    for k, v in sorted(config["demo_data"].items())
                    if k != "folder"
                },
            ),
        shell:
            r"""
            python {input.script:q} {params.flags} --workers {threads} >{log:q} 2>&1
            """


if "class_table" in config:

    rule write_classes:
        """Check the class table and write it as a file."""
        input:
            **step("write_classes"),
        output:
            "results/{preset}/index/classes.json",
        log:
            "logs/{preset}/write_classes.log",
        benchmark:
            "logs/{preset}/write_classes.tsv"
        conda:
            environment("report")
        container:
            image("report")
        resources:
            **LIGHT,
        params:
            # A function, since of {…} in a name Snakemake would make a wildcard.
            flags=lambda wildcards: flags(
                table=json.dumps(config["class_table"]),
                void_ids=config.get("void_ids"),
            ),
        shell:
            r"""
            python {input.script:q} {params.flags} --output {output:q} >{log:q} 2>&1
            """


rule index_source:
    """List and check the source images and their labels."""
    input:
        **step("index_dataset"),
        classes=CLASS_TABLE,
        data=dataset_marker(config["source_root"]),
    output:
        "results/{preset}/index/source.csv",
    log:
        "logs/{preset}/index_source.log",
    benchmark:
        "logs/{preset}/index_source.tsv"
    conda:
        environment("report")
    container:
        image("report")
    threads: 8  # GTA5 has 24,966 images to decode; with fewer cores it takes what there is
    resources:
        **LIGHT,
    params:
        # A function, since of a glob's {split} Snakemake would make a wildcard.
        flags=lambda wildcards: flags(
            layout=config["source_layout"],
            root=config["source_root"],
            image_glob=config["source_image_glob"],
            label_glob=config["source_label_glob"],
            split="train",
            labels="required",
            skip_mismatched_labels=config["skip_mismatched_labels"],
            classes=CLASSES,
        ),
        besides="",
    shell:
        r"""
        python {input.script:q} {params.flags} {params.besides} --workers {threads} \
            --output {output:q} >{log:q} 2>&1
        """


# What every training reads, the index of the training split, is not written before the files of
# the other splits are found to be good. No training could list their indexes among its inputs
# without running again where labels are added to them later; that param depends on the output,
# which Snakemake does not track, for the same reason.
use rule index_source as index_target with:
    # List and check the target images; labels of the training split are never looked at.
    input:
        **step("index_dataset"),
        classes=CLASS_TABLE,
        data=dataset_marker(config["target_root"]),
    output:
        "results/{preset}/index/target_{split}.csv",
    log:
        "logs/{preset}/index_target_{split}.log",
    benchmark:
        "logs/{preset}/index_target_{split}.tsv"
    params:
        flags=lambda wildcards: flags(
            layout=config["target_layout"],
            root=config["target_root"],
            image_glob=config["target_image_glob"],
            label_glob=config["target_label_glob"],
            split=wildcards.split,
            labels="none" if wildcards.split == "train" else "required",
            classes=CLASSES,
        ),
        besides=lambda wildcards, output: (
            flags(check_splits=SCORED_SPLITS or None)
            if wildcards.split == "train"
            else ""
        ),


rule check_settings:
    """Refuse what the data sets cannot give, before anything trains.

    The trainings wait for this check, so whatever made it run again would make them run again.
    Script and flags are therefore params that depend on the output, which Snakemake does not
    track. Numbers changed after the first run are refused by refuse_beyond_the_data.
    """
    input:
        source="results/{preset}/index/source.csv",
        target="results/{preset}/index/target_train.csv",
    output:
        "results/{preset}/index/settings.json",
    log:
        "logs/{preset}/check_settings.log",
    benchmark:
        "logs/{preset}/check_settings.tsv"
    conda:
        environment("anchors")
    container:
        image("anchors")
    resources:
        **LIGHT,
    params:
        script=lambda wildcards, output: step("check_settings")["script"],
        flags=lambda wildcards, output: checked_flags(),
    shell:
        r"""
        python {params.script:q} --source {input.source:q} --target {input.target:q} \
            {params.flags} --output {output:q} >{log:q} 2>&1
        """


rule other_preset:
    """Name the mistake when a file of another preset is asked for."""
    input:
        lambda wildcards: refuse_preset(wildcards.other),
    output:
        "results/{other}/{file}",
    log:
        "logs/{other}/{file}.log",
    wildcard_constraints:
        other=rf"(?!{re.escape(config['preset'])}/)[^/]+",
        file=".+",
    conda:
        "../../envs/report.yaml"
    shell:
        "false >{log:q}"
