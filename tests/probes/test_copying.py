import random
import sys
import threading
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from tests.probes.subjects import CLASSES, FEATURES, Lambda, cross_entropy, mlp, rows, subject
from torchdx.probes.copying import copied
from torchdx.probes.initial import initial
from torchdx.probes.mixing import mixing
from torchdx.probes.modes import modes
from torchdx.probes.one_batch import one_batch
from torchdx.probes.sharpness import sharpness
from torchdx.probes.stand_in import standing_in
from torchdx.probes.subject import Unmeasured
from torchdx.probes.zeroed import zeroed

SEEN: list[int] = []
TALLY = {"calls": 0}
COUNT = 0


def sharp(given):
    return sharpness(given, torch.optim.SGD(given.model.parameters(), lr=0.1, momentum=0.9))


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr("torchdx.probes.one_batch.STEPS", 20)


PROBES = [modes, mixing, zeroed, initial, sharp, one_batch]


def world() -> list:
    """All that a probe could disturb outside of the model."""
    return [
        torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()),  # noqa: NPY002
        torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), sys.stdout, sys.stderr,
        list(SEEN), dict(TALLY), COUNT, warnings._showwarnmsg,
    ]  # fmt: skip


def state_of(model: nn.Module) -> dict:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "values": {name: t.detach().clone() for name, t in tensors.items()},
        "versions": {name: t._version for name, t in tensors.items()},
        "gradients": {n: None if t.grad is None else t.grad.clone() for n, t in tensors.items()},
        "modes": [m.training for m in model.modules()],
        "hooks": [len(m._forward_hooks) for m in model.modules()],
        "attributes": [{k: v for k, v in vars(m).items() if type(v) in {int, list, str}}
                       for m in model.modules()],
    }  # fmt: skip


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


