"""Odd programs: nothing that torch allows makes the observer fail, show, or raise an alarm.

Each is a healthy program of some tens of steps, with a validation after every ten, or none. Run as
a script, this trains those that are named (all by default), and prints what they show.
"""

import copy
import io
import os
import pickle
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

import torchdx as dx
from tests.support import observed
from torchdx.errors import CallError
from torchdx.record.reader import read
from torchdx.rules.ranking import diagnose

ROOT = Path(__file__).parents[2]
STEPS, FEW, EVERY, ROWS, CLASSES = 40, 12, 10, 32, 3
STATUS = 3  # with which the script ends
ODD: dict[str, Callable[[], "Odd"]] = {}
Loss = Callable[[Any, Any], Any]


@dataclass
class Odd:
    """A program: `loss(model, batch)` is what it minimises; `step` all that it does with a batch.

    data    from a seed to batches: 1 for those of training, 2 for those of validation
    after   what it does at its end; kept: whatever it keeps
    """

    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer | None = None
    data: Callable[[int], Iterable[Any]] = lambda seed: shuffled(*blobs(seed))
    step: Callable[["Odd", Any], Any] | None = None
    after: Callable[["Odd"], None] = lambda _: None
    kept: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.optimizer is None:
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.step = self.step or ordinary
        self.batches, self.judged = self.data(1), self.data(2)


def odd(make):
    ODD[make.__name__] = make
    return make


def ordinary(program, batch):
    program.optimizer.zero_grad()
    loss = program.loss(program.model, batch)
    loss.backward()
    program.optimizer.step()
    return loss


def blobs(seed, rows=256):
    """Rows around one centre a class, and their classes."""
    centres = torch.randn(CLASSES, 8, generator=torch.Generator().manual_seed(0))
    dice = torch.Generator().manual_seed(seed)
    classes = torch.randint(CLASSES, (rows,), generator=dice)
    return centres[classes] + torch.randn(rows, 8, generator=dice), classes


def shuffled(*tensors, rows=ROWS, **more):
    return DataLoader(TensorDataset(*tensors), rows, shuffle=True, **more)


def mlp(inputs=8, outputs=CLASSES):
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


class Of(nn.Module):
    """A model whose answer is made of an ordinary one's by a function."""

    def __init__(self, make, inner=None):
        super().__init__()
        self.inner, self.make = inner or mlp(), make

    def forward(self, *args, **kwargs):
        return self.make(self.inner(*args, **kwargs))


