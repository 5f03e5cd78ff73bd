"""The tables of singular points, each held against what torch's own forward and backward give."""

import math

import pytest
import torch
import torch.nn.functional as F

from torchdx.graph.undefined import BACKWARD, FORWARD, reason
from torchdx.graph.values import kept, op_of

INF = math.inf
MISSING = torch.tensor([math.nan, 0.0])


def masked(scores):
    return F.softmax(scores.masked_fill(scores > 9, -INF), 1)


def all_ignored(scores):
    return F.cross_entropy(scores, torch.full((len(scores),), -100 if scores[0, 0] > 9 else 0))


def masked_label(scores):
    hidden = scores.masked_fill(scores > 9, -INF)
    return F.cross_entropy(hidden, torch.zeros(len(scores), dtype=torch.long))


def ctc(scores):
    steps = 2 if scores[0, 0] > 9 else 4
    given = scores.repeat(4, 1).reshape(4, 1, -1).log_softmax(-1)
    args = (torch.tensor([[1, 1]]), torch.tensor([steps]), torch.tensor([2]))
    return F.ctc_loss(given, *args, reduction="none")


# name, function, inputs at which it is not defined, inputs at which it is
FORWARD_CASES = [
    ("Log", torch.log, [0.0, 1.0], [0.5, 1.0]),
    ("Log", torch.log, [-1.0, 1.0], [0.5, 1.0]),
    ("Log2", torch.log2, [0.0, 1.0], [0.5, 1.0]),
    ("Log10", torch.log10, [0.0, 1.0], [0.5, 1.0]),
    ("Log1P", torch.log1p, [-1.0, 1.0], [-0.5, 1.0]),
    ("Log1P", torch.log1p, [-2.0, 1.0], [-0.5, 1.0]),
    ("Sqrt", torch.sqrt, [-1.0, 1.0], [0.0, 1.0]),
    ("Rsqrt", torch.rsqrt, [0.0, 1.0], [0.5, 1.0]),
    ("Rsqrt", torch.rsqrt, [-1.0, 1.0], [0.5, 1.0]),
    ("Reciprocal", torch.reciprocal, [0.0, 1.0], [0.5, 1.0]),
    ("Div", lambda x: torch.ones(2) / x, [0.0, 1.0], [0.5, 1.0]),
    ("Div", lambda x: x / x, [0.0, 1.0], [0.5, 1.0]),
    ("Remainder", lambda x: torch.remainder(torch.ones(2), x), [0.0, 1.0], [0.5, 1.0]),
    ("Pow", lambda x: x**-1.5, [0.0, 1.0], [0.5, 1.0]),
    ("Pow", lambda x: x**1.5, [-1.0, 1.0], [0.0, 1.0]),
    ("Pow", lambda x: x**9, [1e9, 1.0], [1e3, 1.0]),
    ("Pow", lambda x: x ** torch.full((2,), 9.0, requires_grad=True), [1e9, 1.0], [1e3, 1.0]),
    ("Pow", lambda x: 2**x, [200.0, 1.0], [20.0, 1.0]),
    ("Exp", torch.exp, [100.0, 1.0], [80.0, 1.0]),
    ("Exp2", torch.exp2, [200.0, 1.0], [20.0, 1.0]),
    ("Expm1", torch.expm1, [100.0, 1.0], [80.0, 1.0]),
    ("Acos", torch.acos, [1.1, 0.0], [0.9, 0.0]),
    ("Asin", torch.asin, [1.1, 0.0], [0.9, 0.0]),
    ("Atanh", torch.atanh, [1.0, 0.0], [0.9, 0.0]),
    ("Acosh", torch.acosh, [0.9, 2.0], [1.0, 2.0]),
    ("Logit", torch.logit, [0.0, 0.5], [0.1, 0.5]),
    ("Logit", torch.logit, [1.5, 0.5], [0.1, 0.5]),
    ("Softmax", masked, [[10.0, 11.0], [1.0, 2.0]], [[10.0, 1.0], [1.0, 2.0]]),
    ("Mean", lambda x: x[x > 9].mean(), [1.0, 2.0], [10.0, 2.0]),
    ("Mean", lambda x: x[x > 9].reshape(2, -1).mean(1), [1.0, 2.0], [10.0, 12.0]),
    ("Std", lambda x: x[x > 9].std(), [10.0, 2.0], [10.0, 12.0]),
    ("Var", lambda x: x[x > 9].var(), [10.0, 2.0], [10.0, 12.0]),
    ("NllLoss", all_ignored, [[10.0, 1.0]], [[1.0, 2.0]]),
    ("NllLoss", masked_label, [[10.0, 1.0]], [[1.0, 2.0]]),
    ("CtcLoss", ctc, [[10.0, 1.0]], [[1.0, 2.0]]),
    ("NativeLayerNorm", lambda x: F.layer_norm(x, (2,), eps=0.0), [1.0, 1.0], [1.0, 2.0]),
]
BACKWARD_CASES = [
    ("Sqrt", torch.sqrt, [0.0, 1.0], [0.5, 1.0]),
    ("Rsqrt", torch.rsqrt, [0.0, 1.0], [0.5, 1.0]),
    ("Log", torch.log, [0.0, 1.0], [0.5, 1.0]),
    ("Log2", torch.log2, [0.0, 1.0], [0.5, 1.0]),
    ("Log10", torch.log10, [0.0, 1.0], [0.5, 1.0]),
    ("Log1P", torch.log1p, [-1.0, 1.0], [-0.5, 1.0]),
    ("Reciprocal", torch.reciprocal, [0.0, 1.0], [0.5, 1.0]),
    ("Div", lambda x: torch.ones(2) / x, [0.0, 1.0], [0.5, 1.0]),
    ("Pow", lambda x: x**0.5, [0.0, 1.0], [0.5, 1.0]),
    ("Pow", lambda x: x**2, [math.nan, 1.0], [0.0, 1.0]),
    ("Acos", torch.acos, [1.0, 0.0], [0.9, 0.0]),
    ("Asin", torch.asin, [-1.0, 0.0], [0.9, 0.0]),
    ("Atanh", torch.atanh, [1.0, 0.0], [0.9, 0.0]),
    ("Acosh", torch.acosh, [1.0, 2.0], [1.5, 2.0]),
    ("Logit", torch.logit, [0.0, 0.5], [0.1, 0.5]),
    ("Hypot", lambda x: torch.hypot(x, x), [0.0, 1.0], [0.5, 1.0]),
    ("SpecialEntr", torch.special.entr, [0.0, 1.0], [0.5, 1.0]),
    ("Exp", torch.exp, [100.0, 1.0], [80.0, 1.0]),
    ("Exp2", torch.exp2, [200.0, 1.0], [20.0, 1.0]),
    ("Expm1", torch.expm1, [100.0, 1.0], [80.0, 1.0]),
    ("MseLoss", lambda x: F.mse_loss(x, MISSING, reduction="none"), None, None),
    ("SmoothL1Loss", lambda x: F.smooth_l1_loss(x, MISSING, reduction="none"), None, None),
]


