"""From single answers to one diagnosis: causes first, their symptoms silenced."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torchdx.record.model import Record
from torchdx.rules.base import (
    CONFIDENCES,
    FAMILIES,
    SEVERITIES,
    Answer,
    Finding,
    Rule,
    Unclear,
    all_rules,
)


@dataclass(frozen=True)
class Diagnosis:
    """What all rules say of a run.

    findings   root first
    silenced   (symptom, code of the finding that explains it)
    chains     code of a finding -> the codes that follow from it, each from the one before
    unclear    what could not be judged
    checked    (code, name, outcome) of every rule, outcome one of `found`, `explained`,
               `unclear`, `not found`
    """

    findings: tuple[Finding, ...]
    silenced: tuple[tuple[Finding, str], ...]
    unclear: tuple[Unclear, ...]
    checked: tuple[tuple[str, str, str], ...]
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def sick(self) -> bool:
        """Whether anything beyond notes was found."""
        return any(finding.severity != "note" for finding in self.findings)


def diagnose(record: Record, *, live: bool = False) -> Diagnosis:
    """Ask every rule. `live`: the run goes on, so that only certain facts are told."""
    rules = {rule.code: rule for rule in all_rules()}
    answers = [answer for rule in rules.values() for answer in _ask(rule, record)]
    found = [answer for answer in answers if isinstance(answer, Finding)]
    if live:
        found = [finding for finding in found if finding.severity == "fault"]
    kept, silenced = _silence(found, rules)
    unclear = tuple(answer for answer in answers if isinstance(answer, Unclear))
    ranked = tuple(sorted(kept, key=_rank))
    outcomes = dict.fromkeys((answer.code for answer in unclear), "unclear")
    outcomes |= dict.fromkeys((finding.code for finding, _ in silenced), "explained")
    outcomes |= dict.fromkeys((finding.code for finding in kept), "found")
    checked = tuple((r.code, r.name, outcomes.get(r.code, "not found")) for r in rules.values())
    chains = {f.code: chain for f in ranked if (chain := _chain(f.code, found, rules))}
    return Diagnosis(ranked, tuple(silenced), unclear, checked, chains)


def _ask(rule: Rule, record: Record) -> list[Answer]:
    """What one rule says; a rule that fails says that it cannot tell."""
    try:
        return list(rule.answers(record))
    except Exception as error:  # noqa: BLE001  # the other rules have their say
        because = f"an error of torchdx's own: {type(error).__name__}: {error}"
        return [Unclear(because, code=rule.code, name=rule.name)]


def _silence(
    found: list[Finding], rules: dict[str, Rule]
) -> tuple[list[Finding], list[tuple[Finding, str]]]:
    """Part symptoms from causes. A note silences nothing."""
    causes = {f.code for f in found if f.severity != "note"}
    kept, silenced = [], []
    for finding in found:
        cause = next((c for c in sorted(causes) if _explains(rules, c, finding.code)), None)
        if cause is None:
            kept.append(finding)
        else:
            silenced.append((finding, cause))
    return kept, silenced


def _explains(rules: dict[str, Rule], cause: str, symptom: str) -> bool:
    """Whether one is only a symptom of the other; two that say so of each other both stay."""
    return symptom in rules[cause].silences and cause not in rules[symptom].silences


def _chain(root: str, found: list[Finding], rules: dict[str, Rule]) -> tuple[str, ...]:
    """The longest way from a cause through what it explains."""
    codes = {f.code for f in found if f.severity != "note"}

    def longest(code: str, behind: frozenset[str]) -> tuple[str, ...]:
        following = (rules[code].silences & codes) - behind
        ways = ((s, *longest(s, behind | {s})) for s in sorted(following))
        return max(ways, key=len, default=())

    return longest(root, frozenset({root}))


def _rank(finding: Finding) -> tuple[int, int, int, str]:
    severity = SEVERITIES.index(finding.severity)
    confidence = CONFIDENCES.index(finding.confidence)
    return severity, confidence, FAMILIES.find(finding.code[0]), finding.code
