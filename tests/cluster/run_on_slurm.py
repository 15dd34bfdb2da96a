"""Run the tiny pipeline on a real SLURM of one node, which is installed, started and stopped here.

    python tests/cluster/run_on_slurm.py

As root, on Debian or Ubuntu, with envs/lock.txt and envs/cluster.txt installed.  What it shows,
with the profile workflow/profiles/slurm: the pipeline runs through sbatch to its end; a failing job
is tried again with more memory and time, then ends the run with the step's own words; a training
that SLURM requeues goes on; a cancelled one ends the run, and the same command goes on; one
launcher gets all GPUs of a training (two that SLURM only believes in).  All jobs are listed at
the end.

It refuses to run where SLURM is configured already.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "steps")]
from test_pipeline import M4, SNAKEMAKE, WARMUP, environment, make_project  # noqa: E402

MARK = "# Written by tests/cluster/run_on_slurm.py, which removes it when it ends."
# The plugin's job step reads SLURM's configuration from nowhere else.
CONFIGURATION, GPUS = Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf")
# Without cgroups and accounting: memory is counted but not enforced, squeue tells the states.
SLURM = """\
{mark}
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
KillWait=30
GresTypes=gpu
NodeName=localhost NodeHostname=localhost NodeAddr=127.0.0.1 CPUs={cpus} Boards=1 \
SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory={memory} Gres=gpu:2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
# The profiles as they are, with short waits, without accounting, and groups of jobs of two cores.
COMMON = ("--cores", "2", "--latency-wait", "2", "--seconds-between-status-checks", "1")
OPTIONS = {
    "slurm": (
        *("--slurm-init-seconds-before-status-checks", "4", "--slurm-status-command", "squeue"),
        "--slurm-keep-successful-logs",
    ),
    "cluster-generic": (),
}
LONG = {"warmup": {"iterations": 40}}  # long enough to be interrupted twice
TWO_GPUS = {"gpus": 2, "training": {"batch_norm": "frozen"}}
PATIENCE = 900  # s for a run of Snakemake or anything waited for; a quiet machine needs a fifth


def main() -> None:
    started = time.monotonic()
    refuse_where_unwelcome()
    install()
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, slurm(Path(name)):
        project = make_project(Path(name) / "project", variants=["M4"])
        try:
            for scenario in SCENARIOS:
                say(f"{scenario.__name__.replace('_', ' ')}: {scenario.__doc__}")
                scenario(project)
        finally:
            Run.end_all()
            say("all jobs, as SLURM tells them")
            print(table(jobs()))
    seconds = time.monotonic() - started
    say(f"{len(SCENARIOS)} passed, 0 failed, in {seconds:.0f} s, installation included")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def expect(truth: object, what: str, evidence: str = "") -> None:
    if not truth:
        raise SystemExit(f"{evidence}\nerror: expected that {what}")
    print(f"   {what}", flush=True)


# What is shown


def to_the_end(project: Path) -> None:
    """the whole pipeline through sbatch"""
    code, output = Run(project).finished()
    expect(code == 0, "the run ends well", output)
    expect((project / M4).is_file(), "M4 is scored")
    found = jobs()
    expect({job["JobState"] for job in found} == {"COMPLETED"}, "every job is COMPLETED")
    expect(len(found) < len(re.findall(r"(?m)^\s*rule ", output)), "small jobs share a submission")


def a_failing_job(project: Path) -> None:
    """a damaged image; the second try fails like the first, with more memory and time"""
    image = next((project / "data/cityscapes/leftImg8bit/val").rglob("*.png"))
    whole, before = image.read_bytes(), len(jobs())
    image.write_bytes(whole[:100])
    target = "results/demo/index/target_val.csv"
    forced = ("--forcerun", "index_target", "--retries", "1")
    code, output = Run(project, target, *forced).finished()
    image.write_bytes(whole)
    first, second = jobs()[before:]
    expect(code != 0, "the run ends with an error", output)
    expect({first["JobState"], second["JobState"]} == {"FAILED"}, "the job is FAILED, twice")
    expect(
        f"{image.name}: expected a readable image" in output, "it repeats the step's words", output
    )
    asked = [(job["MinMemoryNode"], job["TimeLimit"]) for job in (first, second)]
    expect(asked == [("1000M", "00:10:00"), ("2000M", "00:20:00")], f"it asked for {asked}")
    expect(not (project / target).exists(), "no damaged index is left")


