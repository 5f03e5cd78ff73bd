"""Losses on which other tools answer wrongly without a word: right here, or refused."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import torchdx as dx
from tests.curvatures.cases import dense, exact, net
from torchdx.errors import CallError


def mean_square(model, batch):
    answer = model(batch)
    return (answer[0] if isinstance(answer, tuple) else answer).pow(2).mean()


def test_dropout_has_one_mask_and_equal_questions_have_equal_answers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 50), nn.Tanh(), nn.Dropout(0.5), nn.Linear(50, 2)).double()
    batch = torch.randn(64, 20).double(), torch.randint(0, 2, (64,))
    torch.manual_seed(7)
    kept = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    rebuilt = dx.curvature(model, nn.CrossEntropyLoss(), batch, method="rebuilt")
    secant = dx.curvature(model, nn.CrossEntropyLoss(), batch, method="secant")
    v = torch.randn(kept.n).double()
    torch.testing.assert_close(kept.hvp(v), rebuilt.hvp(v), rtol=0, atol=1e-13)
    torch.testing.assert_close(kept.hvp(v), secant.hvp(v), rtol=0, atol=1e-6)
    assert kept.check().repeatable
    about = kept.extremes().about
    assert about.random
    assert "one dropout mask" in str(about)


def test_batch_norm_in_training_mode_has_the_curvature_of_its_own_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).double()
    batch = torch.randn(40, 6).double(), torch.randint(0, 3, (40,))
    ours = dense(dx.curvature(model, nn.CrossEntropyLoss(), batch))
    double = nn.Sequential(
        model[0], nn.BatchNorm1d(8, track_running_stats=False).double(), model[2], model[3]
    )
    double[1].load_state_dict({"weight": model[1].weight, "bias": model[1].bias})
    torch.testing.assert_close(ours, exact(double, batch), rtol=0, atol=1e-12)
    model.eval()
    evaluated = dense(dx.curvature(model, nn.CrossEntropyLoss(), batch))
    torch.testing.assert_close(evaluated, exact(model, batch), rtol=0, atol=1e-12)
    assert float((ours - evaluated).abs().max()) > 1e-3


def test_attention_by_the_fused_kernel_is_measured_by_its_definition():
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).double()
    batch = torch.randn(2, 5, 8).double()
    ours = dx.curvature(model, mean_square, batch)
    secant = dx.curvature(model, mean_square, batch, method="secant")
    v = torch.randn(ours.n).double()
    v /= v.norm()
    torch.testing.assert_close(ours.hvp(v), secant.hvp(v), rtol=0, atol=1e-5)
    assert ours.check().sound
    model.eval()
    assert dx.curvature(model, mean_square, batch).extremes().certified


@pytest.mark.parametrize("form", ["parametrization", "hook"])
def test_weight_norm_is_refused_for_the_double_backward_that_torch_gets_wrong(form):
    torch.manual_seed(0)
    layer = nn.Linear(20, 8)
    if form == "parametrization":
        layer = nn.utils.parametrizations.weight_norm(layer)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = nn.utils.weight_norm(layer)
    model, batch = nn.Sequential(layer, nn.Tanh()), torch.randn(32, 20)
    for question in ("extremes", "critical", "trace"):
        with pytest.raises(CallError, match=r"WeightNorm.* weight_norm is at fault"):
            getattr(dx.curvature(model, mean_square, batch), question)()
    c = dx.curvature(model, mean_square, batch)
    with pytest.raises(CallError, match="not symmetric"):
        c.hvp(torch.ones(c.n))
    told = dx.curvature(model, mean_square, batch).check()
    assert not told.sound
    assert not told.symmetric
    assert told.suspects == ("WeightNormInterfaceBackward0",)
    assert "not to be believed" in str(told)


def test_a_wrong_double_backward_of_one_s_own_is_refused():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w.T

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g @ w.detach(), g.T @ x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(6, 8)
            self.w = nn.Parameter(torch.randn(3, 8))

        def forward(self, x):
            return Wrong.apply(torch.tanh(self.first(x)), self.w)

    torch.manual_seed(0)
    with pytest.raises(CallError, match="Wrong is known or free to be"):
        dx.curvature(Net(), mean_square, torch.randn(20, 6)).extremes()


def test_unused_linear_frozen_and_tied_parameters_are_right():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(7, 4)
            self.head = nn.Linear(4, 7, bias=False)
            self.head.weight = self.table.weight
            self.linear = nn.Parameter(torch.randn(3))
            self.unused = nn.Parameter(torch.randn(5))
            self.fixed = nn.Parameter(torch.randn(4), requires_grad=False)

        def forward(self, tokens):
            return self.head(torch.tanh(self.table(tokens) + self.fixed)), self.linear.sum()

    torch.manual_seed(0)
    model, tokens = Odd().double(), torch.randint(0, 7, (9,))

    def loss(model, batch):
        scores, extra = model(batch)
        return F.cross_entropy(scores, batch.roll(1)) + extra

    c = dx.curvature(model, loss, tokens)
    ours = dense(c)
    names = [n for n, _ in c.top(1).named[0].items()]
    assert c.n == 28 + 3 + 5
    assert sorted(names) == ["linear", "table.weight", "unused"]
    secant = dense(dx.curvature(model, loss, tokens, method="secant"))
    torch.testing.assert_close(ours, secant, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours, ours.T, rtol=0, atol=1e-12)
    values = torch.linalg.eigvalsh(ours)
    assert int((values.abs() < 1e-12).sum()) >= 8


def test_a_compiled_model_is_measured_as_it_is_written():
    model, batch = net()
    plain = dx.curvature(model, nn.CrossEntropyLoss(), batch).extremes().highest
    compiled = torch.compile(model, backend="eager")
    assert dx.curvature(compiled, nn.CrossEntropyLoss(), batch).extremes().highest == plain


def test_autocast_around_the_question_is_switched_off_and_within_the_loss_refused():
    model, batch = net(dtype=torch.float32)
    plain = dx.curvature(model, nn.CrossEntropyLoss(), batch).extremes().highest
    with torch.autocast("cpu", torch.bfloat16):
        found = dx.curvature(model, nn.CrossEntropyLoss(), batch).extremes()
    assert found.highest == plain
    assert "autocast switched off" in " ".join(str(found).split())

    def low(model, batch):
        with torch.autocast("cpu", torch.bfloat16):
            return F.cross_entropy(model(batch[0]), batch[1])

    with pytest.raises(CallError, match="computed in bfloat16"):
        dx.curvature(model, low, batch).extremes()


class Checkpointed(nn.Module):
    def __init__(self, *, reentrant):
        super().__init__()
        self.a, self.b = nn.Sequential(nn.Linear(6, 8), nn.Tanh()), nn.Linear(8, 3)
        self.reentrant = reentrant

    def forward(self, x):
        return self.b(checkpoint(self.a, x, use_reentrant=self.reentrant))


def test_a_checkpoint_is_right_and_a_reentrant_one_is_refused():
    torch.manual_seed(0)
    batch = torch.randn(10, 6).double().requires_grad_()
    model = Checkpointed(reentrant=False).double()
    ours = dense(dx.curvature(model, mean_square, batch))
    plain = nn.Sequential(model.a, model.b)
    torch.testing.assert_close(ours, dense(dx.curvature(plain, mean_square, batch)))
    model.reentrant = True
    with pytest.raises(CallError, match=r"reentrant checkpoint.*use_reentrant=False"):
        dx.curvature(model, mean_square, batch).extremes()


def test_an_lstm_is_twice_differentiable():
    torch.manual_seed(0)
    model, batch = nn.LSTM(5, 4, batch_first=True).double(), torch.randn(3, 6, 5).double()
    ours = dx.curvature(model, mean_square, batch)
    secant = dx.curvature(model, mean_square, batch, method="secant")
    v = torch.ones(ours.n).double()
    torch.testing.assert_close(ours.hvp(v), secant.hvp(v), rtol=0, atol=1e-5)


def test_random_numbers_outside_of_torch_s_own_generators_show_in_the_check():
    model, (x, y) = net()
    own = torch.Generator().manual_seed(0)

    def noisy(output, target):
        return F.cross_entropy(output + torch.randn(output.shape, generator=own), target)

    found = dx.curvature(model, noisy, (x, y)).check()
    assert not found.repeatable
    assert not found.sound
