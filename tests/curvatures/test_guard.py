"""The program is bit for bit as before, whatever was asked."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import torchdx as dx
from torchdx.errors import CallError


class Counting(nn.Module):
    """A net with all that a forward may move: running statistics, masks, an attribute."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(8, 3)
        self.frozen = nn.Linear(3, 3).requires_grad_(requires_grad=False)
        self.unused = nn.Linear(2, 2)
        self.last = None
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.last = x.mean()
        random.random()
        np.random.rand()  # noqa: NPY002
        return self.frozen(self.head(self.drop(torch.tanh(self.norm(self.inner(x))))))


def trained():
    torch.manual_seed(0)
    model = Counting()
    x, y = torch.randn(32, 6), torch.randint(0, 3, (32,))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.drop.eval()
    model.drop.train()
    return model, (x, y), optimizer


def state(model, optimizer):
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "values": {n: t.detach().clone() for n, t in tensors.items()},
        "memory": {n: t.data_ptr() for n, t in tensors.items()},
        "versions": {n: t._version for n, t in tensors.items()},
        "objects": {n: id(t) for n, t in tensors.items()},
        "grads": {
            n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()
        },
        "grad objects": {n: id(p.grad) for n, p in model.named_parameters()},
        "modes": [m.training for m in model.modules()],
        "wanted": [p.requires_grad for p in model.parameters()],
        "attributes": (model.calls, id(model.last)),
        "random": (torch.get_rng_state(), random.getstate(), str(np.random.get_state())),  # noqa: NPY002
        "optimizer": str(optimizer.state_dict()),
        "hooks": [len(p._backward_hooks or {}) for p in model.parameters()],
    }


def assert_same(before, after):
    for key, value in before.items():
        if key in {"values", "grads"}:
            for name, tensor in value.items():
                assert (tensor is None) == (after[key][name] is None)
                assert tensor is None or torch.equal(tensor, after[key][name]), (key, name)
        elif key == "random":
            assert torch.equal(value[0], after[key][0])
            assert value[1:] == after[key][1:]
        else:
            assert value == after[key], key


QUESTIONS = {
    "hvp": lambda c: c.hvp(torch.ones(c.n)),
    "extremes": lambda c: c.extremes(),
    "top": lambda c: c.top(2),
    "trace": lambda c: c.trace(products=5),
    "density": lambda c: c.density(),
    "step": lambda c: c.step(max_norm=1.0),
    "stability": lambda c: c.stability(),
    "critical": lambda c: c.critical(),
    "escape": lambda c: c.escape(),
    "noise": lambda c: c.escape("noise", steps=3),
    "blocks": lambda c: c.blocks(products=3),
    "slice": lambda c: c.slice("update", "eig0", n=3),
    "growing": lambda c: c.growing_steps([0.1, 1.0]),
    "convexity": lambda c: c.convexity(pairs=2, products=5),
    "track": lambda c: c.track(),
    "check": lambda c: c.check(),
}


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_nothing_moves(question):
    model, batch, optimizer = trained()
    before = state(model, optimizer)
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch, optimizer)
    assert_same(before, state(model, optimizer))
    QUESTIONS[question](c)
    assert_same(before, state(model, optimizer))


@pytest.mark.parametrize("method", ["rebuilt", "secant"])
def test_nothing_moves_by_the_other_methods(method):
    model, batch, optimizer = trained()
    before = state(model, optimizer)
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch, optimizer, method=method)
    c.extremes(products=4)
    c.step()
    assert_same(before, state(model, optimizer))


def test_nothing_moves_when_a_question_fails_half_way():
    model, batch, optimizer = trained()

    def broken(output, target):
        raise ValueError(output.shape)

    before = state(model, optimizer)
    with pytest.raises(CallError, match="could not be computed"):
        dx.curvature(model, broken, batch, optimizer).extremes()
    assert_same(before, state(model, optimizer))


def test_nothing_moves_by_a_closure_either():
    model, (x, y), optimizer = trained()
    before = state(model, optimizer)
    c = dx.curvature(
        lambda: nn.functional.cross_entropy(model(x), y), model.parameters(), optimizer=optimizer
    )
    c.extremes()
    c.step()
    c.slice("gradient", n=3)
    assert_same(before, state(model, optimizer))


def test_training_goes_on_as_if_nothing_had_been_asked():
    def losses(*, asked):
        model, (x, y), optimizer = trained()
        found = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            if asked:
                c = dx.curvature(model, nn.CrossEntropyLoss(), (x, y), optimizer)
                c.extremes()
                c.step()
            optimizer.step()
            found.append(float(loss.detach()))
        return found

    assert losses(asked=False) == losses(asked=True)


def test_a_hook_that_bends_gradients_does_not_bend_the_hessian_and_stays():
    model, batch, _ = trained()
    plain = dx.curvature(model, nn.CrossEntropyLoss(), batch).extremes().highest
    seen = []
    model.inner.weight.register_hook(lambda g: (seen.append(1), g * 100)[1])
    assert dx.curvature(model, nn.CrossEntropyLoss(), batch).extremes().highest == plain
    assert not seen
    nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
    assert seen


def test_the_mode_at_the_start_is_the_mode_of_all_answers():
    model, batch, _ = trained()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    product = c.hvp(torch.ones(c.n))
    model.eval()
    c.release()
    torch.testing.assert_close(c.hvp(torch.ones(c.n)), product)
    assert not model.training
    assert c.extremes().about.mode == "training"
    assert dx.curvature(model, nn.CrossEntropyLoss(), batch).extremes().about.mode == "evaluation"


def test_the_scheduler_s_optimizer_is_not_stepped():
    model, batch, optimizer = trained()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    before = state(model, optimizer)
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch, optimizer)
    c.step()
    assert_same(before, state(model, optimizer))
    assert scheduler.get_last_lr() == [1e-2]


def test_modules_are_found_wherever_a_loss_refers_to_them():
    import functools

    from torchdx.curvatures.guard import modules_of

    inner, other = nn.Linear(1, 1), nn.Linear(1, 1)

    class Loss:
        def __init__(self):
            self.parts = {"a": [inner]}

        def __call__(self):
            return None

    def closure():
        return other

    def outer():
        return closure()

    assert list(modules_of(Loss())) == [inner]
    assert list(modules_of(Loss().__call__)) == [inner]
    assert list(modules_of(outer)) == [other]
    assert list(modules_of(functools.partial(closure, x=inner))) == [other, inner]
    assert list(modules_of(list(range(10**6)))) == []
