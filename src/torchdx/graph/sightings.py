"""What each backward pass shows of its loss graph; a new structure is read and written down."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchdx.events.loop import Loop
from torchdx.events.models import Models
from torchdx.events.recorder import Recorder, Sparse
from torchdx.graph import capture, suspects
from torchdx.graph.growth import Growth
from torchdx.instruments.looks import Looks
from torchdx.instruments.stillness import Stillness

MAX_GRAPHS = 100  # structures read; a program whose every graph is new is told by its sizes
FIRST_READ = 40  # of these read whatever it costs,
ALIKE = 8  # where no more than so many came from one line and the same parameters; others only
READ_SHARE = 0.005  # within this share of the run's time: rules read each again, some ten times
MAX_LEAF_SETS = 10_000
LABEL_BATCHES = 50  # batches whose labels are counted, where the loss has class weights
STEADY = 50  # walks in a row of one result, after which graphs that begin alike are taken for it
WALKED = 8  # of these still one of so many is walked, at random
_LATE = 30  # graphs with late parameters that are told one by one


class Sightings:
    """Numbers structures, follows which parameters were reached, and how sizes go."""

    def __init__(self, recorder: Recorder, loop: Loop, models: Models, looks: Looks) -> None:
        self._recorder, self._loop, self._models = recorder, loop, models
        self._looks = looks
        self._still = Stillness(recorder)
        self._lately, self._lates = Sparse(_LATE), 0
        self._numbers: dict[tuple[int, bool], int] = {}
        self._leaf_sets: dict[int, bool] = {}
        self._version = 0
        self._growth = Growth(recorder, loop)
        self._labels: dict[int, _Labels] = {}
        self._steady: dict[int, tuple[int, int]] = {}
        self._random = random.Random(20_261_121)  # noqa: S311  # not for secrets
        self._seen: capture.Walk | None = None
        self._lineless: set[int] = set()
        self._read_of: Counter[tuple[int | None, int]] = Counter()
        self._began, self._reading_s = time.monotonic(), 0.0
        self.wants_lines: Callable[[], None] | None = None
        self.counts: dict[int, int] = {}

    def backward(self, root: Any, line: int | None, *, sampled: bool) -> int:
        """A backward pass begins from `root`; returns the number of its graph's structure.

        Where graphs have long been the same, those of steps that are not sampled are mostly known
        by their beginnings.
        """
        function = getattr(root, "grad_fn", None)
        if function is None:
            number = self._bare(root, line)
        else:
            beginning = capture.near(function)
            number, times = self._steady.get(beginning, (0, 0))
            if sampled or times < STEADY or self._random.randrange(WALKED) == 0:
                known, number = number, self._graph(function, line)
                self._steady[beginning] = number, times + 1 if number == known else 0
        self.counts[number] = self.counts.get(number, 0) + 1
        return number

    def take(self) -> capture.Walk | None:
        """The graph of the backward pass that begins, once: nothing of it is kept here."""
        seen, self._seen = self._seen, None
        return seen

    def ended(self) -> None:
        """The backward pass has ended."""
        self._still.ended()

    def close(self) -> None:
        """Write down the labels counted."""
        for number, labels in self._labels.items():
            halves = {"early": labels.early, "late": labels.late}
            self._recorder.event("labels", line=0, graph=number, counts=labels.counts, **halves)

    def _bare(self, root: Any, line: int | None) -> int:
        """A root without history: a tensor that was made anew, or one that needs no gradient."""
        number = self._numbers.setdefault((0, False), len(self._numbers) + 1)
        if number not in self.counts:
            nodes = [{"op": "AccumulateGrad", "leaf": ""}]
            self._emit(number, line, nodes, "")
            needs = bool(getattr(root, "requires_grad", False))
            self._models.see_all()
            facts = {"needs_grad": needs, "parameter": isinstance(root, nn.Parameter)}
            self._recorder.event("bare-root", line=line, **facts, **self._search())
        return number

    def _graph(self, function: Any, line: int | None) -> int:
        seen = self._seen = capture.walk(function)
        if not self._loop.optimizer_steps:
            parameters = [p for p in seen.leaves if isinstance(p, nn.Parameter)]
            self._still.backward(self._loop.backwards + 1, parameters, line)
        self._growth.seen(seen.nodes, line)
        key = (seen.key, self._reach(seen.leaves))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers) + 1
            self._meet(seen, number, line)
        elif number in self._lineless and function.metadata.get("traceback_"):
            self._read(seen, number, line)
        if number in self._labels and self.counts.get(number, 0) < LABEL_BATCHES:
            self._count_labels(number, function)
        return number

    def _meet(self, seen: capture.Walk, number: int, line: int | None) -> None:
        """A structure is new: read it, where it is not one of ever more that are much alike."""
        kin = line, hash(frozenset(map(id, seen.leaves)))
        done, began = self._read_of.total(), time.monotonic()
        free = done < FIRST_READ and self._read_of[kin] < ALIKE
        left = READ_SHARE * (began - self._began) - self._reading_s
        if done < MAX_GRAPHS and (free or left > 0):
            self._read_of[kin] += 1
            self._read(seen, number, line)
            self._reading_s += time.monotonic() - began

    def _read(self, seen: capture.Walk, number: int, line: int | None) -> None:
        self._models.see_owners(seen.leaves)
        nodes, opaque = capture.read_nodes(seen.nodes, self._recorder.frames, self._models.label)
        self._emit(number, line, nodes, opaque)
        self._look_again(number, any(node.get("line") for node in nodes))
        weighted = [n["saved"] for n in nodes if n.get("saved", {}).get("counts")]
        if weighted:
            self._labels[number] = _Labels(weighted[0])
        if not opaque and not any(isinstance(leaf, nn.Parameter) for leaf in seen.leaves):
            self._recorder.event("no-parameters", line=line, graph=number, **self._search())

        self._look_for_numbers(line)

    def _look_for_numbers(self, line: int | None) -> None:
        """Whether numbers that left the graph go into this loss, where some parameter needs it."""
        record = self._recorder.record
        bare = [c for c in record.cuts if c.op == "item" and c.scalar]
        if all(record.reached.issuperset(cut.upstream) for cut in bare):
            return
        running = self._recorder.frames.user_frames(1)
        found = suspects.Flow(running[0], self._recorder.frames).lines if running else []
        if found:
            self._recorder.event("numbers-in-loss", line=line, lines=sorted(set(found)))

    def _look_again(self, number: int, found: bool) -> None:  # noqa: FBT001  # whether lines were
        """A structure that turned up late has no lines: have the next step traced."""
        if found:
            self._lineless.discard(number)
        elif number not in self._lineless:
            self._lineless.add(number)
            if self.wants_lines is not None:
                self.wants_lines()

    def _emit(self, number: int, line: int | None, nodes: list[Any], opaque: str) -> None:
        entry = {"e": "graph", "key": number, "step": self._recorder.steps, "line": line}
        self._recorder.emit({**entry, "nodes": nodes, "opaque": opaque}, now=True)

    def _search(self) -> dict[str, Any]:
        """Where a loss without a path to a parameter may have left the graph.

        `suspects` stand in the running function, `made` made the loss itself anew, `inside` belongs
        to what went into it; `before` cuts had been seen until now.
        """
        frames = self._recorder.frames
        running = frames.user_frames(1)
        facts = {"suspects": suspects.search(running, frames), "made": [], "inside": []}
        if running:
            origin = suspects.Origin(running[0], frames)
            for forward in {type(m).forward for m in self._models.names.known()}:
                origin.read(forward)
            facts |= {"made": origin.made[:10], "inside": origin.inside[:50]}
        return {**facts, "before": len(self._recorder.record.cuts)}

    def _reach(self, leaves: list[Any]) -> bool:
        """Follow what was reached; returns whether some of it is in no optimizer.

        Such graphs are read once more where the structure is known: their leaves are others.
        """
        if self._version != self._models.names.version:
            self._version = self._models.names.version
            self._leaf_sets.clear()
        key = hash(tuple(map(id, leaves)))
        if key in self._leaf_sets or len(self._leaf_sets) > MAX_LEAF_SETS:
            return self._leaf_sets.get(key, False)
        names = {self._models.names.of(leaf) for leaf in leaves}
        new = sorted(names - self._recorder.record.reached - {None})  # type: ignore[type-var]
        if new:
            self._recorder.emit({"e": "reached", "step": self._recorder.steps, "params": new})
        left_out = self._leaf_sets[key] = self._looks.reached(leaves)
        if self._recorder.steps > 0:
            self._late(leaves)
        return left_out

    def _late(self, leaves: list[Any]) -> None:
        """Parameters met after the first step that belong to no model that lasts."""
        late = [p for p in leaves if isinstance(p, nn.Parameter) and not self._models.lasting(p)]
        self._lates += bool(late)
        if late and self._lately.due(self._lates):
            shapes = [list(p.shape) for p in late[:20]]
            made = next(filter(None, map(self._models.made_at, late)), None)
            facts = {"count": len(late), "of": len(leaves), "shapes": shapes}
            self._recorder.event("late-parameters", line=made, **facts)

    def _count_labels(self, number: int, function: torch.autograd.graph.Node) -> None:
        head = capture.find_head(function)
        if head is not None:
            labels = self._labels[number]
            labels.add(capture.label_counts(head, labels.weights))


class _Labels:
    """How often each class was asked for: in the first half of the batches, and in the rest."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self.weights = weights
        self.early = [0.0] * len(weights["counts"])
        self.late = list(self.early)
        self._batches = 0

    def add(self, counts: list[float]) -> None:
        """Take one batch's counts."""
        if len(counts) != len(self.early):
            return
        self._batches += 1
        half = self.early if self._batches <= LABEL_BATCHES // 2 else self.late
        half[:] = [a + b for a, b in zip(half, counts, strict=True)]

    @property
    def counts(self) -> list[float]:
        """Both halves."""
        return [a + b for a, b in zip(self.early, self.late, strict=True)]