def a_requeued_training(project: Path) -> None:
    """SLURM stops a training and starts its job again, as after a preemption"""
    run = Run(project, f"{WARMUP}/model.pt", settings=LONG)
    job = wait_for(lambda: saved(project) and jobs()[-1], "the training saves its state")
    call("scontrol", "requeue", job["JobId"])
    wait_for(lambda: jobs()[-1]["JobState"] == "PENDING", "the job waits again, under its number")
    expect("terminated, iteration" in training_log(project), "the training was told and saved")
    call("scontrol", "update", f"JobId={job['JobId']}", "StartTime=now")  # not in two minutes
    wait_for(lambda: "going on" in training_log(project), "the training goes on from there")
    run.interrupt()
    wait_for(lambda: jobs()[-1]["JobState"] == "CANCELLED", "Ctrl-C on Snakemake cancels the job")


def a_cancelled_job(project: Path) -> None:
    """a training is cancelled; the same command afterwards goes on to its end"""
    run = Run(project, f"{WARMUP}/model.pt", "--retries", "0", settings=LONG)
    wait_for(lambda: "going on" in training_log(project), "the training goes on")
    call("scancel", jobs()[-1]["JobId"])
    code, output = run.finished()
    expect(code != 0, "the run ends with an error", output)
    expect("SLURM status is: 'CANCELLED'" in output, "it says that the job was CANCELLED", output)
    expect("terminated, iteration" in training_log(project), "the training was told and saved")
    code, output = Run(project, f"{WARMUP}/model.pt", settings=LONG).finished()
    expect(code == 0, "the same command ends well", output)
    expect("going on" in training_log(project), "the training went on from there")


def all_gpus_for_one_launcher(project: Path) -> None:
    """two GPUs for a training: one task, whose launcher starts a process for each"""
    code, output = Run(project, f"{WARMUP}/model.pt", settings=TWO_GPUS).finished()
    expect(code == 0, "the run ends well", output)
    tasks, found = jobs()[-1]["NumTasks"], jobs()[-1].get("TresPerJob")
    expect(tasks == "1" and found == "gres:gpu:2", f"{tasks} task gets {found}")
    ranks = re.findall(r"process (\d) of (\d)", training_log(project))
    expect(ranks == [("1", "2")], "the launcher starts once, and starts two processes")


def other_schedulers(project: Path) -> None:
    """the example for schedulers without a plugin, here speaking to SLURM as well"""
    target = ("results/demo/index/target_train.csv", "--forcerun", "index_target")
    run = Run(project, *target, profile="cluster-generic")
    code, output = run.finished()
    expect(code == 0, "the run ends well", output)
    expect(jobs()[-1]["JobState"] == "COMPLETED", "its job is COMPLETED")


SCENARIOS = (
    to_the_end,
    a_failing_job,
    a_requeued_training,
    a_cancelled_job,
    all_gpus_for_one_launcher,
    other_schedulers,
)


# Snakemake


class Run:
    """A run of Snakemake by a profile, with settings beside those of tiny.yaml."""

    running: ClassVar[list["Run"]] = []

    def __init__(
        self,
        project: Path,
        *arguments: str,
        profile: str = "slurm",
        settings: dict | None = None,
    ):
        (project / "more.yaml").write_text(yaml.safe_dump(settings or {}))
        words = [*SNAKEMAKE, *arguments, "--workflow-profile", f"workflow/profiles/{profile}"]
        words += [*COMMON, *OPTIONS[profile], "--configfile", "tiny.yaml", "more.yaml"]
        self.output = project / "output.txt"
        training_log_file(project).unlink(missing_ok=True)  # so that it tells of this run alone
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                words,
                cwd=project,
                env=environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A shell starts what runs in its background deaf to Ctrl-C, and that is inherited.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        self.running.append(self)

    def finished(self) -> tuple[int, str]:
        """Exit status and output, once the run is over."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.interrupt()
            raise SystemExit(f"{self.output.read_text()}\nerror: no end in {PATIENCE} s") from None
        return self.process.returncode, self.output.read_text()

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)

    @classmethod
    def end_all(cls) -> None:
        """End the runs that a failed expectation has left."""
        for run in cls.running:
            if run.process.poll() is None:
                run.interrupt()


def saved(project: Path) -> bool:
    return any((project / WARMUP).glob(".resume-model/*/state.pt"))


def training_log_file(project: Path) -> Path:
    return project / "logs" / Path(WARMUP).relative_to("results") / "warmup.log"


def training_log(project: Path) -> str:
    file = training_log_file(project)
    return file.read_text() if file.exists() else ""


# SLURM


def refuse_where_unwelcome() -> None:
    """Stop where this is no machine to install a SLURM of one's own on."""
    if os.geteuid() != 0:
        raise SystemExit("error: expected to run as root, which SLURM's daemons need")
    left = [path for path in (CONFIGURATION, GPUS) if path.exists()]
    if "SLURM_CONF" in os.environ or any(MARK not in path.read_text() for path in left):
        raise SystemExit(f"error: expected a machine without SLURM, found it configured: {left}")
    running = [name for name in ("slurmctld", "slurmd") if runs(name)]
    if running:
        raise SystemExit(f"error: expected no SLURM daemon, found {running} running; stop them")