def classified(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def train(name, steps=STEPS, *, validates=True):
    """What a program shows: losses, warnings, weights, random state, its model's hooks."""
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        program = ODD[name]()
        losses = list(losses_of(program, steps, validates=validates))
        program.after(program)
        pickled = saved(program.model)
    state = [
        tensor.detach().tolist()
        for tensor in (*program.model.parameters(), *program.model.buffers())
        if not tensor.is_meta and not tensor.is_quantized
    ]
    told = sorted({str(warning.message).partition("\n")[0] for warning in warned})
    random = torch.get_rng_state().tolist()
    return {"losses": losses, "warned": told, "state": state, "random": random, "saved": pickled}


def losses_of(program, steps, *, validates):
    step = 0
    while True:
        for batch in program.batches:
            loss = program.step(program, batch)
            yield loss.item() if isinstance(loss, torch.Tensor) else loss
            step += 1
            if validates and step % EVERY == 0:
                yield from validate(program)
            if step == steps:
                return


def validate(program):
    program.model.eval()
    with torch.no_grad():
        losses = [program.loss(program.model, batch) for batch in program.judged]
    program.model.train()
    return [float(loss) for loss in losses]


def saved(model):
    """How saving a model ends, and the hooks inside it."""
    try:
        torch.save(model, io.BytesIO())
        end = ""
    except (AttributeError, RuntimeError, TypeError, pickle.PicklingError) as error:
        end = type(error).__name__  # classes and functions inside functions
    tables = (v for m in model.modules() for k, v in vars(m).items() if k.endswith("_hooks"))
    return end, sum(len(table) for table in tables if isinstance(table, dict))


# ---- what models answer and are given ----


class Pair(NamedTuple):
    scores: torch.Tensor
    size: int


@dataclass
class Answer:
    scores: torch.Tensor
    text: str = "an answer"


def answering(make, take):
    return Odd(Of(make), lambda m, b: F.cross_entropy(take(m(b[0])), b[1]))


@odd
def dict_output():
    return answering(lambda z: {"scores": z, "none": None}, lambda a: a["scores"])


@odd
def dataclass_output():
    return answering(Answer, lambda a: a.scores)


@odd
def named_tuple_output():
    return answering(lambda z: Pair(z, len(z)), lambda a: a.scores)


@odd
def nested_tuple_output():
    return answering(lambda z: ((), [(z, (z, "text"))], {}), lambda a: a[1][0][0])


@odd
def object_output():
    return answering(lambda z: types.SimpleNamespace(scores=z), lambda a: a.scores)


@odd
def empty_tuple_output():
    def loss(model, batch):
        assert model(batch[0]) == ()
        return F.cross_entropy(model.last, batch[1])

    def kept(z):
        model.last = z
        return ()

    model = Of(kept)

    def forget(program):
        del program.model.last

    return Odd(model, loss, after=forget)


@odd
def generator_output():
    return answering(lambda z: iter([z]), next)


@odd
def loss_output():
    """The answer is the loss itself, of no dimension."""

    class WithLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x, y):
            return F.cross_entropy(self.inner(x), y)

    return Odd(WithLoss(), lambda model, batch: model(*batch))


@odd
def scalar_output():
    """Rows come one by one, and each answer has no dimension."""

    def data(seed):
        x, _ = blobs(seed, 64)
        return shuffled(x, x @ torch.linspace(-1, 1, 8) + 1, rows=8)

    def loss(model, batch):
        rows = zip(*batch, strict=True)
        return torch.stack([(model(row) - wanted) ** 2 for row, wanted in rows]).mean()

    return Odd(Of(torch.squeeze, mlp(outputs=1)), loss, data=data)


def words(seed, rows=256):
    """Sentences of six words; the class is that of most of the words."""
    dice = torch.Generator().manual_seed(seed)
    classes = torch.randint(CLASSES, (rows, 1), generator=dice)
    own = torch.randint(10, (rows, 6), generator=dice) * CLASSES + classes
    other = torch.randint(10 * CLASSES, (rows, 6), generator=dice)
    return torch.where(torch.rand(rows, 6, generator=dice) < 0.6, own, other), classes[:, 0]


@odd
def integer_inputs():
    model = nn.Sequential(nn.EmbeddingBag(30, 16), nn.Linear(16, CLASSES))
    return Odd(model, classified, data=lambda seed: shuffled(*words(seed)))


@odd
def sparse_gradients():
    model = nn.EmbeddingBag(30, CLASSES, sparse=True)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.05)
    return Odd(model, classified, optimizer, lambda seed: shuffled(*words(seed)))


@odd
def sparse_inputs():
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(0.1 * torch.randn(8, CLASSES))

        def forward(self, x):
            return torch.sparse.mm(x, self.weight)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0].to_sparse()), batch[1])

    return Odd(Sparse(), loss)


