"""Keeps a sample of the rows that models learn from and are judged on, for other instruments.

Of each row an even sample of at most `FEATURES` elements is taken on its device, in sampled steps
and in validation; it is read at the next flush. No row leaves this process.
"""

import weakref
from dataclasses import dataclass, field
from typing import Any

import torch

from torchdx.events.glimpse import Call, Glimpse
from torchdx.events.loop import Loop
from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.graph.heads import Head
from torchdx.instruments.tensors import plain, unseen
from torchdx.instruments.turns import Turns, few_weights

FEATURES = 256  # elements of each row
ROWS = 2_000  # rows kept of each table, with their features
DIGESTS = 20_000  # rows known again in each table
FEW = 8  # rows of a batch below which no share of it is taken
PENDING = 64  # batches that wait to be read together
_PASS_ROWS = 500  # rows taken of each validation pass after the table is full
_NOT_INPUTS = frozenset({"labels", "label", "target", "targets", "attention_mask"})


@dataclass
class Batch:
    """Rows as they were given to a model, before they are read.

    rows     (rows, features) as given; labels (rows,) or (rows, outputs), None where unknown
    shape    of one row; dtype of the input
    at       optimizer steps done
    derived  whether another model has made the rows
    weights  some of the model's own by then, None where they were not taken
    """

    rows: torch.Tensor
    labels: torch.Tensor | None
    shape: tuple[int, ...]
    dtype: str
    at: int
    line: int | None
    derived: bool = False
    loader: int = 0
    weights: torch.Tensor | None = None


@dataclass
class Source:
    """Where rows came from: the rows, and the optimizer steps done when the first and last came."""

    first: int
    last: int
    digests: set[int] = field(default_factory=set)


@dataclass
class Table:
    """The rows of one role: those that a model learns from, or one set that it is judged on.

    features, labels   (n, features) float32, and (n,) or (n, outputs) or None; the first `ROWS`
    digests            row -> how often it came
    answered           row -> its first label; rows came `again` and had another label `conflicts`
                       times
    passes             for a judged set: steps done -> the digests of that pass, in order
    labelled           for a judged set: steps done -> its labels in the same order
    learned_before     for a judged set: its rows that the model had learned from before;
                       `shares`: steps done, and the share of such rows, of each batch
    derived            batches whose rows another model had made
    sources            (data loader, line of the model's call) -> the rows that came from there
    sums               count, sum and sum of squares, minimum and maximum of each feature
    calls              for a judged set: how often it was judged; `alternating`: of these, those
                       with a backward pass since the one before (`backwards` were done by then)
    """

    role: str
    path: str
    kind: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    line: int | None = None
    number: int = 0
    features: list[torch.Tensor] = field(default_factory=list)
    labels: list[torch.Tensor] = field(default_factory=list)
    digests: dict[int, int] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    again: int = 0
    conflicts: int = 0
    batches: list[tuple[int, int]] = field(default_factory=list)
    passes: dict[int, list[int]] = field(default_factory=dict)
    labelled: dict[int, list[float]] = field(default_factory=dict)
    learned_before: set[int] = field(default_factory=set)
    shares: list[tuple[int, float]] = field(default_factory=list)
    derived: int = 0
    sources: dict[tuple[int, int], Source] = field(default_factory=dict)
    rows: int = 0
    kept: int = 0
    nonfinite: int = 0
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    calls: int = 0
    alternating: int = 0
    backwards: int = 0

    def matrix(self) -> torch.Tensor:
        """The kept rows, (n, features)."""
        return torch.cat(self.features) if self.features else torch.empty(0, 0)

    def answers(self) -> torch.Tensor | None:
        """Their labels, where every kept row has one."""
        if not self.labels or sum(map(len, self.labels)) != self.kept:
            return None
        return torch.cat(self.labels)


