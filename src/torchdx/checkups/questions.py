"""The questions of a checkup: each rests on rules, on one probe, or on both."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torchdx.record.model import Record
from torchdx.report.checkup import Row
from torchdx.rules.base import all_rules
from torchdx.rules.ranking import Diagnosis

Facts = Mapping[str, Any]
Judge = Callable[[Facts], "Verdict | None"]
Verdict = tuple[bool, str]

# An untrained net knows nothing: its cross-entropy is at least that of the label shares, and about
# log C. Twice that is beyond what the initialisations of torch give; see docs/limits.md, checkup.
FIRST_LOSS = 2.0
LOOKS = 1e-3  # relative change of answers, below which inputs are not looked at
REPEATS = 1e-4  # relative difference of two answers, rounding apart


@dataclass(frozen=True)
class Asked:
    """A checkup's record and what the rules say of it; `optimizer`: whether one was given."""

    record: Record
    diagnosis: Diagnosis
    optimizer: bool


@dataclass(frozen=True)
class Question:
    """One question.

    codes      of the rules that answer it; those that do not exist here are left out
    probe      kind of probe that answers it (`batch`: the event of that name), and judge: its
               facts to (whether it passes, the numbers); None where it does not apply
    optimizer  whether it is about the optimizer
    """

    group: str
    text: str
    codes: str = ""
    probe: str = ""
    judge: Judge | None = None
    optimizer: bool = False

    def rows(self, asked: Asked) -> Iterator[Row]:
        """Its row; none where it cannot be asked at all."""
        if self.optimizer and not asked.optimizer:
            return
        codes = {rule.code for rule in all_rules()} & set(self.codes.split())
        findings = tuple(
            finding
            for finding in asked.diagnosis.findings
            if finding.code in codes and finding.severity != "note"
        )
        if findings:
            yield Row(self.group, self.text, "finding", findings[0].text, findings)
            return
        measured = self._measured(asked)
        unclear = [a.because for a in asked.diagnosis.unclear if a.code in codes]
        if measured is not None and not measured[0]:
            yield Row(self.group, self.text, "finding", measured[1])
        elif isinstance(measured, tuple) and measured[0]:
            yield Row(self.group, self.text, "pass", measured[1])
        elif self._because(asked) or unclear:
            yield Row(self.group, self.text, "unclear", self._because(asked) or unclear[0])
        elif codes:
            yield Row(self.group, self.text, "pass")

    def _events(self, asked: Asked) -> list[Facts]:
        record = asked.record
        events = record.of("batch") if self.probe == "batch" else record.of("probe")
        return [e.facts for e in events if e.facts.get("kind", "batch") == self.probe]

    def _measured(self, asked: Asked) -> Verdict | None:
        measured = [facts for facts in self._events(asked) if "because" not in facts]
        if self.judge is None or not measured:
            return None
        return self.judge(measured[-1])

    def _because(self, asked: Asked) -> str:
        """Why its probe could not be made, empty when it could."""
        events = self._events(asked)
        if not self.probe or any("because" not in facts for facts in events):
            return ""
        return str(events[-1]["because"]) if events else "it could not be measured"


def _finite(facts: Facts) -> Verdict:
    wild = facts["wild"]
    return wild == 0, f"{wild} values that are not finite" if wild else ""


def _finite_loss(facts: Facts) -> Verdict:
    return abs(facts["loss"]) < float("inf"), f"loss {facts['loss']:.4g}"


def _several(facts: Facts) -> Verdict | None:
    if facts["head"] is None or facts["rows"] < 2:  # noqa: PLR2004  # one row has one target
        return None
    count = facts["distinct"]
    return count > 1, f"{count} different targets"


def _all_reached(facts: Facts) -> Verdict:
    left_out = facts["left_out"]
    if not left_out:
        return True, f"all {facts['parameters']}"
    more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""  # noqa: PLR2004  # a few
    return False, f"none for {', '.join(left_out[:3])}{more}"


def _first_loss(facts: Facts) -> Verdict:
    loss, chance, prior = facts["loss"], facts["chance"], facts["prior"]
    if chance is None:
        text = f"{loss:.3g}, variance of the targets {prior:.3g}"
        return loss <= FIRST_LOSS * max(prior, 1e-12) or loss <= 1, text
    return loss <= FIRST_LOSS * chance, f"{loss:.3g}, chance {chance:.3g}, label shares {prior:.3g}"