@odd
def nested_tensors():
    class Lengths(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.last = nn.Linear(8, 16), nn.Linear(16, CLASSES)

        def forward(self, x):
            states = F.relu(self.inner(x))
            return self.last(torch.stack([row.mean(0) for row in states.unbind()]))

    def loss(model, batch):
        rows = [row.expand(1 + i % 3, -1) for i, row in enumerate(batch[0])]
        nested = torch.nested.nested_tensor(rows, layout=torch.jagged)
        return F.cross_entropy(model(nested), batch[1])

    return Odd(Lengths(), loss)


@odd
def strided_nested_tensors():
    def loss(model, batch):
        rows = [row.expand(1 + i % 3, -1) for i, row in enumerate(batch[0])]
        answers = model(torch.nested.nested_tensor(rows)).unbind()
        return F.cross_entropy(torch.stack([a.mean(0) for a in answers]), batch[1])

    return Odd(mlp(), loss)


@odd
def complex_parameters():
    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 4, dtype=torch.cfloat)

        def forward(self, x):
            return self.inner(x)

    def data(seed):
        x, _ = blobs(seed)
        x = torch.complex(x, x.roll(1, 0))
        weight = torch.randn(8, 4, dtype=torch.cfloat, generator=torch.Generator().manual_seed(3))
        return shuffled(x, x @ weight)

    def loss(model, batch):
        return (model(batch[0]) - batch[1]).abs().square().mean()

    model = Complex()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    return Odd(model, loss, optimizer, data)


@odd
def complex_inside():
    return Odd(Of(lambda z: torch.fft.fft(z).abs()[:, :CLASSES], mlp(outputs=6)), classified)


@odd
def double_precision():
    def data(seed):
        x, y = blobs(seed)
        return shuffled(x.double(), y)

    return Odd(mlp().double(), classified, data=data)


@odd
def half_precision():
    def data(seed):
        x, y = blobs(seed)
        return shuffled(x.bfloat16(), y)

    return Odd(mlp().bfloat16(), classified, data=data)


@odd
def autocast():
    def loss(model, batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return classified(model, batch)

    return Odd(mlp(), loss)


def by_the_number(model, batch):
    total = F.cross_entropy(model(batch[0]), batch[1], reduction="sum")
    return total / max(1, len(batch[1]))


@odd
def empty_batches():
    """Some batches have no rows at all, the last of each epoch among them."""

    def data(seed):
        x, y = blobs(seed)
        parts = [*torch.arange(256).split(ROWS), torch.arange(0)]
        parts.insert(3, torch.arange(0))
        return [(x[p], y[p]) for p in parts]

    return Odd(mlp(), by_the_number, data=data)


@odd
def empty_batches_first():
    def data(seed):
        x, y = blobs(seed)
        parts = [torch.arange(0), *torch.arange(256).split(ROWS)]
        return DataLoader([(x[p], y[p]) for p in parts], batch_size=None)

    return Odd(mlp(), by_the_number, data=data)


@odd
def large_single_row():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x):
            return self.inner(F.adaptive_avg_pool1d(x, 8))

    def data(seed):
        x, y = blobs(seed, 8 if seed == 2 else 48)
        rows = [(x[i].repeat_interleave(50_000)[None], y[i : i + 1]) for i in range(len(x))]
        return DataLoader(rows, batch_size=None, shuffle=True)

    return Odd(Wide(), classified, data=data)


@odd
def strings_in_batches():
    class Reading(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, names, x):
            assert len(names) == len(x)
            return self.inner(x)

    def data(seed):
        x, y = blobs(seed)
        rows = [{"name": f"row {i}", "x": x[i], "y": int(y[i])} for i in range(len(x))]
        return DataLoader(rows, ROWS, shuffle=True)

    return Odd(Reading(), lambda m, b: F.cross_entropy(m(b["name"], b["x"]), b["y"]), data=data)


@odd
def generators_as_batches():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, rows):
            return torch.cat([self.inner(row) for row in rows])

    def loss(model, batch):
        return F.cross_entropy(model(row[None] for row in batch[0]), batch[1])

    return Odd(Rows(), loss)


@odd
def objects_as_batches():
    def collate(rows):
        x, y = zip(*rows, strict=True)
        return types.SimpleNamespace(x=torch.stack(x), y=torch.stack(y))

    return Odd(
        mlp(),
        lambda model, batch: F.cross_entropy(model(batch.x), batch.y),
        data=lambda seed: shuffled(*blobs(seed), collate_fn=collate),
    )


