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
               `unclear`, `not found`; the last only where the run was watched to its end
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
    explained = _explained(found, rules)
    kept, silenced = _silence(found, explained)
    unclear = tuple(answer for answer in answers if isinstance(answer, Unclear))
    ranked = tuple(sorted(kept, key=_rank))
    outcomes = dict.fromkeys((answer.code for answer in unclear), "unclear")
    outcomes |= dict.fromkeys((finding.code for finding, _ in silenced), "explained")
    outcomes |= dict.fromkeys((finding.code for finding in kept), "found")
    otherwise = "unclear" if record.failure else "not found"
    checked = tuple((r.code, r.name, outcomes.get(r.code, otherwise)) for r in rules.values())
    chains = {f.code: chain for f in ranked if (chain := _chain(f.code, explained))}
    return Diagnosis(ranked, tuple(silenced), unclear, checked, chains)


def _ask(rule: Rule, record: Record) -> list[Answer]:
    """What one rule says; a rule that fails says that it cannot tell."""
    try:
        return list(rule.answers(record))
    except Exception as error:  # noqa: BLE001  # the other rules have their say
        because = f"an error of torchdx's own: {type(error).__name__}: {error}"
        return [Unclear(because, code=rule.code, name=rule.name)]


Explained = Mapping[str, frozenset[str]]


def _explained(found: list[Finding], rules: dict[str, Rule]) -> Explained:
    """What each cause among the findings explains of the others; never in a circle.

    A note explains nothing. Where causes would explain one another, round several corners too, only
    the surer explains the less sure; of equally sure ones both stay.
    """
    sure: dict[str, tuple[int, int]] = {}
    for finding in found:
        sure[finding.code] = min(sure.get(finding.code, _surety(finding)), _surety(finding))
    causes = {f.code for f in found if f.severity != "note"}
    said = {code: rules[code].silences & frozenset(sure) for code in causes}
    behind = {code: _reached(code, said) for code in causes}
    return {
        code: frozenset(
            symptom
            for symptom in symptoms
            if code not in behind.get(symptom, ()) or sure[code] < sure[symptom]
        )
        for code, symptoms in said.items()
    }


def _reached(code: str, said: Explained) -> set[str]:
    """What follows from a cause, from its symptoms, and so on."""
    found: set[str] = set()
    waiting = [code]
    while waiting:
        following = said.get(waiting.pop(), frozenset()) - found
        found |= following
        waiting.extend(following)
    return found


def _silence(
    found: list[Finding], explained: Explained
) -> tuple[list[Finding], list[tuple[Finding, str]]]:
    """Part symptoms from causes."""
    kept, silenced = [], []
    for finding in found:
        cause = next((c for c in sorted(explained) if finding.code in explained[c]), None)
        if cause is None:
            kept.append(finding)
        else:
            silenced.append((finding, cause))
    return kept, silenced


def _chain(root: str, explained: Explained) -> tuple[str, ...]:
    """The longest way from a cause through what it explains and is a cause itself."""
    following = explained.get(root, frozenset()) & explained.keys()
    ways = ((s, *_chain(s, explained)) for s in sorted(following))
    return max(ways, key=len, default=())


def _surety(finding: Finding) -> tuple[int, int]:
    return SEVERITIES.index(finding.severity), CONFIDENCES.index(finding.confidence)


def _rank(finding: Finding) -> tuple[int, int, int, str]:
    severity, confidence = _surety(finding)
    return severity, confidence, FAMILIES.find(finding.code[0]), finding.code
