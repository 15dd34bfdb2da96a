"""What was handed to people and what came back, which of the runs wait, and their last word.

`run` holds what varies between runs, by wildcard name.
"""

import atexit
from functools import cache

# Where people put their work: outside of results/, which may be deleted and made again.
HANDOVER = f"{config['annotation_root']}/{{preset}}/seed-{{seed}}/warmup-{{method}}/{{strategy}}-K{{k}}-b{{budget}}/round-{{round}}"
# What `select` makes of each run.
HAND_OFF = ["manifest.csv", "bundle", "cost/handed-out.md"]
HAND_OFF += ["WAITING.md"] if MANUAL else []


def annotation_folder(run):
    """Folder of a run's annotations, by its wildcards."""
    return HANDOVER.format(**run)


@cache
def files_in(folder):
    """Files that came back to a folder, as they were when this run began."""
    return returned_files(Path(folder))


def returned_by_people(run):
    """Files that came back for a run."""
    return files_in(f"{annotation_folder(run)}/{RETURNED}")


def returned_or_refused(wildcards):
    """Files that came back for a run, which must be some."""
    found = returned_by_people(wildcards)
    if not found:
        raise WorkflowError(
            f"{annotation_folder(wildcards)}/{RETURNED}: expected annotations, found none; "
            "`select` says what to label"
        )
    return watched(found)


def stands(run):
    """Whether a run's selection is as it was handed out, since something came back for it."""
    given = Path(annotation_folder(run)) / HANDED_OUT / "manifest.csv"
    return MANUAL and given.is_file() and bool(returned_by_people(run))


def handed_out_manifest(run):
    """The manifest that a run's annotations are for."""
    folder = (
        f"{annotation_folder(run)}/{HANDED_OUT}" if stands(run) else RUN.format(**run)
    )
    return f"{folder}/manifest.csv"


def handed_out_labels(run):
    """Folder of the pre-annotations that a run's annotations started from."""
    if stands(run):
        return f"{annotation_folder(run)}/{HANDED_OUT}"
    return f"{RUN.format(**run)}/pre_annotations"


def waiting_round(seed, strategy):
    """The wildcards of the first round of a run that waits for annotations, None if none does."""
    run = chosen_run(CHOSEN, seed, config["strategy"] if strategy == "-" else strategy)
    rounds = [*earlier_rounds(run), run] if MANUAL else []
    return next((each for each in rounds if not returned_by_people(each)), None)


def waits(seed, strategy):
    """Whether the configuration's run of a strategy waits for annotations."""
    return waiting_round(seed, strategy) is not None


def hand_off(seed):
    """What `select` makes of a run: of the round that waits, or else of the last."""
    run = waiting_round(seed, config["strategy"])
    run = run or chosen_run(CHOSEN, seed, config["strategy"])
    return [f"{RUN.format(**run)}/{name}" for name in HAND_OFF]


def waiting_runs():
    """(seed, word) of each run that the targets hand out and that waits."""
    jobs = workflow._dag.targetjobs
    asked = {str(file) for job in jobs for file in (*job.input, *job.output)}
    found = []
    for seed in dict.fromkeys([*config["seeds"], *config["report_seeds"]]):
        for strategy in dict.fromkeys([config["strategy"], "all"]):
            if run := waiting_round(seed, strategy):
                word = Path(RUN.format(**run)) / "WAITING.md"
                if str(word) in asked and word.is_file():
                    found.append((seed, word))
    return found


def costs():
    """What the annotations that came back did cost."""
    runs = [
        each
        for seed in config["seeds"]
        for run in [chosen_run(CHOSEN, seed, config["strategy"])]
        for each in [*earlier_rounds(run), run]
    ]
    return [
        f"{RUN.format(**run)}/cost/returned.md"
        for run in runs
        if MANUAL and returned_by_people(run)
    ]


def same_command():
    """The command that goes on with this run: as it was typed, without target `select`, where it
    would stop again, and without what forces steps to run again.

    Of the main process alone: a job's own Snakemake is started with other words.
    """
    left_out = ("select", "-f", "--force", "-F", "--forceall")
    words, forced = [], False
    for word in sys.argv[1:]:
        if word.startswith("-"):
            forced = word in ("-R", "--forcerun")  # which rules or files follow
        if not (forced or word in left_out or word.startswith("--forcerun=")):
            words.append(word)
    return shlex.join(["snakemake", *words])


def came_to_its_end():
    """Whether this run ended well or found nothing to do."""
    dag = getattr(workflow, "_dag", None)
    nothing_to_do = dag is not None and dag.targetjobs and len(dag) == 0
    return not workflow.dryrun and (ended_well or nothing_to_do)


def say_what_waits():
    """The last word of a run with people in it, whether it had anything to do or not."""
    if not came_to_its_end():
        return
    for seed in config["seeds"]:
        name = "annotations/missing.txt"
        missing = Path(run_file(CHOSEN, seed, config["strategy"], name))
        if missing.is_file():
            ids = ", ".join(missing.read_text(encoding="utf-8").split("\n")[:-1])
            print(
                f"\nseed {seed} trained without the annotations of {ids}",
                file=sys.stderr,
            )
    for seed, word in waiting_runs():
        print(f"\nseed {seed}, {word}:\n\n{word.read_text()}", file=sys.stderr)


ended_well = []
if MANUAL and workflow.is_main_process:
    atexit.register(say_what_waits)