class Noisy(nn.Module):
    """Everything that a forward can leave behind."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(FEATURES, 8), nn.BatchNorm1d(8)
        self.drop, self.last = nn.Dropout(0.5), nn.Linear(8, CLASSES)
        self.kept, self.trail = None, []
        self.own = torch.Generator().manual_seed(3)
        self.data = TensorDataset(rows())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("a line of the program's")  # noqa: T201
        warnings.warn("a warning of the program's", stacklevel=1)
        SEEN.append(len(SEEN))
        TALLY["calls"] += 1
        type(self).calls = getattr(type(self), "calls", 0) + 1
        self.kept = hidden = self.norm(self.first(x))
        self.trail.append(1)
        random.random()
        np.random.rand()  # noqa: NPY002
        hidden = hidden + 0.0 * torch.rand(8, generator=self.own)
        return self.last(self.drop(hidden.relu()))


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.filterwarnings("ignore")
def test_a_probe_leaves_model_and_world_bit_equal(probe, capsys):
    torch.manual_seed(0)
    model = Noisy()
    given = subject(model)
    cross_entropy(model(rows())).backward()
    capsys.readouterr()
    generator = model.own.get_state()
    before, around = state_of(model), world()
    calls = Noisy.calls
    with torch.no_grad():
        found = probe(given)
        assert not torch.is_grad_enabled()
    assert same(before, state_of(model))
    assert around == world()
    assert torch.equal(generator, model.own.get_state())
    assert Noisy.calls == calls
    assert capsys.readouterr() == ("", "")
    assert not isinstance(found, Unmeasured), found


@pytest.mark.parametrize("probe", PROBES)
def test_a_plain_model_is_measured_and_left_as_it_was(probe):
    model = mlp(nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3))
    given = subject(model)
    before, around = state_of(model), world()
    found = probe(given)
    assert not isinstance(found, Unmeasured), found
    assert same(before, state_of(model))
    assert around == world()


def test_what_the_program_hooks_into_its_model_does_not_run(capsys):
    model = mlp()
    model[0].register_forward_hook(lambda *_: SEEN.append(1))
    model[0].weight.register_hook(lambda _: SEEN.append(2))
    nn.modules.module.register_module_forward_hook(handle := lambda *_: SEEN.append(3))
    try:
        given = subject(model)
        count = len(SEEN)
        for probe in PROBES:
            assert not isinstance(probe(given), Unmeasured)
        assert len(SEEN) == count
        model(rows())
        assert len(SEEN) > count
    finally:
        hooks = nn.modules.module._global_forward_hooks
        for key in [k for k, hook in hooks.items() if hook is handle]:
            del hooks[key]


def test_a_hook_that_changes_the_answer_is_noticed():
    model = mlp()
    model.register_forward_hook(lambda _m, _i, output: output * 2)
    assert "does not answer the same" in modes(subject(model)).because


def test_hooks_that_are_part_of_a_layer_stay():
    model = mlp()
    nn.utils.spectral_norm(model[0])
    model[0].register_forward_pre_hook(lambda *_: None)
    double = copied(model, (rows(),), {}).model
    assert len(model[0]._forward_pre_hooks) == 2
    assert len(double[0]._forward_pre_hooks) == 1
    model.eval()
    assert modes(subject(model)).eval_difference == 0


def test_what_a_forward_warns_of_is_not_told_again(monkeypatch):
    def forward(self, x):
        warnings.warn("a warning of the program's", stacklevel=1)
        return self.net(x)

    told = []
    monkeypatch.setattr(warnings, "_showwarnmsg", told.append)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        given = subject(Lambda(forward, net=mlp()))
        assert len(told) == 1
        assert not isinstance(modes(given), Unmeasured)
    assert len(told) == 1


def counting(self, x):
    global COUNT  # noqa: PLW0603
    COUNT += 1
    return self.net(x)


def counting_its_calls(self, x):
    self.count = getattr(self, "count", 0) + 1
    return self.net(x) * self.count


def once_only(self, x):
    if getattr(self, "used", False):
        msg = "this model runs once"
        raise ValueError(msg)
    self.used = True
    return self.net(x)


def carrying_its_state(self, x):
    self.carried = self.net(x).mean(0) + getattr(self, "carried", 0)
    return self.net(x) + self.carried


def closing_over_a_number():
    count = 0

    def forward(self, x):
        nonlocal count
        count += 1
        return self.net(x)

    return forward


def holding_a_lock(self, x):
    self.lock = threading.Lock()
    return self.net(x)


def told_by_the_other(self, x):
    return OUTSIDE(x) + self.net(x)


OUTSIDE = nn.Linear(FEATURES, CLASSES)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize(
    ("forward", "because"),
    [
        (counting, "assigns to COUNT"),
        (closing_over_a_number(), "assigns to count"),
        (counting_its_calls, "does not answer the same"),
        (once_only, "this model runs once"),
        (carrying_its_state, "does not answer the same"),
        (holding_a_lock, "cannot be copied"),
        (told_by_the_other, "another module"),
    ],
    ids=["global", "closure", "counts", "once", "carries", "lock", "outside"],
)
def test_what_cannot_be_measured_says_why_and_is_left_alone(probe, forward, because):
    model = Lambda(forward, net=mlp())
    given = subject(model)
    around = world()
    found = probe(given)
    assert isinstance(found, Unmeasured)
    assert because in found.because
    assert around == world()


def test_globals_that_a_forward_fills_are_put_back():
    def forward(self, x):
        SEEN.append(len(x))
        TALLY["calls"] += 1
        return self.net(x)

    given = subject(Lambda(forward, net=mlp()))
    around = world()
    assert not isinstance(modes(given), Unmeasured)
    assert around == world()


class Odd(nn.Module):
    """Answers in a form of its own."""

    def __init__(self, form) -> None:
        super().__init__()
        self.net, self.form = mlp(nn.Dropout(0.5)), form

    def forward(self, x):
        return self.form(self.net(x))


FORMS = {
    "a tuple": lambda z: (z, z.argmax(1)),
    "a mapping": lambda z: OrderedDict(scores=z, words="none"),
    "nested": lambda z: {"a": [z, (z * 2,)]},
    "complex": lambda z: torch.complex(z, z * 2),
    "sparse": lambda z: z.relu().to_sparse(),
    "one number": lambda z: z.sum(),
    "nothing": lambda _: None,
    "words": lambda _: "words",
}


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("form", FORMS)
def test_answers_of_any_form_are_measured_or_left_with_a_reason(probe, form):
    model = Odd(FORMS[form])
    given = subject(model, loss=None)
    before, around = state_of(model), world()
    found = probe(given)
    assert not isinstance(found, Unmeasured) or found.because
    assert same(before, state_of(model))
    assert around == world()


def whole_numbers():
    net = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, CLASSES))
    return net, (torch.arange(48).view(16, 3) % 10,), {}


def sparse_rows():
    net = Lambda(lambda self, x: torch.sparse.mm(x, self.last.weight.t()), last=nn.Linear(6, 3))
    return net, (rows().relu().to_sparse(),), {}


def no_rows():
    return nn.Linear(FEATURES, CLASSES), (rows(0, FEATURES),), {}


def by_keyword():
    net = Lambda(lambda self, *, x, scale: self.net(x) * scale, net=mlp())
    return net, (), {"x": rows(), "scale": 2.0}


def complex_rows():
    net = Lambda(lambda self, x: self.last(x.abs()), last=nn.Linear(6, 3))
    return net, (torch.complex(rows(), rows(seed=2)),), {}


def tied():
    net = mlp()
    net.append(nn.Linear(CLASSES, CLASSES)).append(nn.Linear(CLASSES, CLASSES))
    net[-1].weight = net[-2].weight
    return net, (rows(),), {}


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize(
    "make", [whole_numbers, sparse_rows, no_rows, by_keyword, complex_rows, tied]
)
def test_inputs_of_any_kind_are_measured_or_left_with_a_reason(probe, make):
    torch.manual_seed(0)
    model, args, kwargs = make()
    given = subject(model, *(args or ()), **kwargs) if args else subject_by_keyword(model, kwargs)
    before, around = state_of(model), world()
    found = probe(given)
    measured = make in {whole_numbers, by_keyword, tied}
    assert not measured or not isinstance(found, Unmeasured), found
    if make is no_rows:
        assert found.because == "the batch is empty"
    assert same(before, state_of(model))
    assert around == world()


def subject_by_keyword(model, kwargs):
    from torchdx.events.glimpse import RandomState
    from torchdx.probes.subject import Subject, rebuild_loss

    state = RandomState.now()
    output = model(**kwargs)
    root = cross_entropy(output)
    return Subject(model, (), kwargs, rebuild_loss(output, root), rng=state, output=output)


def test_a_copy_keeps_ties_and_shares_no_memory():
    model, args, kwargs = tied()
    double, own, _, _ = copied(model, args, kwargs)
    assert double[-1].weight is double[-2].weight
    pairs = zip(model.parameters(), double.parameters(), strict=True)
    assert all(a.data_ptr() != b.data_ptr() for a, b in pairs)
    assert own[0].data_ptr() != args[0].data_ptr()
    assert torch.equal(own[0], args[0])


def test_a_model_too_large_for_a_copy_is_left(monkeypatch):
    monkeypatch.setattr("torchdx.probes.copying._free", lambda _: 100.0)
    assert "a copy of the model needs" in modes(subject(mlp())).because


def test_a_call_inside_a_transform_of_torch_func_is_left():
    model = mlp()
    found = []

    def inner(x):
        found.append(modes(subject(model, x, loss=None)))
        return model(x).sum()

    torch.func.grad(inner)(rows())
    assert "torch.func" in found[0].because


def test_autocast_is_as_it_was_in_the_forward():
    from dataclasses import replace

    from torchdx.events.glimpse import RandomState

    model = mlp()
    state = RandomState.now()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(rows())
    given = replace(subject(model, loss=None), rng=state, output=output)
    assert "does not answer the same" in modes(given).because
    given = replace(given, autocast=("cpu", torch.bfloat16))
    assert modes(given).eval_difference == 0


def test_a_failing_forward_of_the_copy_puts_everything_back():
    def forward(self, x):
        if not self.training:
            raise KeyboardError
        return self.net(x)

    given = subject(Lambda(forward, net=mlp()))
    around = world()
    assert "KeyboardError" in modes(given).because
    assert around == world()


class KeyboardError(Exception):
    pass


def test_a_stand_in_begins_each_forward_with_the_same_buffers():
    model = mlp(nn.BatchNorm1d(8))
    with standing_in(subject(model)) as double:
        double.rewind()
        first = double.model[1].running_mean.clone()
        double.answer()
        assert not torch.equal(first, double.model[1].running_mean)
        double.rewind()
        assert torch.equal(first, double.model[1].running_mean)


def test_statistics_that_no_observed_forward_has_moved_are_left(monkeypatch):
    from dataclasses import replace

    model = mlp(nn.BatchNorm1d(8))
    given = replace(subject(model), output=None)
    with standing_in(given) as double:
        double.forget_batch()
        double.rewind()
        assert torch.equal(double.model[1].running_var, model[1].running_var)
    later = subject(mlp(nn.BatchNorm1d(8, momentum=0.9)))
    later.model[1].running_var.fill_(0.01)
    with standing_in(later) as double:
        double.forget_batch()
        double.rewind()
        assert torch.equal(double.model[1].running_var, later.model[1].running_var)


@pytest.mark.parametrize("momentum", [0.1, 0.9, None])
def test_running_statistics_can_be_set_back_to_before_the_batch(momentum):
    model = mlp(nn.BatchNorm1d(8, momentum=momentum))
    for seed in range(3):
        model(rows(seed=seed))
    was = model[1].running_var.clone(), model[1].running_mean.clone()
    given = subject(model, rows(seed=7))
    with standing_in(given) as double:
        double.forget_batch()
        double.rewind()
        torch.testing.assert_close(double.model[1].running_var, was[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(double.model[1].running_mean, was[1], rtol=1e-4, atol=1e-5)