@odd
def inputs_that_need_gradients():
    def step(program, batch):
        x = batch[0].clone().requires_grad_()
        F.cross_entropy(program.model(x), batch[1]).backward()
        return ordinary(program, (x.detach() + 0.05 * x.grad.sign(), batch[1]))

    return Odd(mlp(), classified, step=step)


@odd
def keywords_only():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, *, rows):
            return self.inner(input=rows)

    return Odd(Named(), lambda m, b: F.cross_entropy(m(rows=b[0]), b[1]))


# ---- what models are made of ----


@odd
def no_parameters():
    model, weight = nn.Identity(), nn.Parameter(0.1 * torch.randn(8, CLASSES))
    return Odd(
        model,
        lambda m, b: F.cross_entropy(m(b[0]) @ weight, b[1]),
        torch.optim.Adam([weight], lr=0.02),
    )


@odd
def models_in_a_list():
    parts = [nn.Linear(8, 32), nn.Linear(32, CLASSES)]
    held = [p for part in parts for p in part.parameters()]
    return Odd(
        nn.Identity(),
        lambda m, b: F.cross_entropy(parts[1](m(parts[0](b[0])).relu()), b[1]),
        torch.optim.Adam(held, lr=0.01),
    )


@odd
def tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.again = nn.Linear(8, 8), nn.Linear(8, 8)
            self.again.weight = self.first.weight
            self.last = self.same = nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.last(x + self.again(self.first(x).relu()))

    return Odd(Tied(), classified)


@odd
def lazy_layers():
    model = nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(CLASSES))
    return Odd(model, classified, torch.optim.SGD(model.parameters(), lr=0.1))


@odd
def an_empty_group():
    model = mlp()
    groups = [{"params": []}, {"params": model.parameters()}, {"params": [], "lr": 0.1}]
    return Odd(model, classified, torch.optim.Adam(groups, lr=0.01))


