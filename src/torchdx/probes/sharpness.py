"""Measures the sharpest direction of the loss, as the optimizer sees it, against its step size.

One graph of the gradient is kept, each Hessian-vector product goes back through it once more, and
`torchdx.curvatures.spectrum` bounds the largest eigenvalue by them. For optimizers that scale
coordinates (Adam and its kin) the Hessian is taken in their coordinates, P^(-1/2) H P^(-1/2). The
same products give the distribution of eigenvalues; lines through the weights cost forwards.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer

from torchdx.curvatures.density import density_of
from torchdx.curvatures.lanczos import Krylov
from torchdx.curvatures.spectrum import LEVEL, Spectrum
from torchdx.probes.copying import unwrapped
from torchdx.probes.errors import CannotMeasure
from torchdx.probes.landscape import Ground, Slice, slice_of
from torchdx.probes.stand_in import measured, standing_in
from torchdx.probes.subject import Subject, Unmeasured

PRODUCTS, LEAST = 20, 4
LIMIT_S = 10.0
ENOUGH = 0.02  # relative: width of the interval at which no further product is made
# Of the largest root of a second moment: what is below is rounding, as the gradient of a bias
# before a batch norm is, and a scale of its inverse would make rounding the largest curvature.
MUTE = 1e-6
_SEED = 20_261_121  # of the first direction
_SECOND_MOMENTS = ("exp_avg_sq", "square_avg", "sum")

Vector = Sequence[torch.Tensor]
Product = Callable[[Vector], Vector]


@dataclass(frozen=True)
class Sharpness:
    """The largest curvature of one batch's loss, in the mode of training.

    curvature   largest eigenvalue of the Hessian (of the loss as the program steps on it, factor
                and coupled weight decay included), in the optimizer's coordinates where `scaled`:
                the largest that was met, which is no more than the true one
    low, high   what the true one lies between, with a probability of 99% over the random start
    lowest      smallest eigenvalue that was met: below 0 there is a way down besides the gradient
    lr          of the first parameter group
    limit       of lr times curvature, beyond which steps in that direction grow: 2 for plain
                gradient descent, 2 (1 + momentum), 2 (1 + b1) / (1 - b1) for Adam
    ratio       lr times curvature over that limit: above 1 the quadratic model diverges
    along       lr times curvature along the gradient over 2: above 1 a plain gradient step raises
                the loss of this batch
    products    Hessian-vector products made
    """

    curvature: float
    low: float
    high: float
    lowest: float
    lr: float
    limit: float
    ratio: float
    along: float
    products: int
    scaled: bool
    rows: int


@dataclass(frozen=True)
class Density:
    """How the eigenvalues are distributed: point masses that stand for them, from one random start.

    nodes, weights  eigenvalues and their shares, ascending; the shares sum to 1
    apart           how many outermost ones stand apart, at the top and at the bottom: each is an
                    eigenvalue by itself, nearer to its node than half way to the next one
    negative        share of the eigenvalues below 0, `near_zero` within 1% of the radius of 0
    size            how many there are: parameters that the optimizer holds
    """

    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    apart: tuple[int, int]
    negative: float
    near_zero: float
    size: int
    scaled: bool
    training: bool
    rows: int


@dataclass(frozen=True)
class Survey:
    """What one graph of the gradient tells; no slice where none was asked for, or time was out."""

    sharpness: Sharpness
    density: Density
    slice: Slice | Unmeasured | None


@measured
def sharpness(
    subject: Subject, optimizer: Optimizer, *, products: int = PRODUCTS, limit_s: float = LIMIT_S
) -> Sharpness:
    """Step size against curvature; costs about twice `products` gradients.

    `limit_s` is of this thread: after it no further product is begun, but for the first `LEAST`.

    The dropout mask is that of the observed forward. Sources: Cohen et al. 2021 (edge of
    stability); Cohen et al. 2022 for Adam.
    """
    return _survey(subject, optimizer, products, limit_s).sharpness


@measured
def survey(
    subject: Subject,
    optimizer: Optimizer,
    *,
    limit_s: float = LIMIT_S,
    sliced: bool = True,
    max_norm: float | None = None,
) -> Survey:
    """`sharpness`, and from the same products the density; and a slice, which costs forwards.

    Args:
        subject: a model, a call of it and its loss.
        optimizer: that trains it.
        limit_s: of this thread.
        sliced: whether the slice is wanted.
        max_norm: to which the program clips gradients.
    """
    return _survey(subject, optimizer, PRODUCTS, limit_s, sliced=sliced, max_norm=max_norm)


def _survey(  # noqa: PLR0913  # what may be asked for
    subject: Subject,
    optimizer: Optimizer,
    products: int,
    limit_s: float,
    *,
    sliced: bool = False,
    max_norm: float | None = None,
) -> Survey:
    ends = time.thread_time() + limit_s
    with standing_in(subject) as double, _twice_differentiable():
        double.set_mode("observed")
        step = _Step(subject.model, double.model, optimizer)
        if not step.weights:
            raise CannotMeasure("the optimizer holds no parameter of this model")
        loss = double.loss_of(double.answer(state=subject.rng, gradients=True)) * subject.factor
        gradient = _gradient(loss, step.weights, keep=True)
        plain = _product(gradient, step.weights)
        product = _in_coordinates(plain, step)
        along = _along(product, [g.detach() * s for g, s in zip(gradient, step.scale, strict=True)])
        spectrum = _spectrum(product, step.weights)
        spectrum.grow(products, lambda: _is_enough(spectrum, ends))
        values, (highest, _) = spectrum.krylov.ritz().values, spectrum.ends(LEVEL)
        found = Sharpness(
            curvature=values[-1],
            low=highest.low,
            high=highest.high,
            lowest=values[0],
            lr=step.lr,
            limit=step.limit,
            ratio=step.lr * values[-1] / step.limit,
            along=step.lr * along / 2,
            products=spectrum.products + 1,
            scaled=step.scaled,
            rows=double.rows,
        )
        density = _density(spectrum, subject, step, double.rows)
        ground = Ground(double, step.weights, gradient, plain)
        if not sliced:
            return Survey(found, density, None)
        top = _shaped(spectrum.krylov.vector(len(values) - 1), step.weights)
        sharpest = [v * s for v, s in zip(top, step.scale, strict=True)]
        lines = _slice(subject, ground, optimizer, sharpest, ends=ends, max_norm=max_norm)
        return Survey(found, density, lines)


@measured
def _slice(subject: Subject, ground: Ground, *args: Any, **options: Any) -> Slice | None:
    """A slice that fails takes nothing else with it."""
    del subject
    return slice_of(ground, *args, **options)


class _Step:
    """What an optimizer does with a gradient: its settings, in terms of the copy's weights.

    weights  of the copy; scale: P^(-1/2) for each, 1 for optimizers that do not scale
    """

    def __init__(self, model: nn.Module, double: nn.Module, optimizer: Optimizer) -> None:
        names = {id(p): n for n, p in unwrapped(model).named_parameters()}
        own = dict(double.named_parameters())
        groups = [(g, p) for g in optimizer.param_groups for p in g["params"] if id(p) in names]
        held = [(g, p, own[names[id(p)]]) for g, p in groups if p.requires_grad]
        group = held[0][0] if held else optimizer.param_groups[0]
        cls = type(optimizer).__name__
        self.weights = [weight for _, _, weight in held]
        self.lr, self.limit = float(group["lr"]), _limit(cls, group)
        self.decay = [
            0.0 if cls.endswith("W") else float(g.get("weight_decay", 0.0)) for g, _, _ in held
        ]
        moments = [_moment(optimizer, g, p) for g, p, _ in held]
        self.scaled = any(moment is not None for moment in moments)
        if cls in _SCALING and not self.scaled:
            raise CannotMeasure("the optimizer has not stepped yet: it has no scales")
        relative = [float(g["lr"]) / self.lr if self.lr else 1.0 for g, _, _ in held]
        top = max((float(m.max()) for m in moments if m is not None and m.numel()), default=0.0)
        self.scale = [
            torch.full_like(w, r**0.5) if m is None else _scale(r, m, MUTE * top)
            for r, m, w in zip(relative, moments, self.weights, strict=True)
        ]


def _scale(relative: float, moment: torch.Tensor, mute: float) -> torch.Tensor:
    """P^(-1/2) of a parameter; 0 where all that it was given is rounding."""
    return torch.where(moment > mute, (relative / moment) ** 0.5, torch.zeros_like(moment))


_SCALING = frozenset("Adam AdamW NAdam RAdam RMSprop Adagrad".split())


def _limit(cls: str, group: dict[str, Any]) -> float:
    """The largest stable product of step size and curvature on a quadratic."""
    if cls in _SCALING and "betas" in group:
        b1 = float(group["betas"][0])
        return 2 * (1 + b1) / (1 - b1)
    if cls in {"RMSprop", "Adagrad"}:
        return 2.0
    if cls != "SGD":
        msg = f"the stable step size of {cls} is not known here"
        raise CannotMeasure(msg)
    momentum, damping = float(group.get("momentum", 0.0)), float(group.get("dampening", 0.0))
    if group.get("nesterov"):
        return 2 * (1 + momentum) / (1 + 2 * momentum)
    return 2 * (1 + momentum) / (1 - damping) if momentum else 2.0


def _moment(optimizer: Optimizer, group: dict[str, Any], weight: Any) -> torch.Tensor | None:
    """By what a coordinate's step is divided: the root of its second moment."""
    if type(optimizer).__name__ not in _SCALING:
        return None
    state = optimizer.state.get(weight, {})
    second: torch.Tensor | None = next(
        (state[name] for name in _SECOND_MOMENTS if name in state), None
    )
    if second is None:
        return None
    steps, eps = float(state.get("step", 0)), float(group.get("eps", 1e-8))
    seen = 1 - float(group["betas"][1]) ** steps if "betas" in group else 1.0
    return (second.detach() / max(seen, 1e-12)).sqrt() + eps


