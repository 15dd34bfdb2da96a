"""Training as a program: killed and resumed to the same bytes, locked, and the ablation ladder."""

import copy
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

import adapt
import evaluate
import finetune
import pseudo_label
import warmup
from mada.cli import InputError
from mada.files import read_json
from mada.labels import VOID, label_image, train_id_table
from mada.nn import segmentation_training
from mada.nn.arguments import settings
from mada.nn.checkpoints import load_discriminator, load_network
from mada.nn.training import ResumeState
from tiny import command, error_lines, index_of, make_tiny, run_step

CLASSES, CHANNELS, ITERATIONS = "cityscapes19", 8, 6
COMMON = (
    *("--classes", CLASSES, "--batch-size", 2, "--seed", 0, "--learning-rate", 0.01),
    *("--crop", "64x32", "--resize-range", 0.5, 1.5, "--flip", "--momentum", 0.9),
    *("--weight-decay", 2e-4, "--power", 0.9),
    *("--source-encoding", "gta5-ids", "--device", "cpu"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> SimpleNamespace:
    """Indexes of the tiny set, annotations of three target images, pseudo labels of the rest."""
    root = tmp_path_factory.mktemp("tiny")
    gta5, cityscapes = make_tiny(root)
    index_of("gta5", gta5, labels=True).to_csv(root / "source.csv", index=False)
    index_of("cityscapes", cityscapes).to_csv(root / "target.csv", index=False)
    table = train_id_table("cityscapes-ids", CLASSES)
    target = index_of("cityscapes", cityscapes, labels=True)
    for row in target.itertuples():
        train_ids = table[np.asarray(Image.open(row.label))].astype(np.uint8)
        target.loc[row.Index, "label"] = str(root / f"{row.id}.png")
        label_image(train_ids, CLASSES).save(root / f"{row.id}.png")
    target[:3].to_csv(root / "active.csv", index=False)
    target[3:].to_csv(root / "pseudo.csv", index=False)
    rng = np.random.default_rng(0)
    anchors = rng.uniform(0, 1, (2, 19 * CHANNELS)).astype(np.float32)
    np.save(root / "anchors.npy", anchors)
    return SimpleNamespace(
        source=root / "source.csv",
        target=root / "target.csv",
        active=root / "active.csv",
        pseudo=root / "pseudo.csv",
        anchors=root / "anchors.npy",
    )


def warmup_arguments(data: SimpleNamespace, folder: Path, *more: object) -> tuple:
    return (
        *("warmup", *COMMON, "--source", data.source, "--target", data.target),
        *("--statistics", data.target),
        *("--iterations", ITERATIONS, "--backbone", "resnet18", "--feature-channels", CHANNELS),
        *("--output-stride", 32, "--output", folder / "model.pt"),
        *("--adversarial-weight", 0.01, "--discriminator-learning-rate", 1e-4),
        *("--discriminator-output", folder / "discriminator.pt"),
        *("--history", folder / "history.csv", *more),
    )


OUTPUTS = {"model.pt", "discriminator.pt", "history.csv"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    result = run_step(*warmup_arguments(data, folder))
    assert result.returncode == 0, result.stderr
    return folder


def test_warmup_writes_both_networks_and_a_line_per_iteration(uninterrupted):
    assert names(uninterrupted) == OUTPUTS  # and no resume state
    assert (
        load_network(uninterrupted / "model.pt", CLASSES).description.feature_channels == CHANNELS
    )
    load_discriminator(uninterrupted / "discriminator.pt", CLASSES)
    history = pd.read_csv(uninterrupted / "history.csv")
    assert list(history) == ["iteration", "segmentation", "adversarial", "discriminator"]
    assert history["iteration"].tolist() == [1, 2, 3, 4, 5, 6]
    assert np.isfinite(history.to_numpy()).all()


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def on_two_processes(arguments: tuple) -> subprocess.CompletedProcess:
    """Run a training step as two processes under torchrun."""
    return subprocess.run(
        [*TORCHRUN, *command(*arguments)[1:]], check=False, capture_output=True, text=True
    )


def wait_for_a_save(process: subprocess.Popen, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not list(folder.glob(".resume-*/*/state.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)


def assert_same_outputs(folder: Path, reference: Path) -> None:
    for name in OUTPUTS:
        assert (folder / name).read_bytes() == (reference / name).read_bytes(), name


# torch's synchronised batch norm needs GPUs: with frozen statistics each image counts for itself.
FROZEN = ("--batch-norm", "frozen", "--batch-size", 4, "--learning-rate", 1e-3)


def losses(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "history.csv").drop(columns="iteration")


LONGER = (*FROZEN, "--iterations", 20, "--source-only-iterations", 5)


@pytest.fixture(scope="module")
def by_two(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("by_two")
    result = on_two_processes(warmup_arguments(data, folder, *LONGER))
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.heavy
def test_two_processes_train_as_one(data, by_two, tmp_path):
    result = run_step(*warmup_arguments(data, tmp_path, *LONGER))
    assert result.returncode == 0, result.stderr
    assert names(by_two) == OUTPUTS
    assert len(losses(tmp_path)) == 20
    np.testing.assert_allclose(losses(by_two), losses(tmp_path), rtol=0, atol=1e-4)
    first, *_, last = losses(tmp_path)["segmentation"]
    assert last < first


@pytest.mark.heavy
def test_two_terminated_processes_save_their_state_and_go_on(data, by_two, tmp_path):
    """torchrun passes SIGTERM on to its processes, and ends with a status of its own."""
    arguments = warmup_arguments(data, tmp_path, *LONGER, "--save-every", 1)
    process = subprocess.Popen(
        [*TORCHRUN, *command(*arguments)[1:]], stderr=subprocess.PIPE, text=True
    )
    wait_for_a_save(process, tmp_path)
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "is saved; the same command goes on from there" in told
    assert names(tmp_path) == {".resume-model"}

    result = on_two_processes(arguments)
    assert result.returncode == 0, result.stderr
    assert "going on from iteration" in result.stderr
    assert_same_outputs(tmp_path, by_two)


@pytest.mark.heavy
def test_two_processes_adapt_as_one_with_the_same_anchors(data, uninterrupted, tmp_path):
    # Three iterations differ by 1e-5; after a fourth, rounding turns a pixel to another class.
    more = (*with_anchors(data), *ONLINE, *FROZEN, "--iterations", 3)
    one, two = tmp_path / "one", tmp_path / "two"
    result = run_step(*adapt_arguments(data, uninterrupted, one, "M4", *more))
    assert result.returncode == 0, result.stderr
    result = on_two_processes(adapt_arguments(data, uninterrupted, two, "M4", *more))
    assert result.returncode == 0, result.stderr
    # Anchors moved by one process's features alone change the alignment losses by 0.007.
    np.testing.assert_allclose(losses(two), losses(one), rtol=0, atol=1e-4)


def test_micro_batches_add_up_to_the_batch(data, uninterrupted, tmp_path, torch_settings):
    """Their losses and steps are the batch's, labels spread unevenly over its images included."""
    more = (*with_anchors(data), *FIXED, "--pseudo-labels", data.pseudo, *FROZEN)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    call_main(adapt, adapt_arguments(data, uninterrupted, whole, "M4", *more))
    call_main(adapt, adapt_arguments(data, uninterrupted, parts, "M4", *more, "--accumulate", 4))
    # Rounding makes up to 1e-5 on some processors; pixels counted by micro-batch, of the source or
    # of the annotated images, 0.011 and 0.0035.
    np.testing.assert_allclose(losses(parts), losses(whole), rtol=0, atol=1e-4)


def test_a_batch_that_cannot_be_shared_out_is_refused(
    data, uninterrupted, tmp_path, torch_settings
):
    with pytest.raises(InputError, match=r"batch size: expected a multiple of 1 .* 3 .* found 2"):
        call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M1+", "--accumulate", 3))


def test_frozen_batch_norm_keeps_its_statistics(data, uninterrupted, tmp_path, torch_settings):
    call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M1+", *FROZEN))
    before = load_network(uninterrupted / "model.pt", CLASSES).state_dict()
    after = load_network(tmp_path / "model.pt", CLASSES).state_dict()
    kept = [name for name in before if "running_" in name]
    assert kept and all(torch.equal(before[name], after[name]) for name in kept)
    assert not torch.equal(before["stem.1.weight"], after["stem.1.weight"])


def test_half_precision_trains_with_scaled_gradients(
    data, uninterrupted, tmp_path, torch_settings, monkeypatch
):
    kept = []
    monkeypatch.setattr(
        ResumeState, "save", lambda self, value: kept.append(value["state"]["updates"])
    )
    call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M1+", "--precision", "fp16"))
    assert np.isfinite(losses(tmp_path).to_numpy()).all()
    assert all(1 < state["scale"] <= 65536 for state in kept) and len(kept) == 3
    before = load_network(uninterrupted / "model.pt", CLASSES).state_dict()
    after = load_network(tmp_path / "model.pt", CLASSES).state_dict()
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])


def test_a_loss_that_is_no_number_stops_the_training(data, uninterrupted, tmp_path, torch_settings):
    more = ("--learning-rate", 1e30, "--iterations", 6)
    with pytest.raises(InputError, match="expected finite losses, found source"):
        call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M1+", *more))
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.heavy
def test_terminated_training_saves_its_state_and_goes_on(data, uninterrupted, tmp_path):
    """A scheduler sends SIGTERM to all processes of a job some time before it kills them."""
    arguments = warmup_arguments(data, tmp_path, "--save-every", 1)
    process = subprocess.Popen(
        command(*arguments, "--loader-workers", 1),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_a_save(process, tmp_path)
    os.killpg(process.pid, signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 75, told
    assert "is saved; the same command goes on from there" in told
    assert names(tmp_path) == {".resume-model"}

    result = run_step(*arguments)
    assert result.returncode == 0, result.stderr
    assert "going on from iteration" in result.stderr
    assert_same_outputs(tmp_path, uninterrupted)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_is_gone_ends_a_training_in_one_line(data, tmp_path, workers):
    """Whether the step reads it itself or a loader process, which it must not wait for."""
    index = pd.read_csv(data.source, dtype=str)
    gone = str(tmp_path / "gone.png")
    index.assign(image=gone).to_csv(tmp_path / "source.csv", index=False)
    arguments = warmup_arguments(data, tmp_path, "--source", tmp_path / "source.csv")
    arguments = [str(word) for word in command(*arguments, "--loader-workers", workers)]
    result = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=120)
    (line,) = error_lines(result)
    assert line.startswith(f"error: {gone}: ")
    assert not (tmp_path / "model.pt").exists()


def stopped_after_a_save(arguments: tuple, folder: Path) -> subprocess.Popen:
    """Start a training and freeze it as soon as it has saved a resume state."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for_a_save(process, folder)
    os.kill(process.pid, signal.SIGSTOP)
    return process


@pytest.mark.heavy
def test_killed_training_goes_on_to_the_same_bytes(data, uninterrupted, tmp_path):
    arguments = warmup_arguments(data, tmp_path, "--save-every", 2)
    process = stopped_after_a_save(arguments, tmp_path)
    try:
        # A second training of the same output must not write over the first one's state.
        (line,) = error_lines(run_step(*arguments))
        assert "another process is training" in line and str(tmp_path / "model.pt") in line
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert names(tmp_path) == {".resume-model"}  # no declared output

    result = run_step(*arguments, "--loader-workers", 2)
    assert result.returncode == 0, result.stderr
    assert "going on from iteration" in result.stderr
    assert names(tmp_path) == OUTPUTS
    assert_same_outputs(tmp_path, uninterrupted)


def test_a_kill_after_the_last_iteration_costs_none(
    data, uninterrupted, tmp_path, torch_settings, monkeypatch, caplog
):
    once, twice = tmp_path / "once", tmp_path / "twice"
    call_main(adapt, adapt_arguments(data, uninterrupted, once, "M1+"))
    # Of three iterations, none of whose states but the last is due.
    again = (*adapt_arguments(data, uninterrupted, twice, "M1+"), "--save-every", 2)
    with monkeypatch.context() as killed:
        killed.setattr(segmentation_training, "estimate_statistics", broken)
        with pytest.raises(Broken):
            call_main(adapt, again)
    gc.collect()  # what the traceback held has the lock
    assert names(twice) == {".resume-model"}
    caplog.set_level("INFO")
    call_main(adapt, again)
    assert "going on from iteration 3 of 3" in caplog.text
    assert names(twice) == {"model.pt", "history.csv"}
    for name in names(twice):
        assert (twice / name).read_bytes() == (once / name).read_bytes(), name


class Broken(Exception):
    pass


def broken(*_):
    raise Broken


def test_a_state_is_of_a_compiled_network_or_of_one_that_is_not(data, uninterrupted, tmp_path):
    words = [*map(str, adapt_arguments(data, uninterrupted, tmp_path, "M1+")[1:])]
    plain = settings(adapt.parser().parse_args(words))
    compiled = settings(adapt.parser().parse_args([*words, "--compile"]))
    assert [name for name in plain if plain[name] != compiled[name]] == ["compile"]


def adapt_arguments(data, uninterrupted, folder: Path, variant: str, *more: object) -> tuple:
    return (
        *("adapt", *COMMON, "--source", data.source, "--target", data.active),
        *("--statistics", data.target),
        *("--model", uninterrupted / "model.pt", "--variant", variant, "--iterations", 3),
        *("--output", folder / "model.pt", "--history", folder / "history.csv"),
        *("--save-every", 1, *more),
    )


def finetune_arguments(data, uninterrupted, folder: Path, *more: object) -> tuple:
    return (
        *("finetune", *COMMON, "--source", data.source, "--target", data.active),
        *("--statistics", data.target, "--iterations", 4),
        *("--model", uninterrupted / "model.pt", "--output", folder / "model.pt"),
        *("--history", folder / "history.csv", *more),
    )


ALIGNMENT = ("--alignment-weight", 0.7, "--ema-decay", 0.5)
ONLINE = ("--pseudo-weight", 1, "--pseudo-source", "online", "--pseudo-threshold", 0)
FIXED = ("--pseudo-weight", 1, "--pseudo-source", "fixed", "--pseudo-threshold", 0)


def with_anchors(data: SimpleNamespace) -> tuple:
    return ("--unlabelled", data.target, "--anchors", data.anchors, *ALIGNMENT)


def call_main(step, arguments: tuple) -> None:
    """Run a step in this process, where it can be watched; the first argument is its name."""
    step.main(step.parser().parse_args([str(word) for word in arguments[1:]]))


# Crops larger than the resized images, so that a part of each is padding; no momentum
# and no decay, so that one step moves every weight against its gradient alone.
ONE_STEP = (
    *("--resize-range", 0.4, 0.4, "--momentum", 0, "--weight-decay", 0),
    *FROZEN,
    "--learning-rate",
    1,
)


def prepared(monkeypatch, step, arguments: tuple) -> list:
    """What a training step hands to its loop: args, device, network, streams, iteration, state."""
    found = []
    monkeypatch.setattr(step, "run_training", lambda *given, **_: found.extend(given))
    call_main(step, arguments)
    return found


def one_step(monkeypatch, step, arguments: tuple) -> tuple:
    """Run the first iteration of a training step.

    Returns the network as it was, its batches (images, labels, inside), the gradient that each
    weight moved against, and all that has changed.
    """
    given = prepared(monkeypatch, step, arguments)
    args, device, network, streams, run_iteration, state, _ = given
    segmentation_training.training_mode(network, frozen=True)
    before = copy.deepcopy(network)
    batches = [next(stream.batches(args.batch_size, 0, 1, 0)) for stream in streams]
    run_iteration(0, batches)
    moved = {
        name: (dict(before.named_parameters())[name] - weight).detach() / args.learning_rate
        for name, weight in network.named_parameters()
    }
    ready = [(device.images(x), y.long(), inside) for x, y, inside in batches]
    assert not all(inside.all() for _, _, inside in ready)
    return before, ready, moved, state


def assert_gradient_of(loss: torch.Tensor, network, moved: dict[str, torch.Tensor]) -> None:
    weights = dict(network.named_parameters())
    expected = torch.autograd.grad(loss, weights.values(), allow_unused=True)
    for (name, found), gradient in zip(moved.items(), expected, strict=True):
        wanted = torch.zeros_like(found) if gradient is None else gradient
        scale = max(wanted.abs().max().item(), 1e-4)  # a weight of 1 keeps 1e-7 of what it moves
        # Weights of size 1 that move by 1e-3 of a gradient keep four of its digits.
        torch.testing.assert_close(found, wanted, rtol=0.01, atol=0.01 * scale, msg=name)


def mean_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits, labels, ignore_index=VOID)


def image_features(network, images, inside) -> list[torch.Tensor]:
    """Eq. 4 image by image, on what lies inside the images."""
    _, latent, scores = network(images)
    small = inside[:, 2::4, 2::4]  # at stride 4, by the pixel in the middle
    found = []
    for features, prediction, there in zip(latent, scores.argmax(dim=1), small, strict=True):
        blocks = []
        for category in range(scores.shape[1]):
            pixels = (prediction == category) & there
            mean = features[:, pixels].mean(dim=1) if pixels.any() else features.new_zeros(CHANNELS)
            blocks.append(mean)
        found.append(torch.cat(blocks))
    return found


def mean_alignment(images: list[torch.Tensor], anchors: torch.Tensor) -> torch.Tensor:
    """Eq. 9 image by image and anchor by anchor."""
    total = 0
    for image in images:
        nearness = sum(1 / ((image - anchor).square().mean() + 1e-6) for anchor in anchors)
        total = total + len(anchors) / nearness
    return total / len(images)


def moving_average(images: list[torch.Tensor], anchors: np.ndarray, decay: float) -> np.ndarray:
    """Eq. 8, one image after the other."""
    moved = anchors.astype(np.float64)
    for image in (each.detach().double().numpy() for each in images):
        nearest = min(range(len(moved)), key=lambda v: sum((image - moved[v]) ** 2))
        moved[nearest] = decay * moved[nearest] + (1 - decay) * image
    return moved


def test_fine_tuning_follows_the_gradient_of_equation_6(
    data, uninterrupted, tmp_path, monkeypatch, torch_settings
):
    arguments = finetune_arguments(data, uninterrupted, tmp_path, *ONE_STEP)
    network, (source, active), moved, _ = one_step(monkeypatch, finetune, arguments)
    loss = sum(mean_cross_entropy(network(x)[0], y) for x, y, _ in (source, active))
    assert_gradient_of(loss, network, moved)


@pytest.mark.parametrize(
    ("variant", "source_of_labels"),
    [("M1+", ""), ("M2", ""), ("M3", ""), ("M4", "fixed"), ("M4", "online")],
)
def test_adaptation_follows_the_gradient_of_equation_11(
    data, uninterrupted, tmp_path, monkeypatch, torch_settings, variant, source_of_labels
):
    """L_seg + 0.7 L_dis of all target images + 0.3 L_pseudo of those without annotation; then the
    anchors move by Eq. 8."""
    pseudo = ("--pseudo-weight", 0.3, "--pseudo-threshold", 0, "--pseudo-source", source_of_labels)
    files = ("--pseudo-labels", data.pseudo) if source_of_labels == "fixed" else ()
    more = () if variant == "M1+" else with_anchors(data)
    more += (*pseudo, *files) if variant == "M4" else ()
    arguments = adapt_arguments(data, uninterrupted, tmp_path, variant, *more, *ONE_STEP)
    network, batches, moved, state = one_step(monkeypatch, adapt, arguments)
    loss = sum(mean_cross_entropy(network(x)[0], y) for x, y, _ in batches[:2])
    if variant != "M1+":
        anchors = np.load(data.anchors)
        pixels, inside = (torch.cat([batch[n] for batch in batches[1:]]) for n in (0, 2))
        images = image_features(network, pixels, inside)
        loss = loss + 0.7 * mean_alignment(images, torch.from_numpy(anchors))
        if variant != "M2":
            anchors = moving_average(images, anchors, 0.5)
        found = state["anchors"].values.numpy()
        np.testing.assert_allclose(found, anchors, rtol=1e-4, atol=1e-6)
    if variant == "M4":
        x, labels, inside = batches[2]
        logits = network(x)[0]
        if source_of_labels == "online":
            labels = torch.where(inside, logits.argmax(dim=1), VOID)
        loss = loss + 0.3 * mean_cross_entropy(logits, labels)
    assert_gradient_of(loss, network, moved)


def test_full_adaptation_trains_with_every_loss(data, uninterrupted, tmp_path):
    more = (*with_anchors(data), *FIXED, "--pseudo-labels", data.pseudo)
    result = run_step(*adapt_arguments(data, uninterrupted, tmp_path, "M4", *more))
    assert result.returncode == 0, result.stderr
    assert names(tmp_path) == {"model.pt", "history.csv"}
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history) == ["iteration", "source", "active", "alignment", "pseudo"]
    assert np.isfinite(history.to_numpy()).all() and (history.to_numpy() > 0).all()
    before = load_network(uninterrupted / "model.pt", CLASSES).state_dict()
    after = load_network(tmp_path / "model.pt", CLASSES).state_dict()
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])


@pytest.mark.parametrize(("variant", "moving"), [("M2", False), ("M3", True)])
def test_anchors_stay_in_m2_and_move_in_m3(
    data, uninterrupted, tmp_path, monkeypatch, torch_settings, variant, moving
):
    kept = []
    monkeypatch.setattr(
        ResumeState,
        "save",
        lambda self, value: kept.append(value["state"]["anchors"]["values"].clone().numpy()),
    )
    call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, variant, *with_anchors(data)))
    given = np.load(data.anchors)
    assert len(kept) == 3  # one after each iteration
    before = [given, *kept[:2]]
    moved = [not np.array_equal(*pair) for pair in zip(before, kept, strict=True)]
    assert moved == [moving] * 3
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history) == ["iteration", "source", "active", "alignment"]


def test_control_trains_on_labels_alone(data, uninterrupted, tmp_path, torch_settings):
    call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M1+"))
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history) == ["iteration", "source", "active"]
    assert names(tmp_path) == {"model.pt", "history.csv"}


def test_own_prediction_is_void_where_unsure_and_on_padding():
    logits = torch.tensor([[[[9.0, 0.1, 9.0]], [[0.0, 0.0, 0.0]]]])  # one row of three pixels
    inside = torch.tensor([[[True, True, False]]])
    labels = adapt.confident_prediction(logits, inside, 0.9)
    assert labels.tolist() == [[[0, VOID, VOID]]]
    assert adapt.confident_prediction(logits, inside, 0.0).tolist() == [[[0, 0, VOID]]]


def test_annotated_images_are_left_out_of_the_unlabelled(
    data, uninterrupted, tmp_path, torch_settings
):
    more = ("--unlabelled", data.active, "--anchors", data.anchors, *ALIGNMENT)
    with pytest.raises(InputError, match="expected images without annotation, found none"):
        call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M2", *more))


def test_settings_that_a_variant_needs_are_named(data, uninterrupted, tmp_path, torch_settings):
    with pytest.raises(InputError, match="M3: expected --unlabelled, --anchors, --alignment-w"):
        call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M3"))
    more = (*with_anchors(data), *FIXED)
    with pytest.raises(InputError, match="M4: expected --pseudo-labels, found none"):
        call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M4", *more))


def test_anchors_of_another_network_are_refused(data, uninterrupted, tmp_path, torch_settings):
    np.save(tmp_path / "wide.npy", np.zeros((2, 19 * 16), np.float32))
    more = ("--unlabelled", data.target, "--anchors", tmp_path / "wide.npy", *ALIGNMENT)
    with pytest.raises(InputError, match=r"wide\.npy: expected rows of 152 values, found 304"):
        call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M3", *more))


def test_annotations_of_earlier_rounds_are_trained_on_too(
    data, uninterrupted, tmp_path, torch_settings
):
    """Two images and then one give what three at once give, and an image counts once."""
    index = pd.read_csv(data.active)
    index[:2].to_csv(tmp_path / "first.csv", index=False)
    index[2:].to_csv(tmp_path / "second.csv", index=False)
    once, twice = tmp_path / "once", tmp_path / "twice"
    call_main(adapt, adapt_arguments(data, uninterrupted, once, "M1+"))
    rounds = ("--target", tmp_path / "second.csv", "--earlier", tmp_path / "first.csv")
    call_main(adapt, adapt_arguments(data, uninterrupted, twice, "M1+", *rounds))
    assert losses(twice).equals(losses(once))
    with pytest.raises(InputError, match="was annotated in an earlier round too"):
        more = ("--earlier", data.active)
        call_main(adapt, adapt_arguments(data, uninterrupted, tmp_path, "M1+", *rounds[:2], *more))


def test_every_round_draws_source_crops_of_its_own(
    data, uninterrupted, tmp_path, monkeypatch, torch_settings
):
    """What an earlier round was trained on is not gone through again in the same order."""
    index = pd.read_csv(data.active)
    files = [tmp_path / f"{n}.csv" for n in range(3)]
    for n, file in enumerate(files):
        index[n : n + 1].to_csv(file, index=False)
    drawn = []
    for number, file in enumerate(files):
        rounds = ("--target", file, *(("--earlier", *files[:number]) if number else ()))
        arguments = finetune_arguments(data, uninterrupted, tmp_path, *rounds)
        source = prepared(monkeypatch, finetune, arguments)[3][0]
        drawn += [crop.numpy().tobytes() for x, *_ in source.batches(2, 0, 4, 0) for crop in x]
    assert len(set(drawn)) == len(drawn) == 3 * 8


@pytest.mark.parametrize("step", [warmup, finetune, adapt], ids=["warmup", "finetune", "adapt"])
def test_learning_rates_fall_by_the_poly_policy(
    step, data, uninterrupted, tmp_path, monkeypatch, torch_settings
):
    """base · (1 - iteration/total)^0.9 (section 4.2); the discriminator has a base of its own."""
    arguments = {
        warmup: warmup_arguments(data, tmp_path),
        finetune: finetune_arguments(data, uninterrupted, tmp_path),
        adapt: adapt_arguments(data, uninterrupted, tmp_path, "M1+"),
    }
    args, _, network, streams, run_iteration, state, *_ = prepared(
        monkeypatch, step, arguments[step]
    )
    segmentation_training.training_mode(network, frozen=True)
    for iteration in (2, 1):  # of six, four or three; nothing is remembered
        run_iteration(iteration, [next(stream.batches(2, 0, 1, 0)) for stream in streams])
        left = (1 - iteration / args.iterations) ** 0.9
        (group,) = state["optimizer"].param_groups
        assert group["lr"] == pytest.approx(0.01 * left)
        if step is warmup:
            (group,) = state["judge"].param_groups
            assert group["lr"] == pytest.approx(1e-4 * left) and group["betas"] == (0.9, 0.99)


def test_the_tuning_split_is_watched_and_changes_nothing(
    data, uninterrupted, tmp_path, torch_settings
):
    more = ("--tune", data.pseudo, "--tune-every", 3)
    arguments = warmup_arguments(data, tmp_path, *more)
    call_main(warmup, arguments)
    watched = load_network(tmp_path / "model.pt", CLASSES).state_dict()
    for name, value in load_network(uninterrupted / "model.pt", CLASSES).state_dict().items():
        if not name.endswith("num_batches_tracked"):  # which nothing reads
            assert torch.equal(watched[name], value), name
    history = pd.read_csv(tmp_path / "history.csv").set_index("iteration")["tune_miou"]
    assert history.notna().tolist() == [False, False, True, False, False, True]
    words = ("--images", data.pseudo, "--model", tmp_path / "model.pt", "--classes", CLASSES)
    words += ("--batch-size", 8, "--device", "cpu", "--output", tmp_path / "scores.json")
    evaluate.main(evaluate.parser().parse_args([str(word) for word in words]))
    assert history[6] == pytest.approx(read_json(tmp_path / "scores.json")["miou"], abs=1e-6)


def test_predictions_below_the_threshold_stay_open(data, uninterrupted, tmp_path, torch_settings):
    def predicted(threshold: float) -> np.ndarray:
        folder = tmp_path / str(threshold)
        words = ("--images", data.target, "--annotations", data.active, "--threshold", threshold)
        words += ("--model", uninterrupted / "model.pt", "--classes", CLASSES, "--batch-size", 4)
        words += ("--device", "cpu", "--output", folder)
        pseudo_label.main(pseudo_label.parser().parse_args([str(word) for word in words]))
        index = pd.read_csv(folder / "index.csv")
        assert index["id"].tolist() == pd.read_csv(data.pseudo)["id"].tolist()
        return np.stack([np.asarray(Image.open(path)) for path in index["label"]])

    network = load_network(uninterrupted / "model.pt", CLASSES).eval()
    images = [to_tensor(Image.open(path)) for path in pd.read_csv(data.pseudo)["image"]]
    with torch.inference_mode():
        confidence, label = network(torch.stack(images))[0].softmax(dim=1).max(dim=1)
    threshold = confidence.median().item()
    expected = torch.where(confidence < threshold, VOID, label).numpy()
    assert (predicted(0) == label.numpy()).mean() > 0.999
    assert (predicted(threshold) == expected).mean() > 0.999


def test_a_batch_of_a_single_value_is_refused(data, tmp_path, torch_settings):
    arguments = warmup_arguments(data, tmp_path, "--batch-size", 1, "--crop", "32x32")
    with pytest.raises(InputError, match="crop: expected more than 32 pixels a side for an image"):
        call_main(warmup, arguments)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--colour-jitter", 1.5), "colour jitter: expected 0 to 1, found 1.5"),
        (("--colour-jitter", -0.1), "colour jitter: expected 0 to 1, found -0.1"),
        (("--resize-range", 2, 1), "resize range: expected 0 < smallest <= largest, found 2.0"),
        (("--resize-range", 0, 1), "resize range: expected 0 < smallest <= largest, found 0.0"),
    ],
)
def test_crops_that_cannot_be_drawn_are_refused(data, tmp_path, torch_settings, flags, named):
    arguments = warmup_arguments(data, tmp_path, *flags)
    with pytest.raises(InputError, match=named):
        call_main(warmup, arguments)
    assert names(tmp_path) == set()
