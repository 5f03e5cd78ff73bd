"""A record as rules see it: facts gathered from entries, the same live as from disk.

`Record.apply` takes the entries in the order in which they were written; `docs/record-format.md`
lists them. Nothing here imports torch.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torchdx.graph.model import Edge, Line, LossGraph, Node
from torchdx.record.histograms import unpacked
from torchdx.record.parts import (
    Cut,
    Event,
    Json,
    Look,
    Model,
    Optimizer,
    Phase,
    Scheduler,
    StepShape,
)

__all__ = [
    "Cut",
    "Event",
    "Histograms",
    "Json",
    "Look",
    "Model",
    "Optimizer",
    "Phase",
    "Record",
    "Scheduler",
    "Series",
    "StepShape",
]

Series = list[tuple[int, float]]  # (step, value), in the order of steps
Histograms = list[tuple[int, Sequence[int]]]  # (step, permille in each bin), likewise


@dataclass
class Record:
    """All that is known of a run.

    pace      (seconds since the beginning, steps done by then), as often as counts were written
    spent_s   seconds in torchdx's hooks, when they last were
    failure   torchdx's own error, which ended the watching after `failed_at` steps; else empty
    """

    torn_bytes: int = 0
    meta: dict[str, Any] = field(default_factory=dict)
    models: list[Model] = field(default_factory=list)
    optimizers: dict[int, Optimizer] = field(default_factory=dict)
    graphs: dict[int, LossGraph] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    looks: list[Look] = field(default_factory=list)
    shapes: dict[int, StepShape] = field(default_factory=dict)
    shape_counts: dict[int, int] = field(default_factory=dict)
    graph_counts: dict[int, int] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    schedulers: dict[int, Scheduler] = field(default_factory=dict)
    cuts: list[Cut] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    steps: int = 0
    backwards: int = 0
    pace: list[tuple[float, int]] = field(default_factory=list)
    spent_s: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    signals: dict[str, dict[str, Series]] = field(default_factory=dict)
    histograms: dict[str, dict[str, Histograms]] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    failed_at: int = 0
    findings: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[int, Line] = field(default_factory=dict)
    _places: dict[int, list[str]] = field(default_factory=dict)

    def apply(self, entry: Json) -> None:
        """Take one entry in; types that are not known are left aside."""
        handler = getattr(self, "_on_" + str(entry.get("e")).replace("-", "_"), None)
        if handler is not None:
            handler(entry)

    def of(self, kind: str) -> list[Event]:
        """The events of a kind, in order."""
        return [event for event in self.events if event.kind == kind]

    def probes(self, kind: str) -> list[Event]:
        """What the probes of a kind measured, in order."""
        own = (event for event in self.of("probe") if event.facts["kind"] == kind)
        return [event for event in own if "because" not in event.facts]

    @property
    def trained(self) -> bool:
        """Whether anything like training was seen."""
        return self.steps > 0 or self.backwards > 0

    @property
    def optimized(self) -> set[str]:
        """Names of the parameters that some optimizer holds."""
        return {name for optimizer in self.optimizers.values() for name in optimizer.parameters}

    @property
    def trainable(self) -> set[str]:
        """Names of all parameters of the models that required a gradient when first seen."""
        return {name for model in self.models for name in model.trainable}

    @property
    def loaded(self) -> set[str]:
        """Names of the parameters of modules into which a state dict was loaded."""
        paths = {event.facts["model"] for event in self.of("load-state-dict")}
        return {
            name for m in self.models for path in paths & set(m.modules) for name in m.within(path)
        }

    @property
    def left_out(self) -> set[str]:
        """Names of those seen unchanged, with a gradient, and in no optimizer until the end."""
        compared = self.of("left-out")
        still = {name for event in compared[-1:] for name in event.facts["params"]}
        return (still & self.trainable) - self.optimized

    @property
    def opaque(self) -> str:
        """Why part of some loss graph could not be seen, or an empty string."""
        return next((graph.opaque for graph in self.graphs.values() if graph.opaque), "")

    def within(self, module: str) -> set[str]:
        """The parameters of a module, by its path, and of all that it holds."""
        holder = next((model for model in self.models if module in model.modules), None)
        return set() if holder is None else holder.within(module)

    def learns(self, module: str) -> bool:
        """Whether some optimizer holds parameters of a module."""
        return not self.optimized.isdisjoint(self.within(module))

    def series(self, signal: str, place: str = "") -> Series:
        """What was measured of a signal at a place, empty when nothing was."""
        return self.signals.get(signal, {}).get(place, [])

    def made(self, module: str) -> Line | None:
        """Where a module was made or given to its holder, by its path."""
        return next((m.lines.get(module) for m in self.models if module in m.modules), None)

    def class_of(self, model: str, part: str) -> str:
        """The class of a part of a model, by its path within it; empty when not known."""
        path = f"{model}.{part}" if model and part else model or part
        return next((m.modules[path] for m in self.models if path in m.modules), "")

    def line(self, number: int | None) -> Line | None:
        """The line that an entry names by its number."""
        return None if number is None else self.lines.get(number)

    def shapes_of(self, optimizer: int) -> list[tuple[StepShape, int]]:
        """The step shapes of an optimizer with how often each was seen, commonest first."""
        own = [s for s in self.shapes.values() if s.optimizer == optimizer]
        counted = [(s, self.shape_counts.get(s.id, 0)) for s in own]
        return sorted(counted, key=lambda pair: -pair[1])

    def looks_of(self, optimizer: int) -> list[Look]:
        """The measured steps of an optimizer, in order."""
        return [look for look in self.looks if look.optimizer == optimizer]

    def _on_line(self, entry: Json) -> None:
        self.lines[entry["id"]] = Line(
            entry["file"], entry["line"], entry.get("func", ""), entry.get("text", "")
        )

    def _on_meta(self, entry: Json) -> None:
        self.meta.update(entry)

    def _on_end(self, entry: Json) -> None:
        self.end.update(entry)
        if entry.get("failure") and not self.failure:
            self.failure, self.failed_at = str(entry["failure"]), self.steps

    def _on_failure(self, entry: Json) -> None:
        self.failure, self.failed_at = entry["text"], entry.get("step", self.steps)

    def _on_finding(self, entry: Json) -> None:
        self.findings.append(dict(entry))

    def _on_model(self, entry: Json) -> None:
        parameters = {name: tuple(shape) for name, shape, _ in entry["params"]}
        trainable = frozenset(name for name, _, grad in entry["params"] if grad)
        line = self.line(entry.get("line"))
        known = next((m for m in self.models if m.id == entry["id"]), None)
        late = (
            frozenset() if known is None else known.late | (set(parameters) - set(known.parameters))
        )
        before = frozenset() if known is None else known.before or known.trainable
        model = Model(
            id=entry["id"],
            cls=entry["cls"],
            line=line,
            parameters=parameters,
            trainable=trainable,
            modules=dict(entry["modules"]),
            own={module: tuple(names) for module, names in entry.get("own", {}).items()},
            lines={module: self.line(n) for module, n in entry.get("lines", {}).items()},
            user=frozenset(entry.get("user", ())),
            late=late,
            before=before,
        )
        self.models = [m for m in self.models if m.id != model.id] + [model]

    def _on_optimizer(self, entry: Json) -> None:
        known = self.optimizers.get(entry["id"])
        self.optimizers[entry["id"]] = Optimizer(
            id=entry["id"],
            cls=entry["cls"],
            line=self.line(entry.get("line")),
            step=entry["step"],
            defaults=entry["defaults"],
            parameters=tuple(entry["params"]),
            frozen=frozenset(entry["frozen"]),
            trained={int(key): value for key, value in entry["trained"].items()},
            lrs=[] if known is None else known.lrs,
        )

    def _on_first_step(self, entry: Json) -> None:
        optimizer = self.optimizers[entry["optimizer"]]
        optimizer.loader, optimizer.first_loss = entry["loader"], entry["loss"]

    def _on_lr(self, entry: Json) -> None:
        self.optimizers[entry["optimizer"]].lrs.append((entry["step"], entry["lr"]))

    def _on_graph(self, entry: Json) -> None:
        nodes = tuple(self._node(index, raw) for index, raw in enumerate(entry["nodes"]))
        known = self.graphs.get(entry["key"])  # read once more, with its lines
        self.graphs[entry["key"]] = LossGraph(
            key=entry["key"],
            nodes=nodes,
            backward=self.line(entry.get("line")),
            step=entry["step"] if known is None else known.step,
            opaque=entry.get("opaque", ""),
        )

    def _node(self, index: int, raw: Json) -> Node:
        return Node(
            index=index,
            op=raw["op"],
            shape=None if raw.get("shape") is None else tuple(raw["shape"]),
            dtype=raw.get("dtype", ""),
            saved=raw.get("saved", {}),
            inputs=tuple(None if i is None else Edge(*i) for i in raw.get("in", ())),
            leaf=raw.get("leaf"),
            line=self.line(raw.get("line")),
            via=raw.get("via", ""),
        )

    def _on_reached(self, entry: Json) -> None:
        self.reached.update(entry["params"])

    def _on_called(self, entry: Json) -> None:
        self.called.update(entry["modules"])
        self.returned.update(entry.get("returned", ()))

    def _on_look(self, entry: Json) -> None:
        facts = {key: value for key, value in entry.items() if key not in {"e", "line"}}
        self.looks.append(Look(**facts, line=self.line(entry.get("line"))))

    def _on_shape(self, entry: Json) -> None:
        events = tuple((kind, self.line(line), about) for kind, line, about in entry["events"])
        self.shapes[entry["id"]] = StepShape(entry["id"], entry["optimizer"], events)

    def _on_phase(self, entry: Json) -> None:
        facts = {key: value for key, value in entry.items() if key not in {"e", "line"}}
        self.phases.append(Phase(**facts, line=self.line(entry.get("line"))))

    def _on_scheduler(self, entry: Json) -> None:
        self.schedulers[entry["id"]] = Scheduler(
            id=entry["id"],
            cls=entry["cls"],
            optimizer=entry["optimizer"],
            line=self.line(entry.get("line")),
            step=entry["step"],
            settings=entry["settings"],
        )

    def _on_cut(self, entry: Json) -> None:
        line = self.line(entry.get("line"))
        self.cuts.append(Cut(entry["op"], line, tuple(entry["upstream"]), entry["scalar"]))

    def _on_event(self, entry: Json) -> None:
        line = self.line(entry.get("line"))
        self.events.append(Event(entry["kind"], entry["step"], line, entry["facts"]))

    def _on_steps(self, entry: Json) -> None:
        self.losses.extend(zip(entry["step"], entry["loss"], strict=True))

    def _on_places(self, entry: Json) -> None:
        self._places[entry["id"]] = list(entry["names"])

    def _on_signals(self, entry: Json) -> None:
        places = self._places[entry["places"]]
        for signal, values in entry["v"].items():
            series = self.signals.setdefault(signal, {})
            for place, value in zip(places, values, strict=True):
                series.setdefault(place, []).append((entry["step"], value))

    def _on_histograms(self, entry: Json) -> None:
        by_place = self.histograms.setdefault(entry["signal"], {})
        for place, row in zip(self._places[entry["places"]], entry["shares"], strict=True):
            by_place.setdefault(place, []).append((entry["step"], array("H", unpacked(row))))

    def _on_totals(self, entry: Json) -> None:
        self.steps, self.backwards = entry["steps"], entry["backwards"]
        if "elapsed_s" in entry:
            self.pace.append((entry["elapsed_s"], entry["steps"]))
            self.spent_s = entry["spent_s"]
        self.shape_counts.update({int(k): v for k, v in entry["shapes"].items()})
        self.graph_counts.update({int(k): v for k, v in entry["graphs"].items()})
        for key, steps in entry["optimizers"].items():
            self.optimizers[int(key)].steps = steps
        for key, (calls, per_step, line) in entry["schedulers"].items():
            scheduler = self.schedulers[int(key)]
            scheduler.calls, scheduler.per_step = calls, per_step
            scheduler.called_at = self.line(line)