@odd
def parameters_without_elements():
    class Hollow(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()
            self.hollow = nn.Parameter(torch.empty(0, 3))
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            return self.inner(x) * self.scale + self.hollow.sum()

    return Odd(Hollow(), classified)


@odd
def meta_parameters():
    class Offloaded(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()
            self.far = nn.Linear(4, 4, device="meta").requires_grad_(False)
            self.register_buffer("table", torch.empty(5, device="meta"))

        def forward(self, x):
            return self.inner(x)

    return Odd(Offloaded(), classified)


@odd
def quantised_buffers():
    class Quantised(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()
            table = torch.quantize_per_tensor(torch.randn(8), 0.1, 0, torch.qint8)
            self.register_buffer("table", table)

        def forward(self, x):
            return self.inner(x + 0.01 * self.table.dequantize())

    return Odd(Quantised(), classified)


@odd
def normed_weights():
    first = parametrizations.weight_norm(nn.Linear(8, 32))
    second = parametrizations.spectral_norm(nn.Linear(32, 32))
    third = parametrizations.orthogonal(nn.Linear(32, 32))
    return Odd(
        nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third, nn.Linear(32, CLASSES)),
        classified,
    )


@odd
def normed_weights_by_hooks():
    first = nn.utils.weight_norm(nn.Linear(8, 32))
    second = nn.utils.spectral_norm(nn.Linear(32, 32))
    return Odd(
        nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(32, CLASSES)), classified
    )


@odd
def scripted():
    return Odd(torch.jit.script(mlp()), classified)


@odd
def traced():
    return Odd(torch.jit.trace(mlp(), torch.randn(4, 8)), classified)


@odd
def partly_scripted():
    return Odd(nn.Sequential(torch.jit.script(mlp(8, 16)), nn.Linear(16, CLASSES)), classified)


@odd
def attributes_by_tricks():
    class Tricky(nn.Module):
        """Hands on what it does not have, and says no in odd ways."""

        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name.startswith("no_"):
                    raise KeyError(name) from None
                return getattr(super().__getattr__("inner"), name)

        def forward(self, x):
            return self.inner(x)

        @property
        def device(self):
            msg = "ask another"
            raise RuntimeError(msg)

        def __len__(self):
            return 0

        def __bool__(self):
            msg = "neither"
            raise TypeError(msg)

        def __repr__(self):
            msg = "no words"
            raise ValueError(msg)

    return Odd(Tricky(), classified)


@odd
def attributes_of_any_name():
    class Anything(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name.startswith("__"):
                    raise
                return None

        def __eq__(self, other):
            return torch.ones(3)

        __hash__ = nn.Module.__hash__

        def forward(self, x):
            return self.inner(x)

    return Odd(Anything(), classified)


@odd
def calls_and_modes_of_its_own():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.norm = mlp(), nn.BatchNorm1d(8)

        def __call__(self, x, *, words="none"):
            del words
            return super().__call__(x)

        def train(self, mode=True):  # noqa: FBT002  # torch's
            self.inner.train(mode)
            self.norm.eval()
            self.training = mode

        def eval(self):
            self.train(False)

        def parameters(self, recurse=True):  # noqa: FBT002  # torch's
            yield from self.inner.parameters(recurse)

        def forward(self, x):
            return self.inner(self.norm(x))

    return Odd(Own(), classified)


# ---- how models are called ----


@odd
def once_a_batch():
    """A second call with the same rows is an error."""

    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = mlp(), None

        def forward(self, x):
            if self.seen is not None and torch.equal(x, self.seen):
                msg = "these rows were here before"
                raise RuntimeError(msg)
            self.seen = x.clone()
            return self.inner(x)

    return Odd(Once(), classified)


@odd
def counts_its_calls():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()
            self.register_buffer("calls", torch.zeros((), dtype=torch.long))
            self.state = None

        def forward(self, x):
            self.calls += 1
            answer = self.inner(x)
            old = 0 if self.state is None else self.state
            self.state = answer.detach().mean(0)
            return answer + 0.01 * old

    return Odd(Counting(), classified)


@odd
def functional_calls():
    def loss(model, batch):
        named = dict(model.named_parameters())
        return F.cross_entropy(functional_call(model, named, (batch[0],)), batch[1])

    return Odd(mlp(), loss)


def by_rows(program, batch):
    model, optimizer = program.model, program.optimizer

    def of_row(named, row, wanted):
        scores = functional_call(model, named, (row[None],))
        return F.cross_entropy(scores, wanted[None])

    named = {k: p.detach() for k, p in model.named_parameters()}
    each = vmap(grad(of_row), in_dims=(None, 0, 0))(named, *batch)
    optimizer.zero_grad()
    for name, parameter in model.named_parameters():
        parameter.grad = each[name].mean(0)
    optimizer.step()
    return vmap(of_row, in_dims=(None, 0, 0))(named, *batch).mean()


@odd
def gradients_by_rows():
    return Odd(mlp(), classified, step=by_rows)


@odd
def gradients_by_rows_beside_backward():
    def step(program, batch):
        by_rows(program, batch)
        return ordinary(program, batch)

    return Odd(mlp(), classified, step=step)


@odd
def an_ensemble_by_vmap():
    models = [mlp() for _ in range(3)]
    named, _ = stack_module_state(models)
    named = {k: nn.Parameter(v.detach().clone()) for k, v in named.items()}
    base = copy.deepcopy(models[0]).to("meta")

    def loss(_, batch):
        scores = vmap(lambda own: functional_call(base, own, (batch[0],)))(named)
        return sum(F.cross_entropy(s, batch[1]) for s in scores) / len(scores)

    return Odd(nn.Identity(), loss, torch.optim.Adam(named.values(), lr=0.01))


@odd
def rows_by_vmap():
    def loss(model, batch):
        return F.cross_entropy(vmap(model)(batch[0]), batch[1])

    return Odd(mlp(), loss)


@odd
def a_transformed_loss():
    def step(program, batch):
        named = {k: p.detach() for k, p in program.model.named_parameters()}

        def of(own):
            return F.cross_entropy(functional_call(program.model, own, (batch[0],)), batch[1])

        gradients, loss = torch.func.grad_and_value(of)(named)
        for name, parameter in program.model.named_parameters():
            parameter.grad = gradients[name]
        program.optimizer.step()
        return loss

    return Odd(mlp(), classified, step=step)


@odd
def checkpointed():
    model = nn.Sequential(
        nn.Linear(8, 32), nn.Sequential(nn.ReLU(), nn.Dropout(0.1)), nn.Linear(32, 3)
    )

    def loss(m, batch):
        states = checkpoint(m[1], m[0](batch[0]), use_reentrant=False)
        return F.cross_entropy(m[2](states), batch[1])

    return Odd(model, loss)


@odd
def checkpointed_reentrantly():
    model = nn.Sequential(
        nn.Linear(8, 32), nn.Sequential(nn.ReLU(), nn.Dropout(0.1)), nn.Linear(32, 3)
    )

    def loss(m, batch):
        states = checkpoint(m[1], m[0](batch[0]), use_reentrant=True)
        return F.cross_entropy(m[2](states), batch[1])

    return Odd(model, loss)


@odd
def several_roots():
    def step(program, batch):
        program.optimizer.zero_grad()
        losses = F.cross_entropy(program.model(batch[0]), batch[1], reduction="none") / ROWS
        torch.autograd.backward([losses[:8].sum(), losses[8:]], [None, torch.ones(len(losses) - 8)])
        program.optimizer.step()
        return losses.sum()

    return Odd(mlp(), classified, step=step)


@odd
def hooks_that_raise():
    def step(program, batch):
        try:
            return ordinary(program, batch)
        except ArithmeticError:
            return 0.0

    def hook(*_):
        model.calls += model.training
        if model.training and model.calls % 7 == 0:
            raise ArithmeticError

    model = mlp()
    model.calls = 0

    def after(program):
        handle.remove()

    handle = model[1].register_forward_hook(hook)
    return Odd(model, classified, step=step, after=after)


@odd
def losses_that_are_floats():
    def loss(model, batch):
        if batch[0][0, 0] > 1:
            return 0.0
        return classified(model, batch)

    def step(program, batch):
        value = program.loss(program.model, batch)
        if isinstance(value, float):
            return value
        program.optimizer.zero_grad()
        value.backward()
        program.optimizer.step()
        return value

    return Odd(mlp(), loss, step=step)


# ---- what else goes on ----


@odd
def an_average_beside():
    def step(program, batch):
        loss = ordinary(program, batch)
        average = program.kept.setdefault("average", copy.deepcopy(program.model))
        with torch.no_grad():
            for own, other in zip(average.parameters(), program.model.parameters(), strict=True):
                own.lerp_(other, 0.1)
            average(batch[0])
        return loss

    return Odd(mlp(), classified, step=step)


@odd
def copied_between_forward_and_backward():
    def step(program, batch):
        program.optimizer.zero_grad()
        loss = program.loss(program.model, batch)
        program.kept["copy"] = copy.deepcopy(program.model)
        pickle.dumps(program.model)
        loss.backward()
        program.optimizer.step()
        return loss

    return Odd(mlp(), classified, step=step)


@odd
def threads_that_call_the_model():
    def step(program, batch):
        answers = [None] * 2

        def answer(place):
            with torch.no_grad():
                answers[place] = program.model(batch[0]).sum()

        threads = [threading.Thread(target=answer, args=(place,)) for place in range(2)]
        for thread in threads:
            thread.start()
        loss = ordinary(program, batch) if not program.kept else None
        for thread in threads:
            thread.join()
        return loss

    return Odd(mlp(), classified, step=step)


@odd
def trained_in_a_thread():
    def step(program, batch):
        losses = []
        thread = threading.Thread(target=lambda: losses.append(ordinary(program, batch)))
        thread.start()
        thread.join()
        return losses[0]

    return Odd(mlp(), classified, step=step)


@odd
def saved_tensors_elsewhere():
    def loss(model, batch):
        with torch.autograd.graph.save_on_cpu():
            return classified(model, batch)

    return Odd(mlp(), loss)


@odd
def anomaly_mode():
    """Sought in the middle of things, and left again; it finds a NaN in the first step."""

    def step(program, batch):
        program.kept.setdefault("before", torch.is_anomaly_enabled())
        with torch.autograd.detect_anomaly(check_nan=True):
            if len(program.kept) == 1:
                with pytest.raises(RuntimeError, match="nan values"):
                    (torch.zeros(1, requires_grad=True).sqrt() * 0).sum().backward()
            program.kept["found"] = True
            loss = ordinary(program, batch)
        assert torch.is_anomaly_enabled() is program.kept["before"]
        return loss

    return Odd(mlp(), classified, step=step)


@odd
def judged_in_inference_mode():
    def step(program, batch):
        with torch.inference_mode():
            program.kept["last"] = program.model(batch[0].clone())
        return ordinary(program, batch)

    return Odd(mlp(), classified, step=step)


@odd
def second_derivatives():
    def loss(model, batch):
        with torch.enable_grad():
            x = batch[0].clone().requires_grad_()
            fit = F.cross_entropy(model(x), batch[1])
            (slope,) = torch.autograd.grad(fit, x, create_graph=True)
            return fit + 0.1 * slope.square().sum()

    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, CLASSES))
    return Odd(model, loss)


