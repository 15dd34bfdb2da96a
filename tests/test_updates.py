"""Weight updates: what is applied is forgotten, and what changes is kept for a resumed training."""

import torch
from torch import nn

from mada.nn.runtime import Runtime
from mada.nn.updates import Updates

CPU = torch.device("cpu")


def test_a_step_applies_what_was_gathered_since_the_last_one_alone():
    network, update = nn.Linear(1, 1, bias=False), Updates(Runtime(CPU, "fp32"), 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1)
    for gradient in (0.5, 0.25):
        before = network.weight.item()
        update.backward(gradient * network.weight.sum())
        update.step(optimizer)
        assert network.weight.item() == before - gradient


def test_the_scale_of_half_precision_gradients_is_resumed():
    first, second = (Updates(Runtime(CPU, "fp16"), 1) for _ in range(2))
    grown = first.state_dict() | {"scale": 8.0, "_growth_tracker": 3}
    second.load_state_dict(grown)
    assert second.state_dict() == grown != first.state_dict()
    assert Updates(Runtime(CPU, "fp32"), 1).state_dict() == {}  # other precisions have none
