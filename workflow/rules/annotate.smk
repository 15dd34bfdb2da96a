"""Labels of the active samples, from the benchmark's ground truth."""


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
        "../../envs/report.yaml"
    params:
        flags=flags(
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
