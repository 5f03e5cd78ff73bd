"""The network as its author wrote it, and what was measured of every layer over the steps."""

import math
from collections.abc import Iterator, Mapping
from typing import TypedDict

from torchdx.record.model import Model, Record, Series
from torchdx.record.units import unit_of
from torchdx.report.view.numbers import Number, evenly, short
from torchdx.report.view.signals import OF_LAYERS
from torchdx.report.view.source import Code, code_of

MOST_STEPS = 60  # columns of the picture of a signal
MOST_LAYERS = 400  # rows of it
DIGITS = 3

Layers = dict[str, Series]  # module -> what was measured of it


class Part(TypedDict):
    """A module.

    path    from the model down; `name` its last part; `depth` 0 for a model
    own     numbers that it holds itself; `shapes` of them by name
    """

    path: str
    name: str
    cls: str
    depth: int
    own: int
    shapes: list[tuple[str, str]]
    trainable: bool
    made: Code | None


class Picture(TypedDict):
    """A signal of all layers: `values[i][k]` is that of `places[i]` at `steps[k]`."""

    signal: str
    title: str
    unit: str
    scale: str
    about: str
    steps: list[int]
    places: list[str]
    values: list[list[Number]]


class Network(TypedDict):
    """Modules in the order of their making, and the pictures that there are of them."""

    parts: list[Part]
    pictures: list[Picture]


def network_of(record: Record, *, source: bool) -> Network:
    """The module tree and a picture of each signal that was measured."""
    parts = [part for model in record.models for part in _parts(record, model, source=source)]
    order = {part["path"]: i for i, part in enumerate(parts)}
    measured = ((signal, layers_of(record, signal)) for signal in OF_LAYERS)
    pictures = [_picture(signal, layers, order) for signal, layers in measured if layers]
    return Network(parts=parts, pictures=pictures)


def layers_of(record: Record, signal: str) -> Layers:
    """What was measured of a signal, by module; those of parameters are put together."""
    if signal == "update.ratio":
        sizes = layers_of(record, "weight.norm")
        return {
            place: _ratio(series, sizes.get(place, []))
            for place, series in layers_of(record, "update.norm").items()
        }
    by_place = record.signals.get(signal, {})
    if signal not in {"gradient.norm", "update.norm", "weight.norm"}:
        return dict(by_place)
    owners = {p: module for m in record.models for module, ps in m.own.items() for p in ps}
    found: dict[str, dict[int, float]] = {}
    for parameter, series in by_place.items():
        squares = found.setdefault(owners.get(parameter, parameter), {})
        for step, value in series:
            squares[step] = squares.get(step, 0.0) + value * value
    return {
        place: [(step, math.sqrt(square)) for step, square in sorted(squares.items())]
        for place, squares in found.items()
    }


def _ratio(updates: Series, sizes: Series) -> Series:
    """The updates over the sizes that were known last."""
    known = dict(sizes)
    found, last = [], None
    for step, update in updates:
        last = known.get(step, last)
        if last:
            found.append((step, update / last))
    return found


def _parts(record: Record, model: Model, *, source: bool) -> Iterator[Part]:
    home = record.meta.get("folder", "")
    for path in sorted(model.modules, key=_Order(model.modules)):
        shapes = {name: model.parameters.get(name, ()) for name in model.own.get(path, ())}
        inner = _depth(path, model.modules)
        yield Part(
            path=path,
            name=path.rpartition(".")[2] if inner else path,
            cls=model.modules[path],
            depth=inner,
            own=sum(math.prod(shape) for shape in shapes.values()),
            shapes=[(n.rpartition(".")[2], "x".join(map(str, s))) for n, s in shapes.items()],
            trainable=not shapes or any(name in model.trainable for name in shapes),
            made=code_of(model.lines.get(path), home, source=source),
        )


class _Order:
    """Modules in the order given, each before what it holds and all of that behind it."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._place = {path: i for i, path in enumerate(modules)}

    def __call__(self, path: str) -> list[int]:
        names = path.split(".")
        above = [".".join(names[: i + 1]) for i in range(len(names))]
        return [self._place[p] for p in above if p in self._place] if path else []


def _depth(path: str, modules: Mapping[str, str]) -> int:
    """How many of the modules hold it."""
    names = path.split(".")
    above = {".".join(names[:i]) for i in range(len(names))} if path else set()
    return sum(p in modules for p in above)


def _picture(signal: str, layers: Layers, order: Mapping[str, int]) -> Picture:
    places = sorted(layers, key=lambda place: (order.get(place, len(order)), place))[:MOST_LAYERS]
    steps = sorted({step for place in places for step, _ in layers[place]})
    steps = [steps[i] for i in evenly(len(steps), MOST_STEPS)]
    known = {place: dict(layers[place]) for place in places}
    about = OF_LAYERS[signal]
    return Picture(
        signal=signal,
        title=about.title,
        unit="" if about.scale == "share" else unit_of(signal),
        scale=about.scale,
        about=about.about,
        steps=steps,
        places=places,
        values=[[short(known[place].get(step), DIGITS) for step in steps] for place in places],
    )
