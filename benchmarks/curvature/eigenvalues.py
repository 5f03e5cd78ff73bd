"""Eigenvalues to a tolerance that is true: cold, followed through training, five, and together."""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import torch

import torchdx as dx
from benchmarks.curvature import reference
from benchmarks.curvature.clock import seconds
from benchmarks.curvature.nets import Case
from benchmarks.curvature.peers import TOL, Answer, Asked, Peer, available
from benchmarks.curvature.products import gradient_of
from benchmarks.curvature.table import Row, within
from torchdx.curvatures.spectrum import Extremes

COLD = {"mlp": (18, 28), "resnet20": (7, 17), "gpt": (20, 45)}  # products, gradients
FOLLOWED = {"mlp": (3, 6), "gpt": (3, 9)}
FIVE = {"mlp": (28, 65), "gpt": (28, 60)}
TOGETHER = 45
WRONG = 0.01  # of the starts
SHARE = {"mlp": 1, "resnet20": 100, "gpt": 50}  # one start in so many, where a product is dear
PEER_SHARE = {"mlp": 1, "resnet20": 10, "gpt": 5}  # likewise of the peers' starts
TRACE_ERROR = 0.03


@dataclass
class Tally:
    """What one library gave over its starts."""

    products: list[int]
    gradients: list[float]
    errors: list[float]

    @property
    def wrong(self) -> float:
        """The share of answers that are off by more than the tolerance."""
        return sum(e > TOL for e in self.errors) / len(self.errors)

    def __str__(self) -> str:
        wrong = f", {self.wrong:.1%} wrong (worst {max(self.errors):.0e})"
        return f"{median(self.products):.0f} products, {median(self.gradients):.1f} g{wrong}"


class Meter:
    """Answers, their cost in gradients that are measured between them, and their true errors."""

    def __init__(self, case: Case, truth: list[float]) -> None:
        self.case, self.truth = case, truth
        self._gradient = gradient_of(case)
        self._gradients: list[float] = []
        self._answers: dict[str, list[Answer]] = {}

    def add(self, name: str, answer: Answer) -> None:
        """One answer; a few gradients are timed beside it."""
        self._gradients += [seconds(self._gradient) for _ in range(3)]
        self._answers.setdefault(name, []).append(answer)

    def tally(self, name: str) -> Tally:
        """Of one library."""
        base, found = median(self._gradients), self._answers[name]
        return Tally(
            [a.products for a in found],
            [a.seconds / base for a in found],
            [self._error(a.values) for a in found],
        )

    def told(self) -> dict[str, str]:
        """Of each of the peers, with the tries that did not converge where there were some."""
        base, found = median(self._gradients), {}
        for name, answers in self._answers.items():
            every = median(a.all_seconds for a in answers) / base
            more = f"; {every:.0f} g with its shorter tries" * (name == "eigenthings")
            found[name] = f"{self.tally(name)}{more} ({len(answers)} starts)"
        return found

    def _error(self, values: list[float]) -> float:
        pairs = zip(sorted(values, reverse=True), self.truth, strict=True)
        return max(abs(value - true) / abs(true) for value, true in pairs)


