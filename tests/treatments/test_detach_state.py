import torch
from torch import nn


class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(2, 2)
        self.held = None

    def forward(self, x, state):
        state = torch.tanh(self.cell(x + state))
        self.held = state if self.held is None else state + self.held
        return state


def test_state_of_earlier_steps_has_no_graph(treated):
    site = treated("detach_state")
    model, state = Memory(), torch.zeros(1, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):  # fails without the treatment: the graph of the step before is gone
        state = model(torch.ones(1, 2), state)
        (state + model.held).sum().backward()
        optimizer.step()
    assert site.acted == 4


def test_state_within_a_step_keeps_its_graph(treated):
    site = treated("detach_state")
    model = nn.Linear(2, 2)
    for _ in range(2):
        model(model(torch.ones(1, 2))).sum().backward()
    assert not site.acted
