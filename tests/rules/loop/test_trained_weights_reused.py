import copy

import torch

from tests.rules.loop.pieces import answer, epoch, loader, net, sgd
from tests.support import answers, findings, observed


def fit(model, lr, *, epochs=8, held=None, **settings):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **settings)
    for _ in range(epochs):
        epoch(model, optimizer, loader())
    if held is not None:
        with torch.no_grad():
            model(held)


def run(program, tmp_path):
    return observed(program, tmp_path / "run.dx")


def test_a_sweep_that_keeps_its_model_is_suspected_with_both_losses(tmp_path):
    def program():
        torch.manual_seed(0)
        model = net()
        for lr in (0.5, 1.0, 0.8):
            fit(model, lr)

    (finding,) = findings("T10", run(program, tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confirm
    assert finding.line.text.startswith("optimizer = torch.optim.SGD(model.parameters()")
    lower, first = finding.evidence[0].value, finding.evidence[0].against
    assert lower < first / 2
    assert "trained for 32 steps" in finding.text


def test_falling_rates_judged_once_each_are_a_sweep(tmp_path):
    def program():
        torch.manual_seed(0)
        model = net()
        for lr in (1.0, 0.3, 0.1):
            fit(model, lr, held=torch.ones(2, 6))

    assert len(findings("T10", run(program, tmp_path))) == 1


def test_a_fresh_model_for_each_setting_is_silent(tmp_path):
    def program():
        for lr in (0.5, 1.0, 0.8):
            fit(net(), lr)

    assert answers("T10", run(program, tmp_path)) == []


def test_fresh_parameters_without_a_model_are_silent(tmp_path):
    def program():
        for lr, start in ((0.1, 9.0), (0.3, 1.0)):
            weight = torch.nn.Parameter(torch.full((3,), start))
            optimizer = torch.optim.SGD([weight], lr=lr)
            for _ in range(4):
                optimizer.zero_grad()
                weight.square().mean().backward()
                optimizer.step()

    assert answers("T10", run(program, tmp_path)) == []


def test_stages_with_falling_rates_are_silent(tmp_path):
    def program():
        torch.manual_seed(0)
        model = net()
        for lr in (1.0, 0.3, 0.1):
            fit(model, lr)
        answer(model, loader())

    assert answers("T10", run(program, tmp_path)) == []


def test_an_optimizer_made_anew_with_the_same_settings_is_silent(tmp_path):
    def program():
        torch.manual_seed(0)
        model = net()
        for _ in range(6):
            fit(model, 1.0, epochs=4, held=torch.ones(2, 6))
            kept = copy.deepcopy(model.state_dict())
            model.load_state_dict(kept)

    assert answers("T10", run(program, tmp_path)) == []


def test_fine_tuning_from_another_line_or_of_other_parameters_is_silent(tmp_path):
    def program():
        torch.manual_seed(0)
        model = net()
        fit(model, 1.0)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        epoch(model, optimizer, loader())
        for part in (model[2], model):
            optimizer = torch.optim.SGD(part.parameters(), lr=0.01 if part is model else 0.1)
            epoch(model, optimizer, loader())

    assert answers("T10", run(program, tmp_path)) == []


def test_several_models_in_turn_with_selection_are_one_experiment_after_another(tmp_path):
    def program():
        torch.manual_seed(0)
        models = [net(), net()]
        for _ in range(3):
            for model in models:
                optimizer = sgd(model, 1.0)
                for _ in range(6):
                    epoch(model, optimizer, loader())
                    kept = copy.deepcopy(model.state_dict())
                model.load_state_dict(kept)

    (finding,) = findings("T10", run(program, tmp_path))
    assert "3 SGD optimizers" in finding.text


def test_a_second_run_that_starts_high_again_is_too_little(tmp_path):
    def program():
        torch.manual_seed(0)
        model = net()
        for lr in (0.001, 0.01, 0.002):
            fit(model, lr, epochs=1)

    assert answers("T10", run(program, tmp_path)) == []
