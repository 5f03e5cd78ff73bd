import copy

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed
from torchdx.rules.ranking import diagnose


def fit(model, optimizer, steps=4):
    loss = lambda m: F.cross_entropy(m(inputs()), labels())  # noqa: E731
    train(model, loss, steps=steps, optimizer=optimizer)


def remade():
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model = net()
    fit(model, optimizer)


def test_an_optimizer_of_the_model_before_is_found_where_it_was_made(tmp_path):
    record = observed(remade, tmp_path / "run.dx")
    (finding,) = findings("O07", record)
    assert finding.severity == "fault"
    assert finding.line.text.startswith("optimizer = torch.optim.Adam(")
    assert "this Adam stepped 4 times" in finding.text
    assert "one of its 4 parameters; the 4 parameters that the loss reaches" in finding.text
    assert [f.code for f in diagnose(record).findings] == ["O07"]


def test_an_optimizer_of_the_original_of_a_copy_is_found(tmp_path):
    def program():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        fit(copy.deepcopy(model), optimizer)

    assert findings("O07", observed(program, tmp_path / "run.dx"))


def test_an_optimizer_made_after_the_model_is_silent(tmp_path):
    def program():
        for _ in range(3):
            model = net()
            fit(model, torch.optim.Adam(model.parameters(), lr=0.01))

    assert not answers("O07", observed(program, tmp_path / "run.dx"))


def test_a_model_of_which_one_layer_is_replaced_is_not_this(tmp_path):
    def program():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        model[2] = torch.nn.Linear(8, 4)
        fit(model, optimizer)

    assert not answers("O07", observed(program, tmp_path / "run.dx"))


def test_a_first_step_without_gradients_is_silent(tmp_path):
    def program():
        model = net()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        optimizer.step()
        fit(model, optimizer)

    assert not answers("O07", observed(program, tmp_path / "run.dx"))


def test_parameters_inside_a_reentrant_checkpoint_count_as_reached(tmp_path):
    def program():
        hidden, head = net(6), net()
        optimizer = torch.optim.SGD(hidden.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            made = checkpoint(hidden, inputs().requires_grad_(), use_reentrant=True)
            F.cross_entropy(head(made), labels()).backward()
            optimizer.step()

    assert not answers("O07", observed(program, tmp_path / "run.dx"))


def test_a_stale_optimizer_beside_a_good_one_explains_what_is_left_out(tmp_path):
    def program():
        body, head = net(8), torch.nn.Linear(8, 4)
        stale = torch.optim.SGD(head.parameters(), lr=0.01)
        good = torch.optim.SGD(body.parameters(), lr=0.01)
        head = torch.nn.Linear(8, 4)
        for _ in range(5):
            good.zero_grad()
            F.cross_entropy(head(body(inputs())), labels()).backward()
            good.step()
            stale.step()

    found = diagnose(observed(program, tmp_path / "run.dx"))
    assert [f.code for f in found.findings] == ["O07"]
    assert [(f.code, cause) for f, cause in found.silenced] == [("O06", "O07")]


def test_gradients_that_were_there_and_cleared_are_not_this(tmp_path):
    def program():
        body, head = net(8), torch.nn.Linear(8, 4)
        optimizer = torch.optim.SGD(body.parameters(), lr=0.01)
        for _ in range(4):
            F.cross_entropy(head(body(inputs())), labels()).backward()
            optimizer.zero_grad()
            optimizer.step()

    assert not answers("O07", observed(program, tmp_path / "run.dx"))


def test_one_step_is_too_few(tmp_path):
    def program():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        fit(net(), optimizer, 1)

    assert not answers("O07", observed(program, tmp_path / "run.dx"))
