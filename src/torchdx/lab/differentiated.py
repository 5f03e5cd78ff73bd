"""First and second derivatives of a loss by hand, for what torchdx says to be held against."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Differentiated:
    """A net, its loss, and the rows that it is taken over."""

    net: nn.Module
    loss: Loss
    inputs: torch.Tensor
    targets: torch.Tensor

    def value(self) -> torch.Tensor:
        """The loss."""
        return self.loss(self.net(self.inputs), self.targets)

    def gradient(self, *, graph: bool = False) -> torch.Tensor:
        """All numbers in a row, in the order of the parameters; `graph`: to be derived again."""
        found = torch.autograd.grad(self.value(), list(self.net.parameters()), create_graph=graph)
        return parameters_to_vector(found)

    def double(self) -> "Differentiated":
        """A copy in double precision."""
        targets = self.targets.double() if self.targets.is_floating_point() else self.targets
        net = deepcopy(self.net).double()
        return Differentiated(net, self.loss, self.inputs.double(), targets)

    def product(self, vector: torch.Tensor) -> torch.Tensor:
        """The Hessian times a vector, by two backward passes in double precision."""
        exact = self.double()
        along = exact.gradient(graph=True) @ vector.double()
        return parameters_to_vector(torch.autograd.grad(along, list(exact.net.parameters())))

    def differenced(self, vector: torch.Tensor, distance: float) -> torch.Tensor:
        """The same from two gradients, this far to either side."""
        ends = []
        for sign in (1, -1):
            moved = deepcopy(self.net)
            there = parameters_to_vector(moved.parameters()).detach() + sign * distance * vector
            vector_to_parameters(there, moved.parameters())
            ends.append(Differentiated(moved, self.loss, self.inputs, self.targets).gradient())
        return (ends[0] - ends[1]) / (2 * distance)

    def descend(self, steps: int, lr: float) -> None:
        """Some steps of gradient descent."""
        optimizer = torch.optim.SGD(self.net.parameters(), lr=lr)
        for _ in range(steps):
            optimizer.zero_grad()
            self.value().backward()
            optimizer.step()
