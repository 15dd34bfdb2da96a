"""Device, precision and processes of a step, fixed before anything is computed."""

import argparse
import ctypes
import logging
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mada.cli import InputError, positive_int

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """Where and how a step computes, and which of how many processes it is."""

    device: torch.device
    precision: str
    rank: int = 0
    processes: int = 1
    claim: FileLock | None = None  # of the GPU in use, until the process ends

    def wait(self) -> None:
        """Go on once every process has come here."""
        if self.processes > 1:
            dist.barrier()

    def autocast(self) -> AbstractContextManager:
        dtype = PRECISIONS[self.precision]
        return torch.autocast(self.device.type, dtype, enabled=self.precision != "fp32")

    def images(self, batch: Tensor) -> Tensor:
        """uint8 images (B, 3, H, W) as float32 in [0, 1] on the device, channels last."""
        moved = batch.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        return moved.float() / 255

    def labels(self, batch: Tensor) -> Tensor:
        return batch.to(self.device, non_blocking=True).long()

    def place(self, network: nn.Module) -> nn.Module:
        return network.to(self.device, memory_format=torch.channels_last)

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network with its gradients averaged over the processes after each backward pass."""
        if self.processes == 1:
            return network
        # Buffers are batch norm's alone: equal where it is synchronised or frozen, and taken anew
        # at the end of a training in any case.
        places = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=places, broadcast_buffers=False)

    def total(self, value: Tensor) -> Tensor:
        """Sum of a tensor over the processes."""
        if self.processes > 1:
            value = value.detach().clone()
            dist.all_reduce(value)
        return value

    def gather(self, rows: Tensor) -> Tensor:
        """Rows (B, ...) of all processes in order of rank, (processes · B, ...)."""
        if self.processes == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.processes)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)


def native_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed faster than float32; emulated, it is far slower.

    A CPU needs matrix units for it. With AVX-512's instructions alone it depends on the processor,
    which nothing here tells apart: the demo's iteration took 1.3 times as long as in float32 on
    one, 0.6 times on another, so that bf16 has to be asked for there.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next of equal size.

    It gives arrays of megabytes back to the system at once, and each pass over the network then
    waits for fresh pages: a tenth of an iteration's time and more.  Other libraries than glibc
    are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that ``start`` reads."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="fp32", choices=("auto", *PRECISIONS))
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads of torch")
    parser.add_argument(
        "--loader-workers", type=int, default=0, help="processes that decode images"
    )


def start(args: argparse.Namespace, seed: int = 0) -> Runtime:
    """Fix threads, seed, device and precision; the same arguments give the same bytes.

    Under ``torchrun`` also join the other processes, each on a GPU of its own if there are GPUs.
    Steps that run at once on one machine take different GPUs while there are free ones.

    Raises
    ------
    InputError
        If there is no such device, or none free for each of several processes.
    """
    torch.set_num_threads(args.threads)
    torch.manual_seed(seed)
    # On a GPU the same bytes also need this, set before its first product; warn_only, since a few
    # kernels (the loss's among them) have no deterministic form there.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # time, and nothing reads it
    keep_freed_memory()
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device, claim = _device(args.device, processes)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if processes > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    precision = args.precision
    if precision == "auto":
        precision = "bf16" if native_bf16(device) else "fp32"
    logging.info(
        "process %d of %d computing on %s in %s with %d threads",
        *(rank + 1, processes, device, precision, args.threads),
    )
    return Runtime(device, precision, rank, processes, claim)


def claim_gpu(names: Sequence[str], folder: Path) -> tuple[int, FileLock] | None:
    """Take the first GPU that no other process of this user has taken in this way.

    Snakemake counts GPUs but gives out no particular ones, so that without a scheduler all jobs
    would meet on the first.

    Parameters
    ----------
    names
        Unique identifiers of the GPUs, the same in every process whichever of them it sees.
    folder
        Where their locks lie.

    Returns
    -------
    Index of the GPU and the lock that keeps it while referred to; None if none is free.
    """
    for index, name in enumerate(names):
        lock = FileLock(folder / f"mada-{os.getuid()}-gpu-{name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        return index, lock
    return None


def _device(name: str, processes: int) -> tuple[torch.device, FileLock | None]:
    """The device that a flag names, and the claim on it where the choice was free."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, found {name!r}")
    if processes > 1 and name != "cpu" and ":" in name:
        raise InputError(f"device: expected auto or cuda for {processes} GPUs, found {name}")
    if name == "cuda":
        gpus = range(torch.cuda.device_count())
        names = [str(torch.cuda.get_device_properties(index).uuid) for index in gpus]
        claimed = claim_gpu(names, Path(tempfile.gettempdir()))
        if claimed:
            index, claim = claimed
            return torch.device("cuda", index), claim
        if processes > 1:
            raise InputError(
                f"device: expected a free GPU for each of {processes} processes, found "
                f"{len(names)} GPUs, none of them free"
            )
    device = torch.device(name)
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        if device.index >= torch.cuda.device_count():
            raise InputError(f"device: expected {name}, found {torch.cuda.device_count()} GPUs")
    return device, None
