import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.rules.probed import modes, record, validation
from tests.support import answers, findings, observed

X, Y = torch.randn(24, 6, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 3


class Net(nn.Module):
    def __init__(self, training):
        super().__init__()
        self.first, self.last, self.switch = nn.Linear(6, 8), nn.Linear(8, 3), training

    def forward(self, x):
        hidden = self.first(x).relu()
        if self.switch:
            return self.last(F.dropout(hidden, 0.5, self.training))
        return self.last(F.dropout(hidden, 0.5))


def train(*, switch, validate=True):
    torch.manual_seed(0)
    net = Net(switch)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(4):
        net.train()
        optimizer.zero_grad()
        F.cross_entropy(net(X), Y).backward()
        optimizer.step()
        if validate:
            net.eval()
            with torch.no_grad():
                net(X)


def test_functional_dropout_without_its_switch_is_found_at_its_line(tmp_path):
    (finding,) = findings("R02", observed(lambda: train(switch=False), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "return self.last(F.dropout(hidden, 0.5))"
    assert "dropout with p=0.5 drops values in evaluation mode too" in finding.text
    assert finding.prescriptions[0].text.endswith("training=self.training)")


def test_functional_dropout_that_follows_the_mode_is_silent(tmp_path):
    assert answers("R02", observed(lambda: train(switch=True), tmp_path / "run.dx")) == []


def test_without_any_evaluation_it_is_a_suspicion(tmp_path):
    run = observed(lambda: train(switch=False, validate=False), tmp_path / "run.dx")
    (finding,) = findings("R02", run)
    assert finding.severity == "suspicion"
    assert finding.confirm


def drawn(**facts):
    return {"function": "dropout", "dropout": True, "p": 0.5, "path": "", "place": 4, **facts}


@pytest.mark.parametrize(
    "text",
    [
        "x = F.dropout(x, 0.1, training=True)  # Monte Carlo",
        "x = F.dropout(x, self.p, True)",
        "x = torch.dropout(x, 0.1, train = True)",
    ],
)
def test_dropout_that_is_asked_for_in_so_many_words_is_meant(text):
    run = modes(record(text=text), 1, eval_difference=0.3, drawn=[drawn()])
    assert answers("R02", validation(run)) == []
    run = modes(record(text="x = F.dropout(x, 0.1)"), 1, eval_difference=0.3, drawn=[drawn()])
    assert len(findings("R02", validation(run))) == 1


def test_a_dropout_layer_that_is_kept_in_training_mode_is_meant():
    run = modes(record(), 1, eval_difference=0.3, drawn=[drawn(path="drop")])
    assert answers("R02", validation(run)) == []


def test_attention_is_told_how_to_switch_its_dropout():
    attention = drawn(function="scaled_dot_product_attention", p=0.2, path="first")
    (finding,) = findings("R02", modes(record(), 1, eval_difference=0.01, drawn=[attention]))
    assert finding.place == "first"
    assert "self.training else 0.0" in finding.prescriptions[0].text


def test_noise_that_is_no_dropout_is_silent():
    noise = drawn(function="randn_like", dropout=False, p=0.0)
    assert answers("R02", modes(record(), 1, eval_difference=1.0, drawn=[noise])) == []


def test_a_run_that_was_not_probed_has_no_answer():
    assert answers("R02", record()) == []
