"""What was found: every finding with its evidence, its code and what to do about it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypedDict

from torchdx.record.model import Record
from torchdx.report.view.numbers import short
from torchdx.report.view.signals import BEST_SEEN, USUAL
from torchdx.report.view.source import Code, code_of
from torchdx.rules.base import Finding, find_rule
from torchdx.rules.ranking import Diagnosis


class Measured(TypedDict):
    """A value beside what it was held against; `times` where both are positive numbers."""

    what: str
    value: float | int | str
    against: float | int | str | None
    times: float | None


class Told(TypedDict):
    """A finding.

    page   the rule's page as (heading, paragraphs); `chain` the codes and names that follow from it
    signal the signal of layers in which it is seen best
    """

    code: str
    name: str
    title: str
    severity: str
    confidence: str
    text: str
    place: str
    step: int | None
    source: Code | None
    evidence: list[Measured]
    excluded: list[dict[str, Any]]
    prescriptions: list[str]
    confirm: str
    chain: list[tuple[str, str]]
    signal: str
    page: list[tuple[str, list[str]]]


class Verdict(TypedDict):
    """All that the rules say, root first."""

    findings: list[Told]
    explained: list[dict[str, str]]
    unclear: list[dict[str, str]]
    checked: list[tuple[str, str, str]]
    enough: bool


FEW = 3  # backward passes below which most rules have seen too little


def verdict_of(record: Record, diagnosis: Diagnosis, *, source: bool) -> Verdict:
    """What was found in a run; without `source` no line of the program is told."""
    names = {code: name for code, name, _ in diagnosis.checked}
    return Verdict(
        findings=[_told(record, diagnosis, f, names, source=source) for f in diagnosis.findings],
        explained=[
            {"code": f.code, "name": f.name, "text": f.text, "by": by}
            for f, by in diagnosis.silenced
        ],
        unclear=[asdict(answer) for answer in diagnosis.unclear],
        checked=list(diagnosis.checked),
        enough=record.backwards >= FEW and not record.failure,
    )


def _told(
    record: Record,
    diagnosis: Diagnosis,
    finding: Finding,
    names: Mapping[str, str],
    *,
    source: bool,
) -> Told:
    rule = find_rule(finding.code)
    chain = [finding.code, *diagnosis.chains.get(finding.code, ())]
    return Told(
        code=finding.code,
        name=finding.name,
        title=rule.title,
        severity=finding.severity,
        confidence=finding.confidence,
        text=finding.text,
        place=finding.place,
        step=next((f.get("step") for f in record.findings if f["code"] == finding.code), None),
        source=code_of(finding.line, record.meta.get("folder", ""), source=source),
        evidence=[_measured(e.what, e.value, e.against) for e in finding.evidence],
        excluded=[
            {**_measured(e.what, e.value, e.against), "code": e.code, "name": names.get(e.code, "")}
            for e in finding.excluded
        ],
        prescriptions=[p.text for p in finding.prescriptions],
        confirm=finding.confirm,
        chain=[(code, names.get(code, "")) for code in chain] if len(chain) > 1 else [],
        signal=BEST_SEEN.get(finding.code, USUAL),
        page=list(_page(rule.page)),
    )


def _measured(what: str, value: float | str, against: float | str | None) -> Measured:
    told, held = _plain(value), _plain(against)
    numbers = [n for n in (told, held) if isinstance(n, int | float) and n > 0]
    times = numbers[0] / numbers[1] if len(numbers) == 2 else None  # noqa: PLR2004
    shortened = None if times is None else short(times, 3)
    return Measured(
        what=what,
        value="" if told is None else told,
        against=held,
        times=shortened if isinstance(shortened, int | float) else None,
    )


def _plain(value: float | str | None) -> float | int | str | None:
    return short(value) if isinstance(value, float) else value


def _page(text: str) -> Iterator[tuple[str, list[str]]]:
    """The parts of a rule's page below its first line."""
    heading, lines = "", list[str]()
    for line in [*text.splitlines()[1:], "## "]:
        if not line.startswith("## "):
            lines.append(line)
            continue
        if heading:
            yield heading, _paragraphs(lines)
        heading, lines = line.removeprefix("## "), []


def _paragraphs(lines: Sequence[str]) -> list[str]:
    """Blocks between empty lines, each on one line; those set in by four spaces as they are."""
    blocks = [block for block in "\n".join(lines).split("\n\n") if block.strip()]
    return [block if block.startswith("    ") else " ".join(block.split()) for block in blocks]
