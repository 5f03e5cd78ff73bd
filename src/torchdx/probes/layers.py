"""What happens inside a forward of the stand-in: the functions of torch that ran, and its norms."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from torchdx.probes.forms import tensors_of
from torchdx.probes.stand_in import StandIn

_LIBRARIES = tuple(str(path) + "/" for path in (Path(__file__).parents[1], *torch.__path__))
_PASSED_OVER = frozenset({"__get__", "size", "dim", "stride", "numel", "is_floating_point"})

# The functions that draw random numbers, by the argument that turns them on; "" where nothing does.
_DROPOUTS = {
    "dropout": "training",
    "alpha_dropout": "training",
    "feature_alpha_dropout": "training",
    "dropout1d": "training",
    "dropout2d": "training",
    "dropout3d": "training",
    "multi_head_attention_forward": "training",
    "scaled_dot_product_attention": "dropout_p",
}
_NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"})
_WEIGHTED = frozenset(
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d matmul "
    "__matmul__ bmm addmm einsum bilinear lstm gru rnn_tanh multi_head_attention_forward".split()
)
_DRAWS = frozenset(
    "rand rand_like randn randn_like randint randint_like randperm normal normal_ uniform_ "
    "bernoulli bernoulli_ multinomial poisson exponential_ geometric_ log_normal_ cauchy_ random_ "
    "gumbel_softmax rrelu".split()
)


class Place(NamedTuple):
    """A line of the program, or of the library that the program's model comes from."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Drawn:
    """A function that drew random numbers in a forward.

    dropout   whether it is a dropout; `p` its share of dropped values, 0 for other functions
    path      of the module whose code called it: the dropout layer itself, or what holds the call
    """

    function: str
    dropout: bool
    p: float
    path: str
    place: Place | None


@dataclass(frozen=True)
class Called:
    """One function of torch that ran; `path`: of the module whose code called it.

    given, answers   its tensors; they may be written to later
    inputs, values   of the first of these, and of all of those, as they were then
    numbers          what it was given besides tensors, keywords left out
    """

    function: str
    path: str
    place: Place | None
    given: tuple[torch.Tensor, ...]
    answers: tuple[torch.Tensor, ...]
    inputs: torch.Tensor | None
    values: tuple[torch.Tensor, ...]
    numbers: tuple[Any, ...]


