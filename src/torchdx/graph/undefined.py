"""Where operations are not defined, or their derivatives are not: told from what autograd kept.

Each entry was compared with what torch's own forward and backward give there
(`tests/instruments/test_undefined.py`). Norms and standard deviations are missing from the
derivatives on purpose: torch gives them the gradient 0 where there is none.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Values = Mapping[str, Any]
Elements = Callable[[Values], torch.Tensor]


@dataclass(frozen=True)
class Point:
    """A set of inputs where an operation, or its derivative, is not defined.

    words     what happens there; `shown` the kept tensor that shows it
    elements  of what autograd kept, those that lie there
    overflow  whether the value exists and is only too large for the type
    """

    words: str
    shown: str
    elements: Elements
    overflow: bool = False


@dataclass(frozen=True)
class Reason:
    """A point that was met: by how many elements of how many, and what else was among them.

    low, high    the finite values of the tensor that shows it (None: there are none)
    """

    words: str
    count: int
    of: int
    low: float | None
    high: float | None
    overflow: bool


def reason(points: tuple[Point, ...], values: Values) -> Reason | None:
    """The first of the points that some element meets; None where none does, or nothing is known.

    `values` are what autograd kept of one operation, by its own names.
    """
    for point in points:
        try:
            count = int(point.elements(values).sum())
        except (KeyError, TypeError, AttributeError, IndexError, RuntimeError):
            continue  # what would show it was not kept
        if count:
            shown = values.get(point.shown)
            of = shown.numel() if isinstance(shown, torch.Tensor) else 1
            return Reason(point.words, count, of, *extent(shown), point.overflow)
    return None


def extent(tensor: Any) -> tuple[float | None, float | None]:
    """The smallest and the largest finite value of a tensor; None where there is none."""
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        return None, None
    given = tensor.detach()
    finite = given[torch.isfinite(given)]
    return (float(finite.min()), float(finite.max())) if finite.numel() else (None, None)


def _is(name: str, value: float) -> Elements:
    return lambda v: v[name] == value


def _below(name: str, value: float) -> Elements:
    return lambda v: v[name] < value


def _nan(name: str) -> Elements:
    return lambda v: torch.isnan(v[name])


def _beyond(name: str, size: float) -> Elements:
    return lambda v: v[name].abs() > size


def _overflown(name: str) -> Elements:
    return lambda v: v[name] == math.inf


def _zero_to_negative(v: Values) -> torch.Tensor:
    given: torch.Tensor = v["self"]
    return (given == 0) & _tensor(v["exponent"], v).lt(0)


def _root_of_negative(v: Values) -> torch.Tensor:
    given: torch.Tensor = v["self"]
    exponent = _tensor(v["exponent"], v)
    return (given < 0) & (exponent != exponent.trunc())


def _power_overflows(v: Values) -> torch.Tensor:
    base: torch.Tensor = v["self"]
    exponent = _tensor(v["exponent"], v).double()
    result = torch.pow(base.double(), exponent).abs()
    return torch.isfinite(base) & (result > torch.finfo(base.dtype).max)


def _tensor(exponent: Any, v: Values) -> torch.Tensor:
    given = v["self"]
    return torch.as_tensor(exponent, dtype=given.dtype, device=given.device)


def _row_of_nan(v: Values) -> torch.Tensor:
    """Rows without any number beside rows with numbers, or where a mask took the whole row."""
    result: torch.Tensor = v["result"]
    missing = torch.isnan(result).all(int(v["dim"]))
    return missing if not bool(missing.all()) else missing & False


def _log_of_0(base: str = "the logarithm") -> tuple[Point, ...]:
    return (
        Point(f"{base} of 0", "self", _is("self", 0)),
        Point(f"{base} of a negative number", "self", _below("self", 0)),
    )


def _zero_by_zero(v: Values) -> torch.Tensor:
    above: torch.Tensor = v["self"]
    below: torch.Tensor = v["other"]
    return (above == 0) & (below == 0)


def _empty_mean(v: Values) -> torch.Tensor:
    """`dim` is there where the mean was taken over some dimensions only."""
    sizes = v["self_sym_sizes"]
    over = range(len(sizes)) if "dim" not in v or not v["dim"] else v["dim"]
    return torch.tensor([math.prod(sizes[d] for d in over) == 0])


def _no_freedom(v: Values) -> torch.Tensor:
    given, dim = v["self"], v["dim"]
    sizes = given.shape if not dim else [given.shape[d] for d in dim]
    correction = 1 if v["correction"] is None else v["correction"]
    return torch.tensor([math.prod(sizes) <= correction])


def _no_labels(v: Values) -> torch.Tensor:
    total: torch.Tensor = v["total_weight"]
    return (total.reshape(-1) == 0) & bool(v["reduction"] == 1)


def _picks_nothing(v: Values) -> torch.Tensor:
    given: torch.Tensor = v["self"]
    target: torch.Tensor = v["target"]
    if given.dim() == 1:
        given, target = given[None], target.reshape(1)
    valid = (target >= 0) & (target < given.shape[1])
    picked = given.gather(1, target.clamp(0, given.shape[1] - 1).unsqueeze(1)).squeeze(1)
    return valid & (picked == -math.inf)


_SPREAD = Point("the spread of a single number", "self", _no_freedom)
_CE = (
    Point("the mean of a loss over no labels at all (0 / 0)", "self", _no_labels),
    Point("the loss of a label whose probability is exactly 0", "self", _picks_nothing),
)
_POWER = (
    Point("0 to a negative power", "self", _zero_to_negative),
    Point("a fractional power of a negative number", "self", _root_of_negative),
    Point("the overflow of a power", "self", _power_overflows, overflow=True),
)
MASKED = Point("the softmax of a row of which all is masked (-inf)", "result", _row_of_nan)

# Where the result of an operation is NaN or infinite though its inputs are finite.
FORWARD: dict[str, tuple[Point, ...]] = {
    "Log": _log_of_0(),
    "Log2": _log_of_0(),
    "Log10": _log_of_0(),
    "Log1P": (
        Point("log1p of -1", "self", _is("self", -1)),
        Point("log1p of a number below -1", "self", _below("self", -1)),
    ),
    "Sqrt": (Point("the square root of a negative number", "result", _nan("result")),),
    "Rsqrt": (
        Point("1 / the square root of 0", "result", _overflown("result")),
        Point("the square root of a negative number", "result", _nan("result")),
    ),
    "Reciprocal": (Point("a division by 0", "result", lambda v: torch.isinf(v["result"])),),
    "Div": (
        Point("0 / 0", "other", _zero_by_zero),
        Point("a division by 0", "other", _is("other", 0)),
    ),
    "Remainder": (Point("a division by 0", "other", _is("other", 0)),),
    "Pow": (
        *_POWER,
        Point("the overflow of a power", "result", _overflown("result"), overflow=True),
    ),
    "Exp": (
        Point("the overflow of an exponential", "result", _overflown("result"), overflow=True),
    ),
    "Exp2": (Point("the overflow of a power", "result", _overflown("result"), overflow=True),),
    "Expm1": (
        Point("the overflow of an exponential", "result", _overflown("result"), overflow=True),
    ),
    "Acos": (Point("the arc cosine of a number beyond 1", "self", _beyond("self", 1)),),
    "Asin": (Point("the arc sine of a number beyond 1", "self", _beyond("self", 1)),),
    "Atanh": (Point("atanh at or beyond 1", "self", lambda v: v["self"].abs() >= 1),),
    "Acosh": (Point("acosh of a number below 1", "self", _below("self", 1)),),
    "Logit": (
        Point("the logit of 0 or 1", "self", lambda v: (v["self"] == 0) | (v["self"] == 1)),
        Point("the logit of no share", "self", lambda v: (v["self"] < 0) | (v["self"] > 1)),
    ),
    "Softmax": (MASKED,),
    "LogSoftmax": (MASKED,),
    "Mean": (Point("the mean of no elements (0 / 0)", "", _empty_mean),),
    "Std": (_SPREAD,),
    "Var": (_SPREAD,),
    "NllLoss": _CE,
    "NllLoss2D": _CE,
    "CtcLoss": (
        Point(
            "a CTC loss of targets that are longer than the input allows",
            "result0",
            _overflown("result0"),
        ),
    ),
    "NativeLayerNorm": (
        Point("a division by a spread of 0", "input", lambda v: torch.isinf(v["result2"])),
    ),
}

_OF_LOG = Point("the derivative of a logarithm at 0", "self", _is("self", 0))
_INFINITE = Point(
    "the derivative of an exponential that overflowed",
    "result",
    _overflown("result"),
    overflow=True,
)

# Where the derivative of an operation is NaN or infinite, whatever comes back to it.
BACKWARD: dict[str, tuple[Point, ...]] = {
    "Sqrt": (
        Point("the derivative of the square root at 0", "result", _is("result", 0)),
        Point("the square root of a negative number", "result", _nan("result")),
    ),
    "Rsqrt": (
        Point("the derivative of 1 / square root at 0", "result", _overflown("result")),
        Point("the square root of a negative number", "result", _nan("result")),
    ),
    "Log": (_OF_LOG,),
    "Log2": (_OF_LOG,),
    "Log10": (_OF_LOG,),
    "Log1P": (Point("the derivative of log1p at -1", "self", _is("self", -1)),),
    "Reciprocal": (
        Point("the derivative of a division by 0", "result", lambda v: torch.isinf(v["result"])),
    ),
    "Div": (Point("the derivative of a division by 0", "other", _is("other", 0)),),
    "Pow": (
        Point(
            "the derivative of a root at 0",
            "self",
            lambda v: (
                (v["self"] == 0)
                & _tensor(v["exponent"], v).lt(1)
                & (_tensor(v["exponent"], v) != 0)
            ),
        ),
        Point("a fractional power of a negative number", "self", _root_of_negative),
        Point("the derivative of a power at NaN", "self", _nan("self")),
    ),
    "Acos": (
        Point("the derivative of the arc cosine at 1", "self", lambda v: v["self"].abs() >= 1),
    ),
    "Asin": (Point("the derivative of the arc sine at 1", "self", lambda v: v["self"].abs() >= 1),),
    "Atanh": (Point("the derivative of atanh at 1", "self", lambda v: v["self"].abs() >= 1),),
    "Acosh": (Point("the derivative of acosh at 1", "self", lambda v: v["self"] <= 1),),
    "Logit": (
        Point(
            "the derivative of the logit at 0 or 1",
            "self",
            lambda v: (v["self"] <= 0) | (v["self"] >= 1),
        ),
    ),
    "Hypot": (Point("the derivative of hypot at 0", "result", _is("result", 0)),),
    "SpecialEntr": (Point("the derivative of the entropy at 0", "self", _is("self", 0)),),
    "Exp": (_INFINITE,),
    "Exp2": (_INFINITE,),
    "Expm1": (_INFINITE,),
    "MseLoss": (Point("the derivative of a distance at NaN", "target", _nan("target")),),
    "SmoothL1Loss": (Point("the derivative of a distance at NaN", "target", _nan("target")),),
}
