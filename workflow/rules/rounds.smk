"""Rounds after the first: select again, by the newest model's features, among images without label."""


use rule extract_source_features as extract_source_features_again with:
    # Category features of the source as M1 of a round sees it, for the anchors of the next.
    input:
        **step("extract_features"),
        classes=CLASS_TABLE,
        images="results/{preset}/index/source.csv",
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/finetune/model.pt",
    output:
        features=extracted(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/source.npy"
        ),
        table=extracted(
            "results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/source.csv"
        ),
    log:
        part(
            "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/source.log"
        ),
    benchmark:
        part(
            "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/source.tsv"
        )


use rule cluster_source_anchors as cluster_source_anchors_again with:
    input:
        **step("cluster_anchors"),
        features="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/source.npy",
        table="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/features/source.csv",
    output:
        anchors="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/source-K{k}.npy",
        assignments="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/source-K{k}.csv",
        objective="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/source-K{k}-objective.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/source-K{k}.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/anchors/source-K{k}.tsv"


use rule rank_targets as rank_targets_again with:
    # The order of a later round; images that are labelled stand in the set before the first pick.
    input:
        **step("rank_targets"),
        strategy=strategy_modules,
        classes=CLASS_TABLE,
        features=lambda wildcards: before(wildcards, "features/target_train.npy"),
        table=lambda wildcards: before(wildcards, "features/target_train.csv"),
        anchors=anchors_to_rank_by,
        exclude=of_user(config["exclude"]),
        earlier=earlier_annotations,
    output:
        ranking="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/ranking.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/rank_targets.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/rank_targets.tsv"
    wildcard_constraints:
        round=r"[1-9]\d*",
    resources:
        **LIGHT | {"mem_mb": memory_to_choose},
    params:
        flags=ranking_flags,
        budget=lambda wildcards, input: flags(
            budget=budgets_of(wildcards)[-1],
            exclude=config["exclude"],
            earlier=labelled(input.earlier),
        ),


ruleorder: continue_upper_bound > continue_finetuning


use rule continue_finetuning as continue_upper_bound with:
    # Mu beside several rounds: continued also for what the rounds after the first fine-tune.
    input:
        **step("adapt"),
        classes=CLASS_TABLE,
        source="results/{preset}/index/source.csv",
        annotations="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-0/annotations",
        earlier=[],
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-0/finetune/model.pt",
        statistics="results/{preset}/index/target_train.csv",
        tune=tune_index,
    output:
        model="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt/M1+/model.pt",
        history="results/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt/M1+/history.csv",
    log:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt-M1+.log",
    benchmark:
        "logs/{preset}/seed-{seed}/warmup-{method}/runs/{strategy}-K{k}-b{budget}/round-{round}/adapt-M1+.tsv"
    wildcard_constraints:
        strategy="all",
        round=r"[1-9]\d*",
    params:
        flags=lambda wildcards: adapt_flags("M1+", int(wildcards.round)),
        files="",