class Calls(TorchFunctionMode):
    """Follows every function of torch that the stand-in's forward calls.

    drawn   the functions that drew random numbers; calls: all functions, where `whole`
    """

    def __init__(self, double: StandIn, *, whole: bool = False, most_elements: int = 0) -> None:
        super().__init__()
        self._paths = {id(module): name for name, module in double.model.named_modules()}
        self._whole, self._room = whole, most_elements
        self._since: list[tuple[str, Drawn | None]] = []  # functions since the last norm
        self.drawn: list[Drawn] = []
        self.calls: list[Called] = []

    def last_dropout(self) -> tuple[Drawn, bool] | None:
        """The last dropout since a norm, and whether no weights have been applied since it."""
        direct = True
        for name, drawn in reversed(self._since):
            if drawn is not None and drawn.dropout:
                return drawn, direct
            direct = direct and name not in _WEIGHTED
        return None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let a function run, and remember it."""
        del types
        kwargs = kwargs or {}
        answer = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name not in _PASSED_OVER:
            self._see(name, args, kwargs, answer)
        return answer

    def _see(self, name: str, args: Any, kwargs: dict[str, Any], answer: Any) -> None:
        p = _drawn(name, args, kwargs)
        drawn = None if p is None else Drawn(name, p > 0, p, self._holder(), _place())
        if drawn is not None:
            self.drawn.append(drawn)
        self._since = [] if name in _NORMS else [*self._since, (name, drawn)]
        if self._whole and self._room > 0:
            given, answers = tuple(tensors_of((args, kwargs))), tuple(tensors_of(answer))
            if answers:
                self.calls.append(self._called(name, args, given, answers))

    def _holder(self) -> str:
        """The path of the innermost module whose code is running."""
        frame = sys._getframe(1)
        while frame is not None:
            path: str | None = self._paths.get(id(frame.f_locals.get("self")))
            if path is not None:
                return path
            if frame.f_back is None:
                break
            frame = frame.f_back
        return ""

    def _called(
        self, name: str, args: Any, given: tuple[torch.Tensor, ...], answers: tuple[Any, ...]
    ) -> Called:
        values = tuple(t.detach().clone() for t in answers)
        self._room -= sum(t.numel() for t in values)
        inputs = given[0].detach().clone() if given and given[0].numel() < self._room else None
        numbers = tuple(a for a in args if isinstance(a, bool | int | float))
        return Called(name, self._holder(), _place(), given, answers, inputs, values, numbers)


def _drawn(name: str, args: Any, kwargs: dict[str, Any]) -> float | None:
    """The p of a dropout at work, 0 for another draw, None for what draws nothing."""
    if name in _DRAWS:
        return 0.0
    switch = _DROPOUTS.get(name)
    if switch is None:
        return None
    if switch == "dropout_p":
        p = kwargs.get("dropout_p", args[4] if len(args) > 4 else 0.0)  # noqa: PLR2004
        return float(p) or None
    position = {"multi_head_attention_forward": 10}.get(name, 1)
    p = kwargs.get("p", kwargs.get("dropout_p", args[position] if len(args) > position else 0.5))
    after = args[position + 1] if len(args) > position + 1 else True
    return (float(p) or None) if kwargs.get(switch, after) else None


def _place() -> Place | None:
    """The nearest line that is neither torch's nor ours."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_LIBRARIES):
            return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None


@dataclass(frozen=True)
class NormInput:
    """What one batch norm was given in a forward, before its own statistics moved.

    per_channel   values from which each channel's mean and variance are taken
    variance      mean over its channels
    off_mean      mean over channels of |running mean - batch mean| / batch standard deviation
    off_variance  mean over channels of running variance / batch variance
    after         the dropout that was called last before it, with no norm between
    direct        whether no weights are between that and this: it is given what was dropped
    """

    per_channel: int
    variance: float
    off_mean: float
    off_variance: float
    after: Drawn | None = None
    direct: bool = False


@contextmanager
def norm_inputs(double: StandIn, calls: Calls) -> Iterator[dict[str, NormInput]]:
    """Gathers, by path, what the stand-in's batch norms are given in a forward under `calls`."""
    seen: dict[str, NormInput] = {}
    paths = {module: double.name(module) for module in double.norms()}

    def before(module: nn.Module, args: Any) -> None:
        if isinstance(module, _BatchNorm) and paths[module] not in seen:
            with torch._C.DisableTorchFunction():
                dropped = calls.last_dropout()
                seen[paths[module]] = _norm_input(module, args[0], *(dropped or (None, False)))

    handles = [module.register_forward_pre_hook(before) for module in paths]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _norm_input(
    norm: _BatchNorm,
    given: torch.Tensor,
    after: Drawn | None,
    direct: bool,  # noqa: FBT001
) -> NormInput:
    with torch.no_grad():
        rows = given.detach().double().transpose(0, 1).reshape(given.shape[1], -1)
        mean = rows.mean(1)
        variance = (rows - mean[:, None]).square().mean(1)
        off_mean = off_variance = 0.0
        if norm.running_mean is not None and norm.running_var is not None:
            scale = variance + norm.eps
            off_mean = float(((norm.running_mean - mean).abs() / scale.sqrt()).mean())
            off_variance = float(((norm.running_var + norm.eps) / scale).log().mean().exp())
        return NormInput(
            rows.shape[1], float(variance.mean()), off_mean, off_variance, after, direct=direct
        )