class Marked(torch.Tensor):
    """A tensor subclass that follows every function."""


@odd
def subclassed_tensors():
    def loss(model, batch):
        return F.cross_entropy(model(batch[0].as_subclass(Marked)), batch[1]).as_subclass(
            torch.Tensor
        )

    return Odd(mlp(), loss)


@odd
def hooks_on_tensors_that_change_them():
    def loss(model, batch):
        answer = model(batch[0])
        if answer.requires_grad:
            answer.register_hook(lambda gradient: gradient.clamp(-1, 1))
        return F.cross_entropy(answer, batch[1])

    return Odd(mlp(), loss)


@odd
def operations_counted():
    """A mode of torch's counts the floating-point operations of each step."""

    def step(program, batch):
        with FlopCounterMode(display=False) as counter:
            loss = ordinary(program, batch)
        return loss.item() + counter.get_total_flops()

    return Odd(mlp(), classified, step=step)


@odd
def functions_followed():
    class Counting(TorchFunctionMode):
        def __torch_function__(self, function, _types, args=(), kwargs=None):
            self.calls = getattr(self, "calls", 0) + 1
            return function(*args, **(kwargs or {}))

    def step(program, batch):
        with Counting() as counting:
            loss = ordinary(program, batch)
        return loss.item() + counting.calls

    return Odd(mlp(), classified, step=step)


