"""Labels of the active samples, from the benchmark's ground truth."""


rule collect_annotations:
    """Open the labels of the manifest's images, and of no other, and check them."""
    input:
        **step("collect_annotations"),
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
            classes=config["classes"],
        ),
    shell:
        r"""
        python {input.script} --manifest {input.manifest} --index {input.index} {params.flags} \
            --output {output.annotations} >{log} 2>&1
        """