def run(function, given):
    leaf = torch.tensor([0.5, 1.0] if given is None else given, requires_grad=True)
    result = function(leaf)
    values = {}
    waiting, seen = [result.grad_fn], []
    while waiting:
        node = waiting.pop()
        seen.append(node)
        waiting += [below for below, _ in node.next_functions if below is not None]
    for node in seen:
        values.setdefault(op_of(node), kept(node))
    return leaf, result, values


@pytest.mark.filterwarnings("ignore:std", "ignore:var")
@pytest.mark.parametrize(("op", "function", "bad", "good"), FORWARD_CASES)
def test_a_result_is_bad_just_where_the_table_says(op, function, bad, good):
    _, result, values = run(function, bad)
    assert not torch.isfinite(result).all()
    assert reason(FORWARD[op], values[op]) is not None
    _, result, values = run(function, good)
    assert torch.isfinite(result).all()
    assert reason(FORWARD[op], values[op]) is None


@pytest.mark.parametrize(("op", "function", "bad", "good"), BACKWARD_CASES)
def test_a_gradient_is_bad_just_where_the_table_says(op, function, bad, good):
    leaf, result, values = run(function, bad)
    result.backward(torch.zeros_like(result))  # even where nothing comes back
    assert reason(BACKWARD[op], values[op]) is not None
    zeros = leaf.grad
    leaf, result, _ = run(function, bad)
    result.backward(torch.ones_like(result))
    assert not torch.isfinite(leaf.grad).all()
    assert not torch.isfinite(zeros).all()
    if good is not None:
        leaf, result, values = run(function, good)
        result.backward(torch.ones_like(result))
        assert torch.isfinite(leaf.grad).all()
        assert reason(BACKWARD[op], values[op]) is None


def test_every_entry_of_the_tables_was_held_against_torch():
    assert {*FORWARD} - {"NllLoss2D", "LogSoftmax"} == {case[0] for case in FORWARD_CASES}
    assert set(BACKWARD) == {case[0] for case in BACKWARD_CASES}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.norm(),
        lambda x: x.norm(p=3),
        torch.linalg.vector_norm,
        lambda x: (x * 0 + 1).std(),
        lambda x: torch.atan2(x, x),
        torch.abs,
        lambda x: x.pow(2),
        torch.prod,
    ],
)
def test_what_is_left_out_on_purpose_has_a_finite_gradient_at_0(function):
    leaf = torch.zeros(3, requires_grad=True)
    function(leaf).sum().backward()
    assert torch.isfinite(leaf.grad).all()


def test_a_reason_counts_the_elements_and_tells_their_extent():
    _, _, values = run(torch.log, [0.0, 0.0, 2.0, 0.5])
    why = reason(FORWARD["Log"], values["Log"])
    assert (why.words, why.count, why.of) == ("the logarithm of 0", 2, 4)
    assert (why.low, why.high) == (0.0, 2.0)


def test_what_was_kept_is_not_read_where_reading_would_run_the_program_again():
    from torch.utils.checkpoint import checkpoint

    calls = []

    def inner(x):
        calls.append(1)
        return x.log()

    x = torch.ones(2, requires_grad=True)
    result = checkpoint(inner, x, use_reentrant=False)
    assert kept(result.grad_fn) == {}
    assert calls == [1]