def _varied(facts: Facts) -> Verdict | None:
    if facts["rows"] < 2:  # noqa: PLR2004  # one row differs from none
        return None
    return facts["spread"] > 0, f"spread {facts['spread']:.2g}"


def _looks(facts: Facts) -> Verdict:
    change = facts["answer_change"]
    return change > LOOKS, f"other rows' inputs change answers by {change:.0%}"


def _repeatable(facts: Facts) -> Verdict | None:
    apart = facts["eval_difference"]
    if apart > REPEATS and not any(drawn["dropout"] for drawn in facts["drawn"]):
        return None  # randomness that a model may have on purpose
    return apart <= REPEATS, f"two answers differ by {apart:.1%}"


def _alone(facts: Facts) -> Verdict | None:
    if facts["mixed"]:
        return None  # a rule says whether it is meant
    return True, f"difference {facts['difference']:.1g}"


def _fits(facts: Facts) -> Verdict:
    text = f"{facts['best']:.3g} of {facts['reference']:.3g} left after {facts['steps']} steps"
    return facts["fitted"], text


def _stable(facts: Facts) -> Verdict:
    along, ratio = facts["along"], facts["ratio"]
    text = f"lr x curvature {ratio:.2g} of the limit, {along:.2g} along the gradient"
    return along <= 1 or ratio <= 1, text


def _curved_up(facts: Facts) -> Verdict:
    text = f"sharpest {facts['curvature']:.3g}, lowest {facts['lowest']:.3g}"
    return facts["curvature"] > 0, text


_LOSS = (
    Question("loss", "is it finite?", "L19", "batch", _finite_loss),
    Question("loss", "is it given scores?", "L01 L02 L03 L06 L07"),
    Question("loss", "is it given log-probabilities, if it wants them?", "L04 L05"),
    Question("loss", "do answers and targets have one shape?", "L08"),
    Question("loss", "is it a mean over the rows?", "L09"),
    Question("loss", "does less mean better?", "L12"),
    Question("loss", "can the last layer answer every target?", "L13 L14"),
    Question("loss", "do class weights go with the classes?", "L16"),
    Question("loss", "does it lead back to the parameters?", "L17 L18 T01"),
)
_DATA = (
    Question("inputs", "are all values finite?", "D16", "batch", _finite),
    Question("inputs", "are they of ordinary size?", "D01 D02"),
    Question("inputs", "do they differ from row to row?", "D03"),
    Question("inputs", "are integers still whole?", "D18"),
    Question("inputs", "does the model look at them?", "", "zeroed", _looks),
    Question("labels", "is there more than one?", "", "batch", _several),
    Question("labels", "are they coded as the loss counts them?", "D07"),
    Question("labels", "does the loss suit them?", "L10 L11 L15 L21"),
    Question("labels", "are values of ordinary size?", "D17"),
)
_NET = (
    Question(
        "initialisation", "is the first loss about chance?", "A05 A14", "initial", _first_loss
    ),
    Question("first state", "do answers differ from row to row?", "A13", "initial", _varied),
    Question("first state", "do hidden units differ?", "A04"),
    Question("first state", "do signals keep their size?", "A06 A07"),
    Question(
        "gradients",
        "does one reach every parameter?",
        "A09 A10 A11 T02 T03",
        "batch",
        _all_reached,
    ),
    Question("gradients", "do they keep their size?", "A02 A03"),
    Question("gradients", "does a non-linearity part the layers?", "A01 A12"),
)
_BEHAVIOUR = (
    Question("modes", "are answers in evaluation repeatable?", "R02", "modes", _repeatable),
    Question("modes", "has batch norm values enough?", "N01"),
    Question("modes", "is dropout kept away from batch norm?", "N05"),
    Question("batch mixing", "is each row answered by itself?", "D19", "mixing", _alone),
    Question("fit one batch", "can this batch be fitted?", "A08", "one-batch", _fits),
)
_OPTIMIZER = (
    Question("optimizer", "does it hold all weights?", "O06 O07 O08 O09", optimizer=True),
    Question("optimizer", "are its settings in range?", "O10 O13", optimizer=True),
    Question(
        "step size",
        "does a step keep the loss from rising?",
        "O01",
        "sharpness",
        _stable,
        optimizer=True,
    ),
    Question(
        "step size", "is there curvature to go by?", "", "sharpness", _curved_up, optimizer=True
    ),
)
QUESTIONS = (*_DATA, *_LOSS, *_NET, *_BEHAVIOUR, *_OPTIMIZER)
