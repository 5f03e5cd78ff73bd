"""carried-state (T05): each backward pass goes back through the graphs of the steps before.

## What is seen
Operations that stood in the loss graph of an earlier step stand in that of a later one, and the
graphs grow from step to step; or the second backward pass of a line failed on such operations.
## Why the net does not learn
It may, but every step goes back to the first: time and memory grow with the number of steps, and
gradients are taken at weights that have changed since, which torch refuses where it notices. An
error there ("backward through the graph a second time", "modified by an inplace operation") is
silenced, not mended, by `retain_graph=True`.
## When this is wrong
Graphs that only differ in size (sentences of rising length, unrolled loops) hold nothing of earlier
steps and are passed over. So are graphs that share operations without growing.
## What to try
Cut the state at the end of a step: `state = state.detach()`; for an LSTM, both of its tensors. Do
not add losses of several steps up with their history.
## Sources
PyTorch forum 113790; Williams & Peng 1990 (truncated backpropagation through time);
`torch.Tensor.backward` on `retain_graph`.
"""

from collections.abc import Iterator
from itertools import pairwise

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# What torch says when a backward pass meets operations of an earlier one.
ERRORS = ("second time", "modified by an inplace operation")

_PRESCRIPTION = Prescription(
    "detach_state", "detach what is carried over from one step to the next"
)


@rule("T05", "carried-state")
def check(record: Record) -> Iterator[Answer]:
    """One finding, for graphs that grew or for the error."""
    grown = [event for event in record.of("growing-graph") if _carries_more(event)]
    if grown:
        yield _of_growth(grown)
        return
    carried = {event.line: event for event in record.of("carried-graph")}
    for error in record.of("backward-failed"):
        event = carried.get(error.line)
        earlier = [g for g in record.graphs.values() if g.backward == error.line]
        if event and len(earlier) > 1 and any(text in error.facts["text"] for text in ERRORS):
            yield _of_error(event, error)
            return


def _carries_more(event: Event) -> bool:
    """Whether each backward pass of a window held more of earlier steps than the one before."""
    return all(a < b for a, b in pairwise(event.facts["carried"][1:]))


def _of_growth(grown: list[Event]) -> Finding:
    first = grown[0]
    sizes, carried = first.facts["sizes"], first.facts["carried"]
    most = max(event.facts["sizes"][-1] for event in grown)
    return Finding(
        text=f"each backward pass goes back through the steps before: in {len(sizes)} steps "
        f"the loss graph grew "
        f"from {sizes[0]} to {sizes[-1]} operations, {carried[-1]} of them from earlier steps "
        f"(largest seen: {most})",
        line=first.line,
        place="loss",
        evidence=(
            Evidence("operations in the loss graph", sizes[-1], sizes[0]),
            Evidence("operations from earlier steps", carried[-1], 0),
        ),
        prescriptions=(_PRESCRIPTION,),
    )


def _of_error(event: Event, error: Event) -> Finding:
    before, size = event.facts["sizes"]
    said = next(text for text in ERRORS if text in error.facts["text"])
    return Finding(
        text=f"backward failed (“{said}”) because the loss graph still holds "
        f"{event.facts['carried']} operations "
        f"of an earlier step: it had {before} operations at the step before and has {size} now",
        line=error.line,
        place="loss",
        evidence=(
            Evidence("operations from earlier steps", event.facts["carried"], 0),
            Evidence("operations in the loss graph", size, before),
        ),
        prescriptions=(_PRESCRIPTION,),
    )
