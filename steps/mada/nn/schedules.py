"""Learning rates as functions of the iteration, so that nothing needs to be remembered."""

from torch.optim import Optimizer


def set_poly_rate(
    optimizer: Optimizer, base: float, iteration: int, total: int, power: float
) -> None:
    """Set base · (1 - iteration/total)^power (MADA, section 4.2), iteration from 0."""
    rate = base * (1 - iteration / total) ** power
    for group in optimizer.param_groups:
        group["lr"] = rate
