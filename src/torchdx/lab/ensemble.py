"""Many small networks of one kind, trained as one by `torch.func`.

Their parameters are stacked, and one call answers for all of them, so that small networks are not
each paid for with the same overhead. Optimizers that treat each number by itself (SGD, Adam, ...)
do with the stack what they would do with each network; what takes the norm of all gradients does
not.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from torchdx.errors import CallError


class Ensemble:
    """Networks of one kind.

    ensemble = Ensemble([mlp([64, 32, 10]) for _ in range(100)])
    optimizer = torch.optim.SGD(ensemble.parameters(), lr=0.1)
    ensemble.losses(cross_entropy, inputs, labels).sum().backward()
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        """Take the networks' weights over; the networks themselves are left as they are.

        Raises:
            CallError: there are none, or one keeps running statistics, which cannot be stacked.
        """
        if not members:
            msg = "an ensemble needs networks, none were given."
            raise CallError(msg)
        kinds = [type(part).__name__ for part in members[0].modules() if _counts(part)]
        if kinds:
            msg = (
                f"networks with running statistics ({kinds[0]}) cannot be trained as one: make "
                "them with track_running_stats=False, or train them one by one."
            )
            raise CallError(msg)
        parameters, self.buffers = stack_module_state(list(members))
        self.stacked = {name: nn.Parameter(each.detach()) for name, each in parameters.items()}
        self.base = deepcopy(members[0]).to("meta")
        self.members = len(members)

    def parameters(self) -> list[nn.Parameter]:
        """Those of all networks, stacked, for an optimizer."""
        return list(self.stacked.values())

    def __call__(self, inputs: torch.Tensor, *, own: bool = False) -> torch.Tensor:
        """The answers of all networks (members, rows, ...).

        Args:
            inputs: the same rows for all, or with `own` rows for each (members, rows, ...).
            own: whether the first dimension counts the networks.
        """

        def one(
            parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], x: torch.Tensor
        ) -> torch.Tensor:
            answer: torch.Tensor = functional_call(self.base, (parameters, buffers), (x,))
            return answer

        called = torch.vmap(one, (0, 0, 0 if own else None), randomness="different")
        answers: torch.Tensor = called(dict(self.stacked), self.buffers, inputs)
        return answers

    def losses(
        self,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        inputs: torch.Tensor,
        targets: torch.Tensor,
        *,
        own: bool = False,
    ) -> torch.Tensor:
        """The loss of each network (members,); their sum gives each the gradient of its own."""
        answers = self(inputs, own=own)
        found: torch.Tensor = torch.vmap(loss, (0, 0 if own else None))(answers, targets)
        return found

    def member(self, number: int) -> dict[str, torch.Tensor]:
        """The weights of one network, as `load_state_dict` takes them."""
        states = {**self.stacked, **self.buffers}
        return {name: each[number].detach().clone() for name, each in states.items()}


def _counts(part: nn.Module) -> bool:
    return bool(getattr(part, "track_running_stats", False))
