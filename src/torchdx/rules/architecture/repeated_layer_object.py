"""repeated-layer-object (A12): a list of layers holds one and the same layer several times.

## What is seen
A container of modules has one module with parameters under several names, put there by the user's
program, and the loss graph passes through its parameters as often.
## Why the net does not learn
`[layer] * n` repeats a reference: there is one set of weights, not n. The net has fewer parameters
than it seems, and all places pull at the same ones.
## When this is wrong
Weights shared on purpose (a universal transformer, one head for every level): the graph looks the
same, so this is never more than a suspicion. Models of libraries that share so are passed over.
## What to try
`nn.ModuleList([make_layer() for _ in range(n)])`, or `copy.deepcopy` of a first layer.
## Sources
The Python FAQ, "How do I create a multidimensional list?"; Dehghani et al. 2019 (sharing on
purpose).
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

CONTAINERS = frozenset({"ModuleList", "ModuleDict", "Sequential"})


@rule("A12", "repeated-layer-object")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each container."""
    told: set[str] = set()
    for event in record.of("same-object"):
        facts = event.facts
        if facts["holder"] not in CONTAINERS or not facts["by_user"] or facts["place"] in told:
            continue
        if _uses(record, facts["params"]) >= len(facts["names"]):
            told.add(facts["place"])
            yield _finding(event)


def _uses(record: Record, names: list[str]) -> int:
    """How often one loss applies the layer: most uses of any of its parameters."""
    graphs = record.graphs.values()
    return max((len(graph.users_of(name)) for graph in graphs for name in names), default=0)


def _finding(event: Event) -> Finding:
    facts = event.facts
    times, cls, held = len(facts["names"]), facts["cls"], len(facts["params"])
    return Finding(
        text=f"{facts['place'] or facts['holder']} holds one {cls} {times} times: its {held} "
        f"parameters stand for the {held * times} of {times} layers",
        line=event.line,
        place=facts["place"],
        severity="suspicion",
        confirm="whether the layers are to share their weights",
        evidence=(Evidence(f"different {cls} objects among {times}", 1, times),),
        prescriptions=(
            Prescription(
                "construction",
                f"make a {cls} for each place: `[make() for _ in range({times})]`",
                where=facts["place"],
            ),
        ),
    )