@odd
def a_rehearsal_with_fake_tensors():
    def step(program, batch):
        if not program.kept:
            with FakeTensorMode(allow_non_fake_inputs=True) as mode:
                fake = mode.from_tensor(batch[0])
                program.kept["shape"] = program.model(fake).shape
        return ordinary(program, batch)

    return Odd(mlp(), classified, step=step)


@odd
def parts_without_answers():
    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, store):
            store["factor"] = self.weight

    class Storing(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.silent = mlp(), Silent()

        def forward(self, x):
            store = {}
            self.silent(store)
            return self.inner(x) * store["factor"]

    return Odd(Storing(), classified)


@odd
def bytes_as_inputs():
    def data(seed):
        x, y = blobs(seed)
        return shuffled((x * 20 + 128).clamp(0, 255).to(torch.uint8), y)

    return Odd(mlp(), lambda m, b: F.cross_entropy(m((b[0].float() - 128) / 20), b[1]), data=data)


@odd
def bytes_within():
    class Scaling(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x):
            return self.inner((x.float() - 128) / 20)

    def data(seed):
        x, y = blobs(seed)
        return shuffled((x * 20 + 128).clamp(0, 255).to(torch.uint8), y)

    return Odd(Scaling(), classified, data=data)


@odd
def streams_of_rows():
    class Stream(IterableDataset):
        def __init__(self, seed):
            self.seed = seed

        def __iter__(self):
            yield from zip(*blobs(self.seed), strict=True)

    return Odd(mlp(), classified, data=lambda seed: DataLoader(Stream(seed), ROWS))


@odd
def an_optimizer_of_its_own():
    class Own(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {})

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.sub_(0.1 * parameter.grad)

    model = mlp()
    return Odd(model, classified, Own(model.parameters()))


@odd
def outputs_saved_before_backward():
    def step(program, batch):
        program.optimizer.zero_grad()
        answer = program.model(batch[0])
        loss = F.cross_entropy(answer, batch[1])
        torch.save((answer, loss), io.BytesIO())
        loss.backward()
        program.optimizer.step()
        return loss

    return Odd(mlp(), classified, step=step)


# ---- the tests ----


def check(name, path, **how):
    plain, shown = train(name, **how), []
    record = observed(lambda: shown.append(train(name, **how)), path)
    assert record.end["failure"] is None
    assert shown == [plain]
    alarms = [f"{f.code} {f.text}" for f in diagnose(record).findings if f.severity != "note"]
    assert alarms == []


@pytest.fixture(autouse=True)
def _torch_warns_each_time():
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_program_runs_as_it_would_alone_and_is_not_alarmed(name, tmp_path):
    check(name, tmp_path / "run.dx", steps=FEW)


@pytest.mark.slow
@pytest.mark.parametrize("validates", [True, False], ids=["validating", "alone"])
@pytest.mark.parametrize("name", ODD)
def test_so_does_a_longer_one(name, validates, tmp_path):
    check(name, tmp_path / "run.dx", validates=validates)


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("name", ODD)
def test_a_checkup_of_it_measures_or_says_why_not(name, monkeypatch):
    monkeypatch.setattr("torchdx.checkups.checkup.STEPS", 4)
    monkeypatch.setattr("torchdx.probes.one_batch.STEPS", 60)
    torch.manual_seed(0)
    program = ODD[name]()
    batch = next(iter(program.batches))
    if name in REFUSED:
        with pytest.raises(CallError, match=REFUSED[name]):
            dx.checkup(program.model, batch, program.loss, program.optimizer)
        return
    result = dx.checkup(program.model, batch, program.loss, program.optimizer)
    assert [row for row in result.rows if row.outcome == "finding"] == []
    assert len(result.rows) > 20


REFUSED = {
    "empty_tuple_output": "by a variable",
    "no_parameters": "wants a gradient outside",
    "models_in_a_list": "another module",
    "an_ensemble_by_vmap": "another module",
    "lazy_layers": "no shape yet",
    "scripted": "TorchScript",
    "traced": "TorchScript",
    "partly_scripted": "TorchScript",
    "once_a_batch": "these rows were here before",
}


def printed(start, names, folder):
    run = subprocess.run(
        [sys.executable, *start, __file__, *names],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return run.returncode, run.stdout, run.stderr


@pytest.mark.parametrize(
    "names",
    [["hooks_that_raise"], pytest.param([], marks=pytest.mark.slow)],
    ids=["one", "all"],
)
def test_many_in_one_script_print_the_same_and_end_with_its_status(names, tmp_path):
    status, plain, _ = printed([], names, tmp_path)
    watch = ["-m", "torchdx", "run", "--record", str(tmp_path / "run.dx")]
    watched, shown, told = printed(watch, names, tmp_path)
    assert (watched, shown) == (status, plain)
    assert status == STATUS
    assert "Traceback" not in told
    assert read(tmp_path / "run.dx").end["failure"] is None


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in sys.argv[1:] or ODD:
        print(each, train(each, FEW))  # noqa: T201  # it is compared
    sys.exit(STATUS)
