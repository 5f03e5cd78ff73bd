"""One clear message for each wrong question; nothing is changed by it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import torchdx as dx
from tests.curvatures.cases import net
from torchdx.errors import CallError


def mean_square(model, batch):
    return model(batch).pow(2).mean()


class Once(torch.autograd.Function):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x


class Squared(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 2)

    def forward(self, x):
        return Once.apply(self.inner(x))


def ctc(model, batch):
    scores = model(batch).transpose(0, 1).log_softmax(-1)
    targets = torch.ones(2, 3, dtype=torch.long)
    return F.ctc_loss(scores, targets, torch.full((2,), 9), torch.full((2,), 3))


CASES = {
    "embedding bag": (
        lambda: (
            nn.Sequential(nn.EmbeddingBag(9, 4), nn.Linear(4, 2)),
            mean_square,
            torch.ones(3, 5, dtype=torch.long),
        ),
        r"embedding_bag is not twice differentiable .*method='secant'",
    ),
    "sparse embedding": (
        lambda: (
            nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Linear(4, 2)),
            mean_square,
            torch.ones(3, 5, dtype=torch.long),
        ),
        r"sparse \(Embedding\(sparse=True\)\).*not twice differentiable",
    ),
    "ctc": (lambda: (nn.Linear(4, 6), ctc, torch.randn(2, 9, 4)), "ctc_loss is not twice"),
    "once": (lambda: (Squared(), mean_square, torch.randn(3, 4)), "but Once is not twice"),
    "vector": (
        lambda: (
            nn.Linear(4, 2),
            nn.MSELoss(reduction="none"),
            (torch.randn(3, 4), torch.randn(3, 2)),
        ),
        r"scalar loss, but the loss function gave \(3, 2\).*reduction='none'",
    ),
    "nothing": (
        lambda: (nn.Linear(4, 2), lambda *_: None, torch.randn(3, 4)),
        "the loss function gave None: a missing `return`",
    ),
    "number": (
        lambda: (
            nn.Linear(4, 2),
            lambda model, batch: model(batch).sum().item(),
            torch.randn(3, 4),
        ),
        r"the loss function gave a float\. Give the tensor itself",
    ),
    "frozen": (
        lambda: (
            nn.Linear(4, 2).requires_grad_(requires_grad=False),
            mean_square,
            torch.randn(3, 4),
        ),
        "no parameter requires a gradient",
    ),
    "nan": (
        lambda: (nn.Linear(4, 2), mean_square, torch.full((3, 4), float("nan"))),
        "The loss is nan at these weights",
    ),
    "no rows": (
        lambda: (nn.Linear(4, 2), mean_square, torch.randn(0, 4)),
        r"0 rows \(shapes: \(0, 4\)\)",
    ),
    "half": (
        lambda: (nn.Linear(4, 2).half(), mean_square, torch.randn(3, 4).half()),
        r"'weight' is torch.float16.*model.float\(\)",
    ),
    "bfloat": (
        lambda: (nn.Linear(4, 2).bfloat16(), mean_square, torch.randn(3, 4).bfloat16()),
        "torch.bfloat16",
    ),
    "detached": (
        lambda: (
            nn.Linear(4, 2),
            lambda model, b: model(b).pow(2).mean().detach(),
            torch.randn(3, 4),
        ),
        "no graph back to the parameters",
    ),
    "shapes": (
        lambda: (nn.Linear(4, 2), mean_square, torch.randn(3, 5)),
        "could not be computed as .*shapes cannot be multiplied",
    ),
    "infinite": (
        lambda: (nn.Linear(4, 2), lambda model, b: (model(b) * 0).norm(), torch.randn(3, 4)),
        "second derivative of the loss overflows|is not finite",
    ),
}


@pytest.mark.parametrize("case", list(CASES))
def test_a_wrong_question_gets_one_clear_answer_and_changes_nothing(case):
    make, told = CASES[case]
    torch.manual_seed(0)
    model, loss_fn, batch = make()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    random = torch.get_rng_state()
    with pytest.raises(CallError, match=told) as caught:
        dx.curvature(model, loss_fn, batch).extremes()
    assert "\n" not in str(caught.value)
    after = model.state_dict()
    assert all(torch.equal(t.nan_to_num(), after[n].nan_to_num()) for n, t in before.items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(random, torch.get_rng_state())


def test_what_is_not_twice_differentiable_can_be_asked_by_differences():
    torch.manual_seed(0)
    model = Squared().double()
    x = torch.randn(3, 4).double()
    c = dx.curvature(model, mean_square, x, method="secant")
    true = dx.curvature(model, lambda model, b: model.inner(b).square().pow(2).mean(), x).extremes()
    assert c.extremes().highest.middle == pytest.approx(true.highest.middle, rel=1e-3)


WRONG = {
    "no batch": (
        lambda m, _: dx.curvature(m, F.cross_entropy),
        "needs a loss function and a batch",
    ),
    "loader": (
        lambda m, b: dx.curvature(m, F.cross_entropy, DataLoader(TensorDataset(*b))),
        "takes one batch, but was given a DataLoader",
    ),
    "no model": (lambda *_: dx.curvature(3), "a model or a closure; found int"),
    "closure alone": (lambda *_: dx.curvature(torch.rand), "A closure needs its parameters"),
    "no weights": (
        lambda m, b: dx.curvature(m, F.cross_entropy, batches=[b]),
        r"pairs \(batch, weight\)",
    ),
    "negative": (
        lambda m, b: dx.curvature(m, F.cross_entropy, batches=[(b, -1)]),
        "the weight -1",
    ),
    "method": (
        lambda m, b: dx.curvature(m, F.cross_entropy, b, method="fast"),
        "method='fast' is not known",
    ),
    "no optimizer": (
        lambda m, b: dx.curvature(m, F.cross_entropy, b).step(),
        "no optimizer was given",
    ),
    "direction": (
        lambda m, b: dx.curvature(m, F.cross_entropy, b).slice("up"),
        r"slice\('up'\)",
    ),
    "eigen": (
        lambda m, b: dx.curvature(m, F.cross_entropy, b).slice("eigen"),
        "after 'eig' comes a number",
    ),
    "other weights": (
        lambda m, b: dx.curvature(m, F.cross_entropy, b).slice({}),
        "lack 0.weight",
    ),
    "escape": (
        lambda m, b: dx.curvature(m, F.cross_entropy, b).escape("luck"),
        "'curvature' and 'noise'",
    ),
    "blocks": (
        lambda m, b: dx.curvature(m, F.cross_entropy, b).blocks("net"),
        "'layer' and 'parameter'",
    ),
    "no leaf": (
        lambda m, _: dx.curvature(torch.rand, [m[0].weight * 2]),
        "computed from other tensors",
    ),
    "empty": (lambda *_: dx.spectrum(torch.neg, 0), "size 0 has no spectrum"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_a_wrong_call_is_answered_by_what_is_right(case):
    wrong, told = WRONG[case]
    model, batch = net()
    with pytest.raises(CallError, match=told):
        wrong(model, batch)


def test_optimizers_that_say_nothing_about_stability_are_refused():
    model, batch = net()
    ask = dx.curvature
    adam = torch.optim.Adam(model.parameters())
    with pytest.raises(CallError, match="has not stepped with these parameters yet"):
        ask(model, F.cross_entropy, batch, adam).stability()
    rprop = torch.optim.Rprop(model.parameters())
    with pytest.raises(CallError, match="largest stable step of Rprop is not known"):
        ask(model, F.cross_entropy, batch, rprop).stability()
    other = torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1)
    with pytest.raises(CallError, match="holds none of the parameters"):
        ask(model, F.cross_entropy, batch, other).stability()
    with pytest.raises(CallError, match="holds none of the parameters"):
        ask(model, F.cross_entropy, batch, other).step()
    sgd = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(CallError, match="was given 3 losses"):
        ask(model, F.cross_entropy, batch, sgd).stability([1.0, 2.0, 3.0])
