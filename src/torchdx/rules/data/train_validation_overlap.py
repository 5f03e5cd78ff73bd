"""train-validation-overlap (D10): a model is judged on rows that it has learned from.

## What is seen
Rows of the validation set had been given to the same model in training before, element by element
the same, far more of them than rows of such data equal each other by chance; and there is no other
set that the model is judged on.

Or the sets take turns: the rows of one set were new to the model when it was judged on them, and it
learned from them later; those of another it had learned from before, and left out while it was
judged on them. That is what the folds of a cross-validation do to one model that goes through all
of them, and what a split drawn anew in each epoch does.
## Why the net does not learn
It may learn, but the run cannot say so: what it remembers counts as what it has understood.
Overfitting does not show, and what is chosen by these numbers (epoch, step size, model) is chosen
by how well it remembers.
## When this is wrong
Rows of little information (few columns, short texts) equal each other by chance: then almost equal
rows are commoner still, and this rule is silent; as it is on training rows judged beside a proper
set. To judge the very data set that is learned from is often meant so: that is a note. Folds of a
cross-validation are new models, or weights that are put back or drawn anew: what came before is
then forgotten here too. Tasks that are learned one after another share no rows, and two folds are
not told from them: at least half as many rows must have come back as with three folds.
## What to try
Split before anything is drawn, doubled or balanced; split by group (patient, author, recording)
where rows of one are alike. With folds, make the model and the optimizer inside the loop over them.
## Sources
deepchecks, "train test samples mix"; Kapoor & Narayanan 2023 (doi 10.1016/j.patter.2023.100804), on
leakage in seventeen fields; imbalanced-learn's user guide, "common pitfalls": resampling before the
split.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Json, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.data.judged_rows import Judged, judged

# Share of the judged rows. Healthy programs: 0, and 0.025 on iris, which has a row twice; programs
# whose sets overlap: 0.29 and 0.73, limited by how many learned rows are known.
SHARE = 0.1
FEWEST = 10  # rows
CLEAN = 0.03  # share below which another set counts as a proper one; iris again
CALLS = 0.1  # share of such batches within a set: one line may judge several
WHOLE = 0.5  # share of the learned rows that are judged: above it the whole set is meant
# Rows that are nearly equal, over rows that are equal. Copies: 0. Tables of few small whole numbers
# have several near rows to each equal one.
NEAR = 0.25
# Of judged batches, with a backward pass since the one before: 1 for a teacher that is asked about
# each batch of its student; one over the batches of a pass where a set is judged in passes.
BY_TURNS = 0.9
RECURRING = 0.9  # of the rows in two passes: a set is held ready, not met on the way
# That none of the later batches held a row of a set, if each held one as often as those before.
CHANCE = 1e-4  # own choice
BATCHES = 20  # before: so many steps are sampled at first in any run
# Of the rows learned from while a set is left out, those that had come before. Three folds: 0.5 (of
# two thirds, one is what was left out last); two folds, and tasks one after another: 0.
CAME_BACK = 0.25


@rule("D10", "train-validation-overlap")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first model that is judged on its own rows."""
    folds = next(filter(None, map(_in_turn, record.of("turns")[::-1])), None)
    if folds is not None:
        yield folds
        return
    sets = [s for s in judged(record, _until(record)) if _validates(s)]
    for suspect in sets:
        own = [other for other in sets if other.model == suspect.model]
        if not _shared(suspect) or any(_share(other) <= CLEAN for other in own):
            continue
        if suspect.facts["set"] in {phase.loader for phase in record.phases if phase.steps}:
            yield _whole(suspect)
        elif suspect.facts["covered"] < WHOLE:
            yield _finding(suspect)
        return


def _in_turn(event: Event) -> Finding | None:
    """What is to be said of sets that were left out in turn."""
    turns = event.facts["turns"]
    spent = [turn for turn in turns if _left_out(turn)]
    joined = [turn["joined"] for turn in turns if turn["fresh"] and turn not in spent]
    if not spent or max(joined, default=0) < FEWEST:
        return None
    worst = max(spent, key=lambda turn: turn["learned"] / turn["rows"])
    share = worst["learned"] / worst["rows"]
    return Finding(
        text=f"the model is judged on {len(turns)} sets of rows in turn, and trained on the others "
        f"with the same weights: {worst['learned']} of the {worst['rows']} rows judged after step "
        f"{worst['at']} had been learned from before: the scores tell how well it remembers",
        line=event.line,
        place=event.facts["model"],
        severity="fault",
        evidence=(
            Evidence("share of the judged rows that were learned from", share, SHARE),
            Evidence(
                "batches that held some of them, of those until they were left out",
                f"{worst['hits']} of {worst['before']}",
                f"0 of {worst['since']} since",
            ),
        ),
        prescriptions=(
            Prescription(
                "fresh_model",
                "make the model and the optimizer anew inside the loop over the folds",
            ),
        ),
    )


def _left_out(turn: Json) -> bool:
    """Whether rows that had been learned from were kept out of training when they were judged."""
    if turn["learned"] < max(FEWEST, SHARE * turn["rows"]) or turn["before"] < BATCHES:
        return False
    missed = (1 - turn["hits"] / (turn["before"] + 1)) ** turn["since"]
    return bool(missed <= CHANCE and turn["again"] >= CAME_BACK)


def _until(record: Record) -> float:
    """The step at which another optimizer took weights over: maybe for another fold."""
    later = [o.step for o in record.optimizers.values() if o.trained]
    return min(later, default=float("inf"))


def _validates(one: Judged) -> bool:
    """Whether rows are judged for the sake of a score: acting, target and teaching nets are not."""
    recurring = one.facts["recurring"]
    if recurring is None:
        by_turns = one.facts.get("alternating", 0.0) >= BY_TURNS
        return bool(one.facts.get("labelled", 0)) and not by_turns
    return bool(recurring >= RECURRING)


def _share(one: Judged) -> float:
    return float(one.facts["shared"] / max(1, one.facts["rows"]))


def _shared(one: Judged) -> bool:
    """Whether its rows are the learned ones, and not merely like them."""
    if one.facts["shared"] < FEWEST or _share(one) < SHARE:
        return False
    equal, near, clean = (one.facts.get(name) for name in ("equal", "near", "clean"))
    if equal is None or near is None or (clean or 0) > CALLS:
        return False
    return float(near) <= NEAR * float(equal)


def _whole(one: Judged) -> Finding:
    return Finding(
        text="the model is judged only on the rows that it learns from: nothing says how it does "
        "on others",
        line=one.line,
        place=one.model,
        severity="note",
    )


def _finding(one: Judged) -> Finding:
    facts = one.facts
    return Finding(
        text=f"{facts['shared']} of the {facts['rows']} different rows that the model is judged on "
        f"are rows that it had learned from before ({facts['known']} of those are known): the "
        f"scores tell how well it remembers",
        line=one.line,
        place=one.model,
        severity="fault",
        evidence=(
            Evidence("share of the judged rows that were learned from", _share(one), SHARE),
            Evidence(
                "share of the judged rows that nearly equal a learned one",
                facts["near"],
                NEAR * facts["equal"],
            ),
        ),
        prescriptions=(
            Prescription("split", "split first, then draw, double or balance rows in one part"),
        ),
    )