def runs(program: str) -> bool:
    for name in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            if name.read_text().strip() == program:
                return True
    return False


def install() -> None:
    """Install SLURM and munge where they are missing."""
    if shutil.which("slurmctld") and shutil.which("munged"):
        return
    say("installing slurm-wlm and munge")
    if not shutil.which("apt-get"):
        raise SystemExit("error: expected apt-get to install slurm-wlm and munge, found none")
    words = ("install", "-qq", "--no-install-recommends", "slurm-wlm", "munge")
    for command in (("update", "-qq"), words):
        asking_nothing = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        call("apt-get", *command, env=asking_nothing, stdout=subprocess.DEVNULL)


def call(*words: str, **options) -> None:
    subprocess.run(words, check=True, **options)


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """A SLURM of this machine alone; nothing of it is left afterwards but its packages."""
    with contextlib.ExitStack() as stack:
        for name in ("state", "spool"):
            (folder / name).mkdir()
        for number in range(2):
            (folder / f"gpu{number}").touch()
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        text = SLURM.format(
            mark=MARK, folder=folder, cpus=os.cpu_count(), memory=int(pages / 2**20 * 0.9)
        )
        gpus = f"{MARK}\nNodeName=localhost Name=gpu File={folder}/gpu[0-1]\n"
        for path, content in ((CONFIGURATION, text), (GPUS, gpus)):
            stack.callback(path.unlink)
            path.write_text(content)
        if not runs("munged"):
            place = Path("/run/munge")
            place.mkdir(exist_ok=True)
            shutil.chown(place, "munge", "munge")
            stack.enter_context(daemon(folder, "munged", "--foreground", user="munge"))
            wait_for((place / "munge.socket.2").exists, "munged answers")
        stack.enter_context(daemon(folder, "slurmctld", "-D", "-i"))
        stack.enter_context(daemon(folder, "slurmd", "-D", "-N", "localhost"))
        wait_for(lambda: "idle" in answer("sinfo", "--noheader", "--format=%T"), "the node is idle")
        yield
        call("scancel", "--user=root", "--quiet")
        wait_for(lambda: not answer("squeue", "--noheader"), "no job is left")


@contextlib.contextmanager
def daemon(folder: Path, *words: str, user: str | None = None) -> Iterator[None]:
    """A program that runs in the background as long as the context."""
    who = {"user": user, "group": user, "extra_groups": []} if user else {}
    with (folder / f"{words[0]}.out").open("w") as output:
        process = subprocess.Popen(
            words, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **who
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def answer(*words: str) -> str:
    return subprocess.run(words, check=False, capture_output=True, text=True).stdout


def jobs() -> list[dict[str, str]]:
    """All jobs so far, in order of submission, by SLURM's own names of their properties."""
    lines = answer("scontrol", "--oneliner", "show", "job").splitlines()
    found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
    return sorted(found, key=lambda job: int(job["JobId"]))


COLUMNS = {
    "JobId": "job",
    "JobState": "state",
    "ExitCode": "exit",
    "Restarts": "restarts",
    "NumCPUs": "CPUs",
    "MinMemoryNode": "memory",
    "TimeLimit": "limit",
    "RunTime": "took",
    "TresPerJob": "GPUs",
    "Comment": "what",
}


def table(rows: list[dict[str, str]]) -> str:
    lines = [COLUMNS.values(), *([row.get(name, "-") for name in COLUMNS] for row in rows)]
    return "\n".join("  ".join(f"{cell[:60]:<9}" for cell in line).rstrip() for line in lines)


def wait_for(condition: Callable[[], object], what: str) -> object:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"error: expected within {PATIENCE} s that {what}")
        time.sleep(0.5)
    print(f"   {what}", flush=True)
    return value


if __name__ == "__main__":
    main()
