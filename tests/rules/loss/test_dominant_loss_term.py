import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed


def run(tmp_path, penalty, *, steps=60):
    def program():
        torch.manual_seed(0)
        model, x = net(), inputs()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

        def loss(m):
            size = sum(p.abs().sum() for p in m.parameters())
            return fn.cross_entropy(m(x), labels()) + penalty * size

        train(model, loss, steps=steps, optimizer=optimizer)

    return observed(program, tmp_path / "run.dx")


def test_a_penalty_that_leaves_the_labels_nothing_is_found(tmp_path):
    (finding,) = findings("L20", run(tmp_path, 5.0))
    assert finding.severity == "suspicion"
    assert "asks for the labels is" in finding.text
    assert "penalty * size" in finding.line.text


def test_a_small_penalty_is_silent(tmp_path):
    assert not answers("L20", run(tmp_path, 1e-4))


def test_a_penalty_of_the_size_of_the_loss_is_silent(tmp_path):
    assert not answers("L20", run(tmp_path, 0.02))


def test_a_loss_of_one_term_is_silent(tmp_path):
    def program():
        torch.manual_seed(0)
        x = inputs()
        train(net(), lambda m: fn.cross_entropy(m(x), labels()), steps=60)

    assert not answers("L20", observed(program, tmp_path / "run.dx"))


def test_a_few_steps_tell_nothing(tmp_path):
    assert not answers("L20", run(tmp_path, 5.0, steps=5))