@contextmanager
def _twice_differentiable() -> Iterator[None]:
    """The default attention kernels have no second derivative."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def _gradient(value: torch.Tensor, weights: Vector, *, keep: bool) -> Vector:
    return list(
        torch.autograd.grad(
            value, weights, create_graph=keep, allow_unused=True, materialize_grads=True
        )
    )


def _product(gradient: Vector, weights: Vector) -> Product:
    """Vector to Hessian times vector."""
    curved = [i for i, g in enumerate(gradient) if g.grad_fn is not None]
    if not curved:
        raise CannotMeasure("the loss has no curvature: it is linear in the weights")
    outputs = [gradient[i] for i in curved]

    def product(vector: Vector) -> Vector:
        return torch.autograd.grad(
            outputs,
            weights,
            grad_outputs=[vector[i] for i in curved],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )

    return product


def _in_coordinates(plain: Product, step: _Step) -> Product:
    """The same in the optimizer's coordinates, with its coupled weight decay."""

    def product(vector: Vector) -> Vector:
        scaled = [v * s for v, s in zip(vector, step.scale, strict=True)]
        parts = zip(plain(scaled), scaled, step.scale, step.decay, strict=True)
        return [(h + decay * v) * s for h, v, s, decay in parts]

    return product


def _along(product: Product, direction: Vector) -> float:
    """Curvature along a direction."""
    length = _dot(direction, direction)
    return _dot(direction, product(direction)) / length if length else 0.0