def cold_rows(case: Case, starts: int, peer_starts: int) -> Iterator[Row]:
    """The largest eigenvalue from random starts, and what is said of it."""
    truth = reference.eigenvalues(case, 1)
    lowest = reference.eigenvalues(case, 1, "SA", 1e-4)[0] if case.name == "mlp" else None
    meter, ours = Meter(case, truth), Meter(case, truth)
    peers, missing = available()
    broken, widths = 0, []
    number = max(3, starts // SHARE[case.name])
    for seed in range(number):
        found, ends = _ours(case, seed)
        ours.add("torchdx", found)
        broken += not ends.highest.low * (1 - 1e-6) <= truth[0] <= ends.highest.high
        broken += lowest is not None and not ends.lowest.low <= lowest <= ends.lowest.high + 1e-5
        widths.append((ends.highest.high - ends.highest.low) / truth[0])
        if seed < max(1, peer_starts // PEER_SHARE[case.name]):
            _ask(peers, case, meter, 1, seed)
    tally, limits = ours.tally("torchdx"), COLD[case.name]
    products, gradients = median(tally.products), median(tally.gradients)
    yield Row(
        f"largest eigenvalue to a true 0.1%, cold, {number} starts",
        case.name,
        str(tally),
        f"at most {limits[0]} products, {limits[1]} g, wrong below 1%",
        within((products, limits[0]), (gradients, limits[1])) and tally.wrong < WRONG,
        meter.told() | missing,
    )
    yield Row(
        f"its 99% bound, {number} starts{' (both ends)' * (lowest is not None)}",
        case.name,
        f"violated {broken} times, width {max(widths):.2%} at most",
        "violated in at most 1%, width 0.1%",
        within((broken, number * WRONG), (median(widths), TOL)),
        dict.fromkeys(peers, "none stated") | missing,
    )


def _ours(case: Case, seed: int) -> tuple[Answer, Extremes]:
    began = time.process_time()
    with dx.curvature(case.model, case.criterion, case.batch, seed=seed) as c:
        ends = c.extremes()
    spent = time.process_time() - began
    return Answer([ends.highest.low], ends.spent.products, spent, spent), ends


def _ask(peers: dict[str, Peer], case: Case, meter: Meter, k: int, seed: int) -> None:
    asked = Asked(case.model, case.criterion, [case.batch])
    for name, peer in peers.items():
        meter.add(name, peer.largest(asked, k, seed))
        case.model.zero_grad()


def followed_rows(case: Case, times: int = 8) -> Iterator[Row]:
    """The largest eigenvalue after every five steps of SGD, from the vector known last."""
    case = Case(case.name, copy.deepcopy(case.model), *case.batch, case.criterion)
    optimizer = torch.optim.SGD(case.parameters, 0.02)
    gradient = gradient_of(case)
    base = [seconds(gradient) for _ in range(10)]
    c = dx.curvature(case.model, case.criterion, case.batch)
    c.extremes()
    products, gradients, errors, again = [], [], [], []
    for _ in range(times):
        for _ in range(5):
            optimizer.zero_grad()
            case.loss().backward()
            optimizer.step()
        base += [seconds(gradient) for _ in range(3)]
        began = time.process_time()
        c = c.renew()
        found = c.track()
        gradients.append(time.process_time() - began)
        products.append(found.spent.products)
        truth = dx.curvature(case.model, case.criterion, case.batch).extremes(1e-5)
        errors.append(1 - found.value / truth.highest.low)
        again.append(c.renew().extremes().spent.products)
    limits, cost = FOLLOWED[case.name], median(gradients) / median(base)
    yield Row(
        "followed every 5 steps, a lower bound",
        case.name,
        f"{median(products):.0f} products, {cost:.1f} g, worst error {max(errors):.1e}; "
        f"certified again {median(again):.0f} products",
        f"at most {limits[0]} products, {limits[1]} g; again at cold cost",
        within(
            (median(products), limits[0]),
            (cost, limits[1]),
            (median(again), COLD[case.name][0]),
        ),
        dict.fromkeys(available()[0], "cold again") | available()[1],
    )


def five_rows(case: Case, starts: int = 3) -> Iterator[Row]:
    """The largest five."""
    truth = reference.eigenvalues(case, 5)
    meter, ours = Meter(case, truth), Meter(case, truth)
    peers, missing = available()
    for seed in range(starts):
        began = time.process_time()
        with dx.curvature(case.model, case.criterion, case.batch, seed=seed) as c:
            found = c.top(5)
        spent = time.process_time() - began
        ours.add("torchdx", Answer(list(found.values), found.spent.products, spent, spent))
        if not seed:
            _ask(peers, case, meter, 5, seed)
    tally, limits = ours.tally("torchdx"), FIVE[case.name]
    met = within((median(tally.products), limits[0]), (median(tally.gradients), limits[1]))
    yield Row(
        f"largest five to 0.1%, {starts} starts",
        case.name,
        str(tally),
        f"at most {limits[0]} products, {limits[1]} g",
        met and not tally.wrong,
        meter.told() | missing,
    )


def together_rows(case: Case) -> Iterator[Row]:
    """Extremes, density and a trace to 3%, on one basis."""
    with dx.curvature(case.model, case.criterion, case.batch) as c:
        parts: list[Callable[[], object]] = [c.extremes, c.density]
        for part in parts:
            part()
        trace = c.trace(tol=2.9 * TRACE_ERROR)  # the half-width of 99%, about 2.9 standard errors
        products = c._local.hessian.products
    error = trace.error / abs(trace.value)
    yield Row(
        "both ends, density and trace together",
        case.name,
        f"{products} products, trace with a standard error of {error:.1%}",
        f"at most {TOGETHER} products, 3%",
        within((products, TOGETHER), (error, TRACE_ERROR)),
        dict.fromkeys(available()[0], "three runs") | available()[1],
    )
