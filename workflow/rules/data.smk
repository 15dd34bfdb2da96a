"""Data sets: the demo's streets, and the index of every split."""

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
            "../../envs/report.yaml"
        threads: 2
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
            python {input.script} {params.flags} --workers {threads} >{log} 2>&1
            """


rule index_source:
    """List and check the source images and their labels."""
    input:
        **step("index_dataset"),
        data=dataset_marker(config["source_root"]),
    output:
        "results/{preset}/index/source.csv",
    log:
        "logs/{preset}/index_source.log",
    benchmark:
        "logs/{preset}/index_source.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 2
    params:
        flags=flags(
            layout=config["source_layout"],
            root=config["source_root"],
            split="train",
            labels="required",
            classes=config["classes"],
        ),
    shell:
        r"""
        python {input.script} {params.flags} --workers {threads} --output {output} >{log} 2>&1
        """


rule index_target:
    """List and check the target images; labels of the training split are never looked at."""
    input:
        **step("index_dataset"),
        data=dataset_marker(config["target_root"]),
    output:
        "results/{preset}/index/target_{split}.csv",
    log:
        "logs/{preset}/index_target_{split}.log",
    benchmark:
        "logs/{preset}/index_target_{split}.tsv"
    wildcard_constraints:
        split="train|tune|val",
    conda:
        "../../envs/report.yaml"
    threads: 2
    params:
        flags=lambda wildcards: flags(
            layout=config["target_layout"],
            root=config["target_root"],
            split=wildcards.split,
            labels="none" if wildcards.split == "train" else "required",
            classes=config["classes"],
        ),
    shell:
        r"""
        python {input.script} {params.flags} --workers {threads} --output {output} >{log} 2>&1
        """


rule check_settings:
    """Refuse what the data sets cannot give, before anything trains."""
    input:
        **step("check_settings"),
        source="results/{preset}/index/source.csv",
        target="results/{preset}/index/target_train.csv",
        exclude=config["exclude"] or [],
        include=config["include"] or [],
    output:
        "results/{preset}/index/settings.json",
    log:
        "logs/{preset}/check_settings.log",
    benchmark:
        "logs/{preset}/check_settings.tsv"
    conda:
        "../../envs/anchors.yaml"
    params:
        flags=flags(
            strategies=[config["strategy"], *config["compare"]],
            budget=config["budget"],
            source_anchors=config["source_anchors"],
            target_anchors=config["target_anchors"],
            exclude=config["exclude"],
            include=config["include"],
        ),
    shell:
        r"""
        python {input.script} --source {input.source} --target {input.target} {params.flags} \
            --output {output} >{log} 2>&1
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
        "false >{log}"
