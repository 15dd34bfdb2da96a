"""Steps on one machine share its GPUs without meeting on one of them."""

import multiprocessing
from types import SimpleNamespace

import pytest
import torch

from mada.cli import InputError
from mada.nn import runtime

GPUS = ["GPU-a", "GPU-b"]


def claim_and_wait(folder, pipe):
    claimed = runtime.claim_gpu(GPUS, folder)
    pipe.send(claimed[0] if claimed else None)
    pipe.recv()


@pytest.fixture
def start(tmp_path):
    """Start a process that claims a GPU; returns it and the index it got."""
    context = multiprocessing.get_context("fork")
    running = []

    def begin():
        here, there = context.Pipe()
        process = context.Process(target=claim_and_wait, args=(tmp_path, there))
        process.start()
        running.append((process, here))
        return process, here.recv()

    yield begin
    for process, _ in running:
        process.kill()
        process.join()


def test_every_process_gets_a_gpu_of_its_own_until_none_is_free(start):
    assert [start()[1] for _ in range(3)] == [0, 1, None]


def test_the_gpu_of_a_killed_process_is_free_again(start):
    (first, index), _ = start(), start()
    assert index == 0
    first.kill()
    first.join()
    assert start()[1] == 0


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """As if there were two GPUs, with no process on them but those of the test."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(GPUS))
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=GPUS[index])
    )
    monkeypatch.setattr(runtime.tempfile, "gettempdir", lambda: str(tmp_path))


def test_a_step_takes_a_free_gpu_and_shares_the_first_if_there_is_none(two_gpus, start):
    start()
    device, claim = runtime._device("auto", 1)
    assert (device, claim.is_locked) == (torch.device("cuda:1"), True)
    assert runtime._device("auto", 1) == (torch.device("cuda:0"), None)


def test_of_several_processes_none_shares_a_gpu(two_gpus, start):
    start()
    device, claim = runtime._device("cuda", 2)
    assert device == torch.device("cuda:1")
    with pytest.raises(InputError, match="free GPU for each of 2 processes, found 2 GPUs, none"):
        runtime._device("cuda", 2)
    claim.release()


def test_a_gpu_that_is_named_is_the_one_taken(two_gpus):
    assert runtime._device("cuda:1", 1) == (torch.device("cuda:1"), None)
    with pytest.raises(InputError, match="expected cuda:2, found 2 GPUs"):
        runtime._device("cuda:2", 1)


@pytest.mark.parametrize(("matrix_units", "expected"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_trains_in_bf16_only_where_that_is_faster(monkeypatch, matrix_units, expected):
    found = {"avx512_bf16": True, "amx_bf16": matrix_units}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    args = SimpleNamespace(threads=torch.get_num_threads(), device="cpu", precision="auto")
    assert runtime.start(args).precision == expected
