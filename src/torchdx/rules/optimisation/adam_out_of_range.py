"""adam-out-of-range (O13): Adam's eps or betas stand where it is no longer Adam.

## What is seen
An `eps` above the root of the second moment for nearly every weight, from the first steps on; or a
`beta1` at or above the root of `beta2`.
## Why the net does not learn
Adam divides by the root of the second moment so that every weight moves by about the rate. With an
eps above it the division is by a constant: steps shrink to gradient times rate over eps. With
beta1 beyond the root of beta2 the mean of gradients remembers longer than what it is divided by:
steps after a large gradient are of any size, and the bound on the step is lost.
## When this is wrong
Gradients that are exactly zero have no second moment; an eps of the default size says nothing then,
and this rule asks for one a hundred times as large at least.
## What to try
The defaults: eps 1e-8, betas (0.9, 0.999).
## Sources
Stack Overflow 42327543, 50975389; Kingma & Ba 2015, section 2.1 (the bound on the step) and theorem
4.1 (beta1 squared over root beta2 below 1); Zhang et al. 2022 (arXiv 2208.09632).
"""

from collections.abc import Iterator

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# Share of the weights whose second moment's root is below eps: healthy at most 0.62 (columns of
# inputs that are always zero), sick 1.0.
SHARE = 0.9
EPS = 1e-6  # a hundred times the default


@rule("O13", "adam-out-of-range", silences="O02 O17 O01 A06")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first such optimizer."""
    for optimizer in record.optimizers.values():
        eps, betas = optimizer.defaults.get("eps"), optimizer.defaults.get("betas")
        if optimizer.steps and betas is not None and _crossed(betas):
            yield _betas(optimizer, betas)
            return
        series = record.series("optimizer.eps_share", str(optimizer.id))
        share = min((value for _, value in series), default=0.0)
        if isinstance(eps, float) and eps >= EPS and share >= SHARE and len(series) > 1:
            yield _eps(optimizer, eps, share)
            return


def _crossed(betas: object) -> bool:
    if not isinstance(betas, list | tuple) or len(betas) != 2:  # noqa: PLR2004  # a pair
        return False
    first, second = betas
    return bool(0 < second < 1 and first >= second**0.5)


def _eps(optimizer: Optimizer, eps: float, share: float) -> Finding:
    return Finding(
        text=f"{optimizer.cls}'s eps of {eps:g} is above the root of the second moment for "
        f"{share:.0%} of the weights, in every step looked at: their steps shrink to the gradient "
        "times rate over eps",
        line=optimizer.line,
        place=f"optimizer {optimizer.id}",
        evidence=(
            Evidence("share of the weights below eps, least of all looks", share, SHARE),
            Evidence("eps", eps, 1e-8),
        ),
        prescriptions=(Prescription("optimizer_setting", "eps=1e-8", where="eps", to="1e-8"),),
    )


def _betas(optimizer: Optimizer, betas: list[float]) -> Finding:
    return Finding(
        text=f"{optimizer.cls} has betas of {betas[0]:g} and {betas[1]:g}: the mean of the "
        "gradients remembers longer than what it is divided by, and nothing bounds its steps",
        line=optimizer.line,
        place=f"optimizer {optimizer.id}",
        evidence=(Evidence("beta1, against the root of beta2", betas[0], betas[1] ** 0.5),),
        prescriptions=(
            Prescription("optimizer_setting", "betas=(0.9, 0.999)", where="betas", to="0.9, 0.999"),
        ),
    )
