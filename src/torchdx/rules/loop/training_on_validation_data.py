"""training-on-validation-data (T07): optimizer steps are taken on the validation rows, too.

## What is seen
One of three: a second data loader is gone through between the passes of the first with the model in
evaluation mode, and optimizer steps are taken all the same; or rows that came from a source of
their own were learned from, nearly all of which the model is judged on afterwards, while the main
source has none of these; or a second, unshuffled loader is learned from after each pass over the
shuffled first, by the same lines, and nothing else is judged in between.
## Why the net does not learn
It learns, also what it is judged on. The validation numbers are too good, they choose too long a
training, and only other rows show it.
## When this is wrong
A refit on all rows after the last validation, folds with a fresh model each, and streams where each
row is judged before it is learned from are passed over. Two training sets gone through in turn,
the second in a fixed order and neither validated, look like the third case: it is a weak suspicion.
## What to try
Take `backward()` and `optimizer.step()` in training passes only, and go through the validation
under `torch.no_grad()`.
## Sources
The taxonomy of deep-learning faults (Humbatova et al., 2020): training on validation data.
"""

from collections.abc import Iterator
from itertools import pairwise

from torchdx.graph.model import Line
from torchdx.record.model import Event, Phase, Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule

PASSES = 2  # in evaluation mode with a training pass between: no single odd pass
DENSE = 200  # phases that are recorded one by one (events/loop.py)
TURNS = 3  # times that two loaders are gone through in turn
INSIDE, OUTSIDE = 0.9, 0.1  # shares of a source's rows that are judged: nearly all, hardly any
ROWS = 20  # rows of a source below which shares say little


@rule("T07", "training-on-validation-data", silences="D10 N03")
def check(record: Record) -> Iterator[Answer]:
    """One finding: the surest of the three."""
    for look in (_in_evaluation, _judged_later, _in_turn):
        found = look(record)
        if found is not None:
            yield found
            return


def _in_evaluation(record: Record) -> Finding | None:
    """Steps in passes for which the program had set evaluation mode."""
    passes = [p for p in record.phases if p.steps and p.loader and p.training is not None]
    for loader in dict.fromkeys(p.loader for p in passes):
        own = [p for p in passes if p.loader == loader]
        alike = [p for p in passes if p.loader != loader and p.model == own[0].model]
        others = [p for p in alike if p.training]
        between = any(a.at < o.at < b.at for a, b in pairwise(own) for o in others)
        if len(own) >= PASSES and between and not any(p.training for p in own):
            steps = sum(p.steps for p in own)
            text = (
                f"{steps} optimizer steps were taken in {len(own)} passes over data loader "
                f"{loader} for which the model was in evaluation mode, between the training "
                f"passes over data loader {others[0].loader}: the validation rows are learned from"
            )
            evidence = Evidence("optimizer steps in passes in evaluation mode", steps, 0)
            return _finding(record, own[0], text, evidence, "certain")
    return None


def _judged_later(record: Record) -> Finding | None:
    """Rows of a source of their own, learned from with labels and judged afterwards."""
    newest = {(e.facts["model"], e.facts["set"]): e for e in record.of("overlap")}
    labelled = {e.facts["graph"] for e in record.of("targets") if e.facts["loss"] != "soft"}
    for event in newest.values():
        sources = [s for s in event.facts.get("sources", ()) if s["rows"] >= ROWS]
        own = [s for s in sources if s["graph"] in labelled and s["shared"] >= INSIDE * s["rows"]]
        main = [s for s in sources if s["shared"] <= OUTSIDE * s["rows"]]
        if not own or not main or not _judged_most(event, list(newest.values())):
            continue
        source, other = own[0], max(main, key=lambda s: s["rows"])
        if other["last"] > source["first"] and other["rows"] >= source["rows"]:
            text = (
                f"{source['shared']} of {event.facts['rows']} rows that the model is judged on "
                "had been learned from before, all from a source of their own beside the "
                f"{other['rows']} other training rows"
            )
            line = record.line(source["line"]) or event.line
            evidence = Evidence("judged rows learned from", source["shared"], 0)
            return Finding(
                text=text,
                line=line,
                place=event.facts["model"],
                severity="suspicion",
                confidence="strong",
                evidence=(evidence,),
                excluded=(Excluded("D10", "main rows among them", other["shared"], other["rows"]),),
                prescriptions=_PRESCRIPTIONS,
                confirm="rows that were never learned from are judged worse",
            )
    return None


def _judged_most(event: Event, others: list[Event]) -> bool:
    """Whether no set without learned rows is judged as often: these are not its training rows."""
    same = [e.facts for e in others if e.facts["model"] == event.facts["model"]]
    return all(f["passes"] < event.facts["passes"] for f in same if not f["shared"])


def _in_turn(record: Record) -> Finding | None:
    """A shuffled and an unshuffled loader that the same lines learn from in turn."""
    passes = [p for p in record.phases[:DENSE] if p.steps and p.loader and p.complete]
    if len({p.model for p in passes}) != 1 or len({p.line for p in passes}) != 1:
        return None
    main, second = passes[::2], passes[1::2]
    turns = len(second)
    if turns < TURNS or len({p.loader for p in main}) != 1 or len({p.loader for p in second}) != 1:
        return None
    alike = main[0].loader != second[0].loader and second[0].batches < main[0].batches
    ordered = all(p.shuffled for p in main) and not any(p.shuffled for p in second)
    if not alike or not ordered or _judged_between(record, passes):
        return None
    steps = sum(p.steps for p in second)
    text = (
        f"{steps} optimizer steps were taken in {turns} passes over data loader "
        f"{second[0].loader}, unshuffled and after each pass over the training loader; nothing "
        "else was judged in between: as a validation would be, but learned from"
    )
    evidence = Evidence("optimizer steps in passes over the second loader", steps, 0)
    return _finding(record, second[0], text, evidence, "weak")


def _judged_between(record: Record, passes: list[Phase]) -> bool:
    """Whether anything was judged before the last of these passes began."""
    return any(p.validation and passes[0].at < p.at <= passes[-1].at for p in record.phases)


def _finding(
    record: Record, phase: Phase, text: str, evidence: Evidence, confidence: str
) -> Finding:
    sure = confidence == "certain"
    return Finding(
        text=text,
        line=_step_line(record) or phase.line,
        place=phase.model,
        severity="fault" if sure else "suspicion",
        confidence="certain" if sure else "weak",
        evidence=(evidence,),
        prescriptions=_PRESCRIPTIONS,
        confirm="" if sure else "whether the rows of the second loader are meant to be learned",
    )


def _step_line(record: Record) -> Line | None:
    """Where the commonest step is taken."""
    for optimizer in record.optimizers:
        for shape, _ in record.shapes_of(optimizer):
            return shape.events[-1][1]
    return None


_PRESCRIPTIONS = (
    Prescription(
        "split_loops", "take backward() and optimizer.step() in training passes only", to="no_grad"
    ),
)
