"""Weight updates from losses that come in parts: micro-batches, domains, processes."""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from mada.nn.runtime import Runtime


class Updates:
    """Turns losses into weight updates.

    An iteration's batch is spread over processes and, within each, over micro-batches.  Each
    part's loss is its *share* of the whole batch's loss: shares add up to it.

    Parameters
    ----------
    runtime : Runtime
    parts : int
        Micro-batches a process takes its share of a batch in.
    """

    def __init__(self, runtime: Runtime, parts: int):
        self.runtime, self.parts = runtime, parts
        # fp16 gradients are small enough to vanish; other precisions are left as they are.
        self.scaler = torch.amp.GradScaler(runtime.device.type, enabled=runtime.precision == "fp16")

    @property
    def pieces(self) -> int:
        """Parts of a batch over all processes; each has the same number of images."""
        return self.parts * self.runtime.processes

    def passes(
        self, network: nn.Module, *batches: Tensor, final: bool
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield micro-batches of batches (B, ...), each for one forward and one backward pass.

        Gradients add up; only the last pass of an iteration, that of the ``final`` batches,
        averages them over the processes.
        """
        parts = list(zip(*(batch.chunk(self.parts) for batch in batches), strict=True))
        for position, part in enumerate(parts):
            last = final and position == len(parts) - 1
            alone = isinstance(network, DistributedDataParallel) and not last
            with network.no_sync() if alone else nullcontext():
                yield part

    def backward(self, share: Tensor) -> Tensor:
        """Add the gradient of a share of the loss; return the share's value."""
        # Gradients are averaged over processes, while shares are to be added.
        self.scaler.scale(share * self.runtime.processes).backward()
        return share.detach()

    def step(self, *optimizers: Optimizer) -> None:
        """Apply the gathered gradients and forget them."""
        for optimizer in optimizers:
            self.scaler.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        self.scaler.update()

    def state_dict(self) -> dict:
        return self.scaler.state_dict()

    def load_state_dict(self, state: dict) -> None:
        if state:
            self.scaler.load_state_dict(state)
