"""scrambled-layout (D19): a change of shape stands where axes should have been exchanged.

## What is seen
A copy of the model, in evaluation mode, is given a batch of which half the rows are replaced: the
answers for the other half change. Followed through the forward, rows meet for the first time at or
behind a `view` or `reshape` that tears them apart: parts of several rows stand in one row of its
result. Or a recurrence or an attention without `batch_first=True` runs along the rows of the batch.
## Why the net does not learn
`view` reads the elements in the order in which they lie in memory and cuts them anew; it exchanges
no axes. Each answer is computed from pieces of several rows, while its label belongs to one.
## When this is wrong
Nets in which rows should meet (attention over the batch, graphs, bags of instances, batch norm in
training mode, contrastive losses) have no such change of shape, and are passed over. A batch that
is one long sequence, in a net that knows that, is passed over when its second axis is 1 long.
## What to try
`permute` or `transpose` (then `reshape`, if one is needed); for recurrences and attention,
`batch_first=True`.
## Sources
PyTorch forum 77192, 75524; PySIAssist's pattern view against permute; documentation of
`torch.Tensor.view`; Karpathy 2019 (a recipe for training neural networks) on gradients between
rows; docs/limits.md, D19.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.normalisation.norms import joined

_MODULES = {"multi_head_attention_forward": "attention", "lstm": "LSTM", "gru": "GRU"}


@rule("D19", "scrambled-layout")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first model whose rows are torn."""
    for event in record.probes("mixing"):
        if not event.facts["mixed"]:
            continue
        if event.facts["layout"] is not None:
            yield _torn(record, event)
            return
        if event.facts["along"]:
            yield _along(record, event)
            return


def _torn(record: Record, event: Event) -> Finding:
    facts, layout = event.facts, event.facts["layout"]
    before, after = (tuple(layout[name]) for name in ("before", "after"))
    return Finding(
        text=f"{layout['function']} makes {after} out of {before}: it tears the {facts['rows']} "
        f"rows of the batch apart, so that the answer for a row depends on other rows",
        line=record.line(layout["place"]) or record.line(facts["place"]) or event.line,
        place=facts["model"],
        evidence=_evidence(event),
        prescriptions=(
            Prescription(
                "permute",
                f"exchange axes with permute or transpose instead of {layout['function']}",
                to="permute",
            ),
        ),
    )


def _along(record: Record, event: Event) -> Finding:
    facts = event.facts
    what = _MODULES.get(facts["function"], "recurrence")
    return Finding(
        text=f"the {what} takes the {facts['rows']} rows of the batch for positions of a sequence: "
        f"the answer for a row depends on other rows",
        line=record.made(joined(facts["model"], facts["path"]))
        or record.line(facts["place"])
        or event.line,
        place=joined(facts["model"], facts["path"]),
        severity="suspicion",
        confirm="with batch_first=True, or axes 0 and 1 exchanged, the loss falls further",
        evidence=_evidence(event),
        prescriptions=(
            Prescription(
                "batch_first",
                f"make the {what} with batch_first=True",
                where=joined(facts["model"], facts["path"]),
                to="True",
            ),
        ),
    )


def _evidence(event: Event) -> tuple[Evidence, ...]:
    facts = event.facts
    what = "change of a row's answer when other rows are exchanged, relative"
    return (
        Evidence(what, facts["difference"], 0.0),
        Evidence("function of torch at which rows meet", facts["function"]),
    )
