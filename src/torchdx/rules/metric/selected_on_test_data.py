"""selected-on-test-data (M05): the rows that the last score is told for had chosen the model.

## What is seen
One of two. After training, the model took optimizer steps without labels on the very rows that it
is scored on afterwards, in all of its layers: it was adapted to them. Or the state that is restored
at the end is the best of several by one set of rows, the score that is told last is for the same
rows, and no others were ever judged.
## Why the net does not learn
It does; the score is not that of new data. The best of many scores is too high by about the scatter
of a score, and rows that a model was adapted to are answered better than their like.
## When this is wrong
The best validation score is often told as such, and is no more than that: a note. It is a
suspicion where a data loader was made that was never read, as if another set had been meant to do
the choosing. Adapting at test time is a method of its own: where only normalisation layers are
adapted, as published, it is a note; say with the score that the rows were adapted on.
## What to try
Choose, and adapt, on rows that are kept for it; tell the score of rows that chose nothing.
## Sources
Wang et al., "Tent: fully test-time adaptation by entropy minimization" (2021); Cawley and Talbot,
"On over-fitting in model selection" (2010).
"""

import math
from collections.abc import Iterator

from torchdx.record.model import Event, Phase, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

INSIDE, OUTSIDE = 0.9, 0.1  # shares of a source's rows that are judged: nearly all, hardly any
ROWS = 20  # rows of a source below which shares say little
SCORES = 4  # scores of which the best is noticeably more than one of them


@rule("M05", "selected-on-test-data", silences="D10")
def check(record: Record) -> Iterator[Answer]:
    """One finding: adapted, or else chosen."""
    found = next(_adapted(record), None) or next(_chosen(record), None)
    if found is not None:
        yield found


def _adapted(record: Record) -> Iterator[Finding]:
    newest = {(e.facts["model"], e.facts["set"]): e for e in record.of("overlap")}
    labelled = {e.facts["graph"] for e in record.of("targets") if e.facts["loss"] != "soft"}
    for event in newest.values():
        sources = [s for s in event.facts.get("sources", ()) if s["rows"] >= ROWS]
        main = [s for s in sources if s["graph"] in labelled]
        for own in sources:
            inside = own["graph"] not in labelled and own["shared"] >= INSIDE * own["rows"]
            clean = [s for s in main if s["shared"] <= OUTSIDE * s["rows"]]
            after = bool(clean) and all(s["last"] <= own["first"] for s in main)
            if inside and after and event.facts["labelled"]:
                yield _adaptation(record, event, own)


def _adaptation(record: Record, event: Event, own: dict[str, int]) -> Finding:
    norms, others = _moved(record, own)
    before, after = _scores(record, event)
    told = "" if before is None else f", whose accuracy went from {before:.4f} to {after:.4f}"
    meant = norms > 0 and not others
    what = "its normalisation layers" if meant else "all of its layers"
    name = event.facts["model"] or "the model"
    return Finding(
        text=f"after its training {name} was adapted, in {what} and without labels, on "
        f"{own['shared']} of the rows that it is scored on{told}: "
        + ("say so with the score" if meant else "this is not the score of new rows"),
        line=record.line(own["line"]) or event.line,
        place=event.facts["model"],
        severity="note" if meant else "suspicion",
        confidence="strong",
        evidence=(
            Evidence("rows adapted on that are scored", own["shared"], own["rows"]),
            Evidence("parameters adapted beside those of normalisation", others, 0),
        ),
        prescriptions=(
            Prescription("hold_out", "adapt on other rows than those that the score is told for"),
        ),
        confirm="the score after adapting on other rows of the same kind",
    )


def _moved(record: Record, own: dict[str, int]) -> tuple[int, int]:
    """How many parameters the adaptation reaches: of normalisation layers, and others."""
    graph = record.graphs.get(own["graph"])
    leaves = {node.leaf for node in graph.nodes if node.leaf} if graph is not None else set()
    late = [o for o in record.optimizers.values() if o.step >= own["first"] > 0]
    if late:
        leaves &= {name for optimizer in late for name in optimizer.parameters}
    norms = {
        name
        for model in record.models
        for module, names in model.own.items()
        if "Norm" in model.modules.get(module, "")
        for name in names
    }
    return len(leaves & norms), len(leaves - norms)


def _scores(record: Record, event: Event) -> tuple[float | None, float | None]:
    """Accuracy at the line where the rows are judged, before and after the adaptation."""
    own = [p for p in record.phases if p.validation and str(p.line) == str(event.line)]
    known = [p.accuracy for p in own if p.accuracy is not None and p.rows == own[-1].rows]
    return (known[0], known[-1]) if len(known) > 1 else (None, None)


def _chosen(record: Record) -> Iterator[Finding]:
    for load in record.of("load-state-dict"):
        if load.facts["other"] is not None or load.facts["aliased"] or not load.facts["at"]:
            continue
        model, at = load.facts["model"], load.facts["at"]
        judged = [p for p in record.phases if p.validation and p.model == model]
        groups: dict[object, list[Phase]] = {}
        for phase in judged:
            groups.setdefault((phase.loader, phase.rows, phase.line), []).append(phase)
        last = next(iter(groups.values()), [])
        best = _best_kept(record, load, last)
        again = last and last[-1] is judged[-1] and last[-1].at == at
        if len(groups) == 1 and best is not None and again and at == record.backwards:
            yield _selection(record, last, best)


def _best_kept(record: Record, load: Event, phases: list[Phase]) -> Phase | None:
    """The pass whose state was kept, where it is the best of all before."""
    model, at = load.facts["model"], load.facts["at"]
    taken = [e.facts["at"] for e in record.of("state-dict") if e.facts["model"] == model]
    taken = [when for when in taken if 0 < when <= at]
    scored: dict[int, Phase] = {}
    for phase in phases:
        if phase.accuracy is not None or phase.loss is not None:
            scored.setdefault(phase.at, phase)
    kept = scored.get(taken[-1]) if taken else None
    if kept is None or len(scored) < SCORES or len(set(taken)) >= len(scored):
        return None
    others = list(scored.values())
    if kept.accuracy is not None and kept.accuracy >= max(p.accuracy or 0.0 for p in others):
        return kept
    lowest = min(p.loss for p in others if p.loss is not None)
    return kept if kept.loss is not None and kept.loss <= lowest else None


def _selection(record: Record, phases: list[Phase], best: Phase) -> Finding:
    scores = len({p.at for p in phases})
    unread = [n for e in record.of("unread-loaders") for n in e.facts["names"]]
    number = f"the best of {scores} by {best.rows} rows"
    if best.accuracy is not None:
        error = math.sqrt(best.accuracy * (1 - best.accuracy) / best.rows)
        number += f" (accuracy {best.accuracy:.4f}, standard error {error:.4f})"
    aside = f"; `{unread[0]}` was made and never read" if unread else ""
    return Finding(
        text=f"the state that was restored is {number}, and the last score is for the same rows: "
        f"no others were judged{aside}",
        line=best.line,
        place=best.model,
        severity="suspicion" if unread else "note",
        confidence="weak" if unread else "certain",
        evidence=(
            Evidence("scores on the rows of the last score that chose", scores, 0),
            Evidence("other sets judged", 0),
        ),
        prescriptions=(
            Prescription("hold_out", "choose on validation rows, and tell the score of others"),
        ),
        confirm="the score on rows that chose nothing" if unread else "",
    )