class Batches(Quiet):
    """Fills the tables."""

    def __init__(self, recorder: Recorder, loop: Loop) -> None:
        self._recorder, self._loop = recorder, loop
        self._pending: list[tuple[Table, Batch]] = []
        self.tables: dict[tuple[str, str, int], Table] = {}
        self.turns: dict[str, Turns] = {}
        self._paths: set[str] = set()
        self._judging: tuple[str, int, int] | None = None
        self._last: tuple[str, Any, int] | None = None

    def learned(self, glimpse: Glimpse) -> None:
        """Take the rows that the loss of a sampled step was computed from."""
        entry = _entry(glimpse)
        if entry is None:
            return
        self._paths.add(entry.path)
        table = self._table("learned", entry.path, glimpse.graph, entry.line)
        labels = None if glimpse.head is None else _labels(glimpse.head)
        if glimpse.head is not None:
            table.kind = glimpse.head.kind
        self._take(table, entry, labels, glimpse.step - 1)

    def judged(self, call: Call, step: int) -> None:
        """Take the rows of a validation, of a model that has learned."""
        derived = self._derived(call)
        if call.path not in self._paths:
            return
        table = self._table("judged", call.path, call.loader or -(call.line or 0), call.line)
        self._count(table)
        if table.kept >= ROWS and len(table.passes.get(step, ())) >= _PASS_ROWS:
            return
        labels = None if call.labels is None else call.labels.detach().clone()
        if labels is not None:
            table.kind = "values" if labels.is_floating_point() else "classes"
        self._take(table, call, labels, step, derived=derived)

    def _count(self, table: Table) -> None:
        before, table.backwards = table.backwards, self._loop.backwards
        table.alternating += bool(table.calls) and before != table.backwards
        table.calls += 1

    def flush(self) -> None:
        """Read what waits."""
        pending, self._pending = self._pending, []
        for table, batch in pending:
            with unseen():
                self._add(table, batch)

    def learned_tables(self) -> list[Table]:
        """The tables that models learned from, by graph."""
        return [t for t in self.tables.values() if t.role == "learned" and t.rows]

    def judged_tables(self) -> list[Table]:
        """The sets that models were judged on."""
        return [t for t in self.tables.values() if t.role == "judged" and t.rows]

    def _table(self, role: str, path: str, number: int, line: int | None) -> Table:
        key = role, path, number
        if key not in self.tables:
            self.tables[key] = Table(role, path, line=line, number=number)
        return self.tables[key]

    def _derived(self, call: Call) -> bool:
        """Whether the rows are what another model has just answered."""
        given, last = input_of(call), self._last
        output = call.output if isinstance(call.output, torch.Tensor) else None
        if output is not None:
            self._last = call.path, weakref.ref(output), output.numel()
        if given is None or last is None or last[0] == call.path:
            return False
        return last[1]() is given or last[2] == given.numel()

    def _add(self, table: Table, batch: Batch) -> None:
        digests = _add(table, batch)
        turns = self.turns.setdefault(table.path, Turns())
        if table.role == "learned":
            turns.learned(digests, batch.weights)
        else:
            turns.judged(table.number, batch.at, digests, batch.weights)
            own = [t for t in self.learned_tables() if t.path == table.path]
            before = [d for d in digests if any(d in t.digests for t in own)]
            table.learned_before.update(before)
            if len(digests) >= FEW:
                table.shares.append((batch.at, len(before) / len(digests)))

    def _take(
        self,
        table: Table,
        call: Call,
        labels: torch.Tensor | None,
        step: int,
        *,
        derived: bool = False,
    ) -> None:
        given = input_of(call)
        if given is None:
            return
        with unseen():
            flat = given.detach().reshape(len(given), -1)
            rows = flat[:, :: max(1, flat.shape[1] // FEATURES)][:, :FEATURES].clone()
        if labels is not None and len(labels) != len(given):
            labels = None
        shape, dtype = tuple(given.shape[1:]), str(given.dtype).removeprefix("torch.")
        judging = None if table.role == "learned" else (table.path, table.number, step)
        again, self._judging = judging is not None and judging == self._judging, judging
        weights = None if again else few_weights(call.model)
        batch = Batch(rows, labels, shape, dtype, step, call.line, derived, call.loader, weights)
        self._pending.append((table, batch))
        if len(self._pending) >= PENDING:
            self.flush()


def input_of(call: Call) -> torch.Tensor | None:
    """The tensor that a model's call is about: the first with rows among its arguments."""
    named = [value for name, value in call.kwargs.items() if name not in _NOT_INPUTS]
    for value in [*call.args, *named]:
        for tensor in value.values() if isinstance(value, dict) else [value]:
            if _usable(tensor):
                return tensor  # type: ignore[no-any-return]
    return None


def _entry(glimpse: Glimpse) -> Call | None:
    """The first call that took data, or else the first of as many rows as the loss.

    An agent asks its net for an action with one observation before it learns from many.
    """
    first, head = glimpse.entry, glimpse.head
    if first is None or head is None or _rows_of(first) == len(head.given):
        return first
    own = (call for call in glimpse.calls if call.path == first.path and not call.follows)
    return next((call for call in own if _rows_of(call) == len(head.given)), first)


def _rows_of(call: Call) -> int:
    given = input_of(call)
    return 0 if given is None else len(given)


def _usable(value: Any) -> bool:
    return plain(value) and value.dim() > 0 and value.numel() > 0 and not value.dtype.is_complex


def _labels(head: Head) -> torch.Tensor:
    target = head.target.detach()
    return target.clone() if head.kind == "classes" else target.squeeze(-1).clone()


def _add(table: Table, batch: Batch) -> list[int]:
    """Read a batch into its table; returns its rows' digests, none where it is of another kind."""
    rows = batch.rows.cpu().to(torch.float32)
    labels = None if batch.labels is None else batch.labels.cpu()
    if table.rows and (table.shape != batch.shape or table.dtype != batch.dtype):
        return []
    table.shape, table.dtype, table.line = batch.shape, batch.dtype, table.line or batch.line
    table.rows += len(rows)
    table.derived += batch.derived
    table.nonfinite += int((~torch.isfinite(rows)).any(1).sum())
    _sum_up(table, rows)
    digests = [hash(row) for row in map(bytes, rows.numpy())]
    table.batches.append((batch.at, hash(tuple(digests))))
    source = (batch.loader, batch.line or 0)
    known = table.sources.setdefault(source, Source(batch.at, batch.at))
    known.last = batch.at
    if len(known.digests) < DIGESTS:
        known.digests.update(digests)
    for digest in digests:
        if digest in table.digests or len(table.digests) < DIGESTS:
            table.digests[digest] = table.digests.get(digest, 0) + 1
    if labels is not None and labels.dim() == 1:
        _compare_answers(table, digests, labels.tolist())
    if table.role == "judged":
        table.passes.setdefault(batch.at, []).extend(digests)
        if labels is not None and labels.dim() == 1:
            table.labelled.setdefault(batch.at, []).extend(labels.double().tolist())
    if table.kept < ROWS:
        table.features.append(rows)
        table.kept += len(rows)
        if labels is not None and all(labels.shape[1:] == t.shape[1:] for t in table.labels[:1]):
            table.labels.append(labels)
    return digests


def _compare_answers(table: Table, digests: list[int], labels: list[float]) -> None:
    """Count the rows that come again, and those of them whose label has changed."""
    for digest, label in zip(digests, labels, strict=True):
        if digest in table.answered:
            table.again += 1
            table.conflicts += table.answered[digest] != label
        elif len(table.answered) < DIGESTS:
            table.answered[digest] = label


def _sum_up(table: Table, rows: torch.Tensor) -> None:
    wide = torch.nan_to_num(rows.double(), posinf=0.0, neginf=0.0)
    now = {
        "sum": wide.sum(0),
        "squares": (wide**2).sum(0),
        "low": wide.amin(0),
        "high": wide.amax(0),
    }
    if not table.sums:
        table.sums = now
        return
    table.sums["sum"] += now["sum"]
    table.sums["squares"] += now["squares"]
    table.sums["low"] = torch.minimum(table.sums["low"], now["low"])
    table.sums["high"] = torch.maximum(table.sums["high"], now["high"])
