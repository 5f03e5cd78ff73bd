"""How the first value that is not finite is noticed, and what is kept of it."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.support import observed
from torchdx.instruments import finiteness, nonfinite

ROWS, FEATURES = 8, 4


def training(loss, *, bad_at=3, steps=8, lr=0.01, net=None, step=True):
    """A program that takes its loss from `loss(net, x, bad)`."""

    def program():
        torch.manual_seed(0)
        model = net() if net else nn.Linear(FEATURES, FEATURES)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for i in range(steps):
            x = torch.randn(ROWS, FEATURES)
            optimizer.zero_grad()
            loss(model, x, i >= bad_at).backward()
            if step:
                optimizer.step()

    return program


def first(program, tmp_path):
    record = tmp_path / f"{len(list(tmp_path.iterdir()))}.dx"
    events = observed(program, record).of("nonfinite")
    return events[0] if events else None


def log_of_softmax(net, x, bad):
    p = F.softmax(net(x) * (300 if bad else 1), 1)
    return -torch.log(p).mean()


def root_of_0(net, x, bad):
    h = net(x)
    d = (h - (h.detach() if bad else 0)).pow(2).sum(1)
    return d.sqrt().sum()


def behind_where(net, x, bad):
    h = net(x)
    shifted = h * (h > 0) if bad else h.abs() + 0.1
    return torch.where(h > 0, torch.log(shifted), torch.zeros_like(h)).sum()


def overflow(net, x, bad):
    return torch.exp(net(x) * (1e3 if bad else 1)).mean()


def fully_masked(net, x, bad):
    s = net(x) @ net(x).T
    seen = torch.ones(ROWS, ROWS).tril(-1 if bad else 0).bool()
    return F.softmax(s.masked_fill(~seen, -math.inf), -1).pow(2).sum()


def norm_at_0(net, x, bad):
    return (net(x) * (0 if bad else 1)).pow(2).sum(1).sqrt().mean()


@pytest.mark.parametrize("bad_at", [0, 3, 60])
@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (log_of_softmax, ("forward", "Log", "the logarithm of 0")),
        (root_of_0, ("backward", "Sqrt", "the derivative of the square root at 0")),
        (behind_where, ("backward", "Log", "the derivative of a logarithm at 0")),
        (overflow, ("forward", "Exp", "the overflow of an exponential")),
        (
            fully_masked,
            ("forward", "Softmax", "the softmax of a row of which all is masked (-inf)"),
        ),
        (norm_at_0, ("backward", "Sqrt", "the derivative of the square root at 0")),
    ],
)
def test_the_operation_and_its_line_are_named(loss, told, bad_at, tmp_path):
    event = first(training(loss, bad_at=bad_at, steps=bad_at + 6), tmp_path)
    facts = event.facts
    assert (facts["where"], facts["op"], facts["words"]) == told
    assert facts["at"] == bad_at
    assert event.line.function == loss.__name__
    assert told[1].lower()[:3] in event.line.text.lower()


def test_overflow_in_float16_is_told_as_such(tmp_path):
    def loss(net, x, bad):
        return (net(x).half() * (60_000 if bad else 1)).float().mean()

    facts = first(training(loss), tmp_path).facts
    assert (facts["where"], facts["half"]) == ("forward", True)


def causal(net, x, bad):
    s = net(x) @ net(x).T
    seen = torch.ones(ROWS, ROWS).tril().bool()
    return F.softmax(s.masked_fill(~seen, -math.inf), -1).pow(2).sum()


def additive(net, x, bad):
    mask = torch.full((ROWS, ROWS), -math.inf).triu(1)
    return F.softmax(net(x) @ net(x).T + mask, -1).pow(2).sum()


def scaled_dot_product(net, x, bad):
    h = net(x)[None, None]
    return F.scaled_dot_product_attention(h, h, h, is_causal=True).pow(2).mean()


def top_k(net, x, bad):
    scores = net(x)
    least = scores.topk(2, 1).values[:, -1:]
    kept = scores.masked_fill(scores < least, -math.inf)
    return F.cross_entropy(kept, scores.argmax(1))


def uninitialised(net, x, bad):
    buffer = torch.empty(1000).fill_(math.nan)
    return net(x).pow(2).mean() + 0 * buffer.numel()


def running_maximum(net, x, bad):
    best = torch.full((ROWS,), -math.inf)
    for column in net(x).T:
        best = torch.maximum(best, column)
    return best.pow(2).mean()


@pytest.mark.parametrize(
    "loss", [causal, additive, scaled_dot_product, top_k, uninitialised, running_maximum]
)
def test_infinities_that_are_meant_are_passed_over(loss, tmp_path):
    assert first(training(loss), tmp_path) is None


def test_a_masked_label_is_told_though_the_mask_is_meant(tmp_path):
    def loss(net, x, bad):
        hidden = torch.tensor([bad, False, False, False])
        return F.cross_entropy(net(x).masked_fill(hidden, -math.inf), torch.zeros(ROWS).long())

    facts = first(training(loss), tmp_path).facts
    assert facts["op"] == "NllLoss"
    assert facts["words"] == "the loss of a label whose probability is exactly 0"
    assert facts["inputs"]


def data_nan(net, x, bad):
    if bad:
        x[2, 1] = math.nan
    return F.cross_entropy(net(x), torch.arange(ROWS) % FEATURES)


def test_data_that_is_not_finite_is_told_with_its_name(tmp_path):
    facts = first(training(data_nan), tmp_path).facts
    data = facts["data"]
    assert facts["where"] == "data"
    assert (data["name"], data["source"]) == ("x", "operand")
    assert (data["rows"], data["of_rows"], data["columns"], data["nan"]) == (1, ROWS, [1], 1)


def test_targets_that_are_not_kept_by_autograd_are_found_in_the_running_function(tmp_path):
    def program():
        net = nn.Linear(FEATURES, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for i in range(4):
            wanted = torch.randn(ROWS, 1)
            wanted[3] = math.nan if i == 2 else 0.0
            optimizer.zero_grad()
            ((net(torch.randn(ROWS, FEATURES)) - wanted) ** 2).mean().backward()
            optimizer.step()

    facts = first(program, tmp_path).facts
    assert (facts["where"], facts["data"]["name"]) == ("data", "wanted")


def loader_of(values, targets):
    return DataLoader(TensorDataset(values, targets), batch_size=4)


def test_a_batch_with_nan_is_told_even_where_a_mask_hides_it_from_the_loss(tmp_path):
    def program():
        torch.manual_seed(0)
        net, targets = nn.Linear(FEATURES, 1), torch.randn(16, 1)
        targets[9] = math.nan
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for x, y in loader_of(torch.randn(16, FEATURES), targets):
            optimizer.zero_grad()
            errors = (net(x) - y) ** 2
            torch.where(y.isnan(), torch.zeros(()), errors).mean().backward()
            optimizer.step()

    facts = first(program, tmp_path).facts
    assert (facts["where"], facts["hidden"], facts["at"]) == ("data", True, 2)
    assert facts["data"]["source"] == "batch"


def test_missing_targets_that_are_chosen_away_before_are_no_fault(tmp_path):
    def program():
        net, targets = nn.Linear(FEATURES, 1), torch.randn(16, 1)
        targets[::3] = math.nan
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for x, y in loader_of(torch.randn(16, FEATURES), targets):
            optimizer.zero_grad()
            there = ~y.isnan()
            F.mse_loss(net(x)[there], y[there]).backward()
            optimizer.step()

    assert first(program, tmp_path) is None


def test_missing_values_that_the_program_has_lived_with_are_not_blamed_later(tmp_path):
    def program():
        torch.manual_seed(0)
        net, targets = nn.Linear(FEATURES, 1), torch.randn(16, 1)
        targets[::3] = math.nan
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for i, (x, y) in enumerate(loader_of(torch.randn(16, FEATURES), targets)):
            optimizer.zero_grad()
            there = ~y.isnan()
            (
                F.mse_loss(net(x)[there], y[there]) + (net.weight.abs() * (i < 2)).log().mean()
            ).backward()
            optimizer.step()

    facts = first(program, tmp_path).facts
    assert (facts["where"], facts["op"]) == ("forward", "Log")


def test_weights_that_are_bad_before_the_first_step_are_told(tmp_path):
    def net():
        model = nn.Linear(FEATURES, FEATURES)
        with torch.no_grad():
            model.weight[0, 0] = math.nan
        return model

    facts = first(training(lambda net, x, _: net(x).mean(), net=net), tmp_path).facts
    assert (facts["where"], facts["at"], facts["params"]) == ("weights", 0, ["weight"])


def test_an_update_that_breaks_the_weights_is_told_apart_from_a_gradient(tmp_path):
    facts = first(training(lambda net, x, _: net(x).pow(2).mean(), lr=1e38), tmp_path).facts
    assert (facts["where"], facts["at"]) == ("forward", 1)
    assert facts["largest_weight"] > 1e30

    def program():
        model = nn.Linear(FEATURES, FEATURES)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1, eps=0.0)
        for _ in range(3):
            optimizer.zero_grad()
            unlit = torch.tensor([1.0, 1.0, 1.0, 0.0])  # a column without a gradient: 0 / (0 + eps)
            model(torch.randn(ROWS, FEATURES) * unlit).pow(2).mean().backward()
            optimizer.step()

    facts = first(program, tmp_path).facts
    assert (facts["where"], facts["at"]) == ("update", 0)


def test_a_gradient_of_an_operation_that_is_not_known_is_told_without_one(tmp_path):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x * 1

        @staticmethod
        def backward(_, gradient):
            return gradient / 0

    def loss(net, x, bad):
        h = net(x)
        return (Broken.apply(h) if bad else h).pow(2).mean()

    facts = first(training(loss), tmp_path).facts
    assert (facts["where"], facts.get("op")) == ("gradient", None)
    assert facts["params"] == ["weight", "bias"]


def test_only_the_first_is_told_and_the_trend_before_it(tmp_path):
    record = observed(training(log_of_softmax, bad_at=5), tmp_path / "run.dx")
    (event,) = record.of("nonfinite")
    steps = [step for step, _ in event.facts["losses"]]
    assert steps == [0, 1, 2, 3, 4]
    assert event.facts["first_loss"] == pytest.approx(event.facts["losses"][0][1])


def test_what_other_devices_hand_over_late_is_told_of_the_step_in_which_it_happened(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(finiteness, "at_hand", lambda _: False)
    event = first(training(root_of_0, bad_at=6, steps=80), tmp_path)
    assert event.facts["late"]
    assert (event.facts["where"], event.facts["op"]) == ("backward", "Sqrt")
    assert event.facts["at"] == 6
    event = first(training(log_of_softmax, bad_at=6, steps=80), tmp_path)
    assert (event.facts["where"], event.facts["op"]) == ("forward", "Log")
    assert event.facts["at"] == 6


def test_a_gradient_that_was_never_looked_at_is_found_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(nonfinite, "FIRST", 0)
    monkeypatch.setattr(nonfinite, "SHARE", -1.0)
    event = first(training(root_of_0, bad_at=3, steps=4), tmp_path)
    assert (event.facts["where"], event.facts["op"]) == ("backward", "Sqrt")


def test_losses_and_weights_are_equal_to_the_last_bit(tmp_path):
    def run():
        losses = []

        def loss(net, x, bad):
            value = root_of_0(net, F.dropout(x), bad)
            losses.append(value.item())
            return value

        training(loss, bad_at=30, steps=34)()
        return [repr(value) for value in losses], torch.get_rng_state().tolist()

    plain, seen = run(), []
    observed(lambda: seen.append(run()), tmp_path / "run.dx")
    assert seen == [plain]
    assert "nan" in plain[0]


def test_no_tensor_is_kept_alive_beyond_a_few_steps(tmp_path):
    import weakref

    kept = []

    def loss(net, x, bad):
        h = net(x)
        d = (h * 1).pow(2).sum(1)
        kept.append(weakref.ref(d))
        return d.sqrt().sum()

    alive = []

    def program():
        training(loss, steps=40)()
        alive.append(sum(reference() is not None for reference in kept))

    observed(program, tmp_path / "run.dx")
    assert alive[0] <= nonfinite.BACK
