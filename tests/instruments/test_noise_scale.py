import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.nn.modules import module as torch_module

from tests.support import observed

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(48, 6, generator=GENERATOR)
Y = torch.randint(0, 3, (48,), generator=GENERATOR)


def made():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3, bias=False))


def exact(model, layer):
    """Square of the mean gradient and spread of a layer's row gradients, both without bias."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(values, x, y):
        return functional.cross_entropy(functional_call(model, values, (x[None],)), y[None])

    rows = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, X, Y)
    flat = torch.cat([g.flatten(1) for n, g in rows.items() if n.startswith(layer)], 1).double()
    spread = flat.var(0).sum()
    return float((flat.mean(0) ** 2).sum() - spread / len(flat)), float(spread)


def trained(tmp_path, step, *, model=None, steps=1, rate=0.0):
    model = model or made()

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for number in range(steps):
            optimizer.zero_grad()
            step(model, number)
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


def test_spread_and_square_are_those_of_the_rows_gradients(tmp_path):
    record = trained(tmp_path, lambda m, _: functional.cross_entropy(m(X), Y).backward())
    for layer in ("0", "2"):
        square, spread = exact(made(), layer)
        assert record.series("noise.square", layer)[0][1] == pytest.approx(square, rel=1e-3)
        assert record.series("noise.spread", layer)[0][1] == pytest.approx(spread, rel=1e-3)
        assert record.series("noise.rows", layer) == [(1, 48.0)]


def test_a_summed_loss_has_the_same_scale(tmp_path):
    def summed(model, _):
        functional.cross_entropy(model(X), Y, reduction="sum").backward()

    record = trained(tmp_path, summed)
    square, spread = exact(made(), "0")
    ratio = record.series("noise.spread", "0")[0][1] / record.series("noise.square", "0")[0][1]
    assert ratio == pytest.approx(spread / square, rel=1e-3)


def test_rows_of_tiny_batches_are_put_together(tmp_path):
    def pairs(model, number):
        first = 2 * number % 48
        functional.cross_entropy(model(X[first : first + 2]), Y[first : first + 2]).backward()

    record = trained(tmp_path, pairs, steps=370)
    (first, rows), (second, _) = record.series("noise.rows", "0")
    assert (first, rows) == (16, 2.0)
    assert second >= 16 + 16 * 15


def test_steps_are_measured_ever_more_rarely_and_the_hook_is_gone_in_between(tmp_path):
    hooked = []

    def step(model, _):
        hooks = torch_module._global_forward_hooks.values()
        hooked.append(sum("NoiseScale" in hook.__qualname__ for hook in hooks))
        functional.cross_entropy(model(X), Y).backward()

    record = trained(tmp_path, step, steps=600)
    measured = [step for step, _ in record.series("noise.rows", "0")]
    assert 30 < len(measured) < 60
    assert 0 < sum(hooked[300:]) < 15


def test_layers_called_twice_or_on_sequences_are_left_out(tmp_path):
    def twice(model, _):
        (functional.cross_entropy(model(X), Y) + functional.cross_entropy(model(-X), Y)).backward()

    def sequences(model, _):
        model(X.reshape(8, 6, 6)).mean().backward()

    assert "noise.square" not in trained(tmp_path / "a", twice).signals
    assert "noise.square" not in trained(tmp_path / "b", sequences).signals


def test_an_input_that_is_filled_again_for_each_step_does_not_matter(tmp_path):
    buffer = torch.empty(2, 6)

    def pairs(model, number, *, filled):
        first = 2 * number % 48
        rows = buffer.copy_(X[first : first + 2]) if filled else X[first : first + 2]
        functional.cross_entropy(model(rows), Y[first : first + 2]).backward()

    def spread(*, filled):
        def step(model, number):
            pairs(model, number, filled=filled)

        record = trained(tmp_path / str(filled), step, steps=16)
        return record.series("noise.spread", "0")

    assert spread(filled=True) == spread(filled=False) != []


def test_an_output_that_is_changed_in_place_does_not_matter(tmp_path):
    class Changing(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.last(functional.relu(self.first(x), inplace=True))

    def step(model, _):
        functional.cross_entropy(model(X), Y).backward()

    torch.manual_seed(1)
    model = Changing()
    record = trained(tmp_path, step, model=model)
    for layer in ("first", "last"):
        square, spread = exact(model, layer)
        assert record.series("noise.square", layer)[0][1] == pytest.approx(square, rel=1e-3)
        assert record.series("noise.spread", layer)[0][1] == pytest.approx(spread, rel=1e-3)


def test_layers_before_a_batch_norm_are_left_out_for_their_rows_depend_on_each_other(tmp_path):
    def model():
        return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))

    def step(model, _):
        functional.cross_entropy(model(X), Y).backward()

    record = trained(tmp_path / "a", step, model=model())
    assert set(record.signals["noise.square"]) == {"3"}
    fixed = model().eval()
    assert set(trained(tmp_path / "b", step, model=fixed).signals["noise.square"]) == {"0", "3"}