def _dot(a: Vector, b: Vector) -> float:
    return float(sum((x.double() * y.double()).sum().cpu() for x, y in zip(a, b, strict=True)))


def _spectrum(product: Product, like: Vector) -> Spectrum:
    """That of products in pieces of the shapes of `like`."""

    def flat(vector: torch.Tensor) -> torch.Tensor:
        found = _flat(product(_shaped(vector, like)), vector)
        if not bool(found.isfinite().all()):
            raise CannotMeasure("the second derivative of the loss is not finite")
        return found

    size = sum(weight.numel() for weight in like)
    dtype = torch.promote_types(like[0].dtype, torch.float32)
    return Spectrum(flat, size, dtype=dtype, device=like[0].device, seed=_SEED)


def _density(spectrum: Spectrum, subject: Subject, step: _Step, rows: int) -> Density:
    """What the basis that is there tells of all eigenvalues."""
    basis = spectrum.krylov
    nodes, weights, negative, near_zero, _ = density_of([basis], spectrum.n)
    return Density(
        nodes=tuple(_rounded(node) for node in nodes),
        weights=tuple(_rounded(weight) for weight in weights),
        apart=(_apart(basis, top=True), _apart(basis, top=False)),
        negative=_rounded(negative),
        near_zero=_rounded(near_zero),
        size=spectrum.n,
        scaled=step.scaled,
        training=subject.training,
        rows=rows,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _apart(basis: Krylov, *, top: bool) -> int:
    """How many eigenvalues are told apart from the others at one end, outermost first."""
    ritz, sign = basis.ritz(), 1 if top else -1
    pairs = sorted(zip(ritz.values, ritz.residuals, strict=True), reverse=top)
    count = 0
    for (value, residual), (inner, _) in itertools.pairwise(pairs):
        if sign * value <= basis.rounding or 2 * residual >= abs(value - inner):
            break
        count += 1
    return count


def _is_enough(spectrum: Spectrum, ends: float) -> bool:
    if spectrum.products < LEAST:
        return False
    highest, _ = spectrum.ends(LEVEL)
    narrow = highest.high - highest.low <= ENOUGH * abs(highest.low)
    return narrow or time.thread_time() > ends


def _flat(parts: Vector, like: torch.Tensor) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in parts]).to(like)


def _shaped(flat: torch.Tensor, like: Vector) -> Vector:
    pieces = torch.split(flat, [p.numel() for p in like])
    return [piece.reshape(p.shape).to(p) for piece, p in zip(pieces, like, strict=True)]
