"""What a rule is, and what it may answer."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, get_args

from torchdx.errors import CallError
from torchdx.graph.model import Line
from torchdx.record.model import Record

Severity = Literal["fault", "suspicion", "note"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
Confidence = Literal["certain", "strong", "weak"]
CONFIDENCES: tuple[str, ...] = get_args(Confidence)


@dataclass(frozen=True)
class Evidence:
    """A measured value beside what it was held against.

    what    the quantity, in words; `value` and `against` as they were seen
    """

    what: str
    value: float | int | str
    against: float | int | str | None = None


@dataclass(frozen=True)
class Excluded:
    """A rival cause that was considered, and the number that speaks against it.

    code    of the rival's rule; `what` was measured, and held against what
    """

    code: str
    what: str
    value: float | int | str
    against: float | int | str | None = None


@dataclass(frozen=True)
class Prescription:
    """The change that a finding asks for, as data.

    change    the treatment's name (`reduction`, `zero_grad`, ...)
    where     parameter, module, optimizer or line that it concerns
    to        the new value
    text      the same for a person, in the imperative
    once      within what the operation to be changed was seen once only: its `line`, the whole
              `pass`; empty where it was seen more often, or that is not known
    """

    change: str
    text: str
    where: str = ""
    to: str = ""
    once: Literal["line", "pass", ""] = ""


@dataclass(frozen=True)
class Finding:
    """One cause with its evidence.

    severity  `fault`: a fact that keeps the net from learning as meant; `suspicion`: likely, and
              `confirm` says what would settle it; `note`: harmless or only worth knowing
    confidence  `certain`: a fact of graph, states or data; `strong`: measured, far beyond its limit
              and with its rivals excluded; `weak`: measured, and something else may explain it.
              When a rule does not say, a suspicion is weak and all else certain
    place     parameter, module, optimizer, loss or run that it concerns
    excluded  rivals, with what speaks against each
    """

    text: str
    line: Line | None = None
    place: str = ""
    severity: Severity = "fault"
    confidence: Confidence | Literal[""] = ""
    excluded: tuple[Excluded, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    prescriptions: tuple[Prescription, ...] = ()
    confirm: str = ""
    code: str = ""
    name: str = ""


@dataclass(frozen=True)
class Unclear:
    """A rule's honest "cannot tell": `because` names what is missing."""

    because: str
    code: str = ""
    name: str = ""


Answer = Finding | Unclear
Check = Callable[[Record], Iterable[Answer]]


@dataclass(frozen=True)
class Rule:
    """One diagnosis.

    code      family letter and number, never used again for anything else
    name      the sickness, never the cure
    page      the docstring of the rule's file
    silences  codes of findings that are only this one's symptoms
    """

    code: str
    name: str
    page: str
    check: Check
    silences: frozenset[str] = field(default_factory=frozenset)

    def answers(self, record: Record) -> Iterator[Answer]:
        """What the rule says of a record, signed with its code and name."""
        for answer in self.check(record):
            facts = {**answer.__dict__, "code": self.code, "name": self.name}
            if isinstance(answer, Finding) and not answer.confidence:
                facts["confidence"] = "weak" if answer.severity == "suspicion" else "certain"
            yield type(answer)(**facts)

    @property
    def title(self) -> str:
        """The first line of its page, less code and name."""
        return self.page.splitlines()[0].partition(": ")[2]


_REGISTRY: dict[str, Rule] = {}


def rule(code: str, name: str, *, silences: str = "") -> Callable[[Check], Check]:
    """Register the function below as the check of rule `code`.

    The rule's page is the docstring of the file that holds it. `silences` lists codes, separated
    by spaces.
    """

    def register(check: Check) -> Check:
        page = importlib.import_module(check.__module__).__doc__ or ""
        if code in _REGISTRY and _REGISTRY[code].check.__module__ != check.__module__:
            msg = f"two rules have the code {code}: {_REGISTRY[code].name} and {name}"
            raise CallError(msg)
        _REGISTRY[code] = Rule(code, name, page, check, frozenset(silences.split()))
        return check

    return register


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule in the folders beside this file, in the order of their codes' families."""
    package = importlib.import_module("torchdx.rules")
    for module in pkgutil.walk_packages(package.__path__, "torchdx.rules."):
        importlib.import_module(module.name)
    return tuple(sorted(_REGISTRY.values(), key=_order))


def find_rule(code_or_name: str) -> Rule:
    """The rule with this code or name, any case.

    Raises:
        CallError: there is none; the message lists near names.
    """
    import difflib  # noqa: PLC0415  # only when a name is asked for

    wanted = code_or_name.strip().lower()
    names = {key: r for r in all_rules() for key in (r.code.lower(), r.name.lower())}
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, n=3)
    hint = f" Near: {', '.join(near)}." if near else ""
    msg = f"no rule is called {code_or_name!r}.{hint} `torchdx rules` lists them all."
    raise CallError(msg)


FAMILIES = "LAONRTMDP"  # the order in which a run is examined: the loss first


def _order(rule_: Rule) -> tuple[int, str]:
    return FAMILIES.find(rule_.code[0]), rule_.code
