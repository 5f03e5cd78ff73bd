import pytest
import torch
from torch.optim.swa_utils import AveragedModel, update_bn

from tests.rules.loop.pieces import ROWS, answer, epoch, loader, net, sgd, step
from tests.support import answers, findings, observed


def run(validate, tmp_path, *, epochs=3, **make):
    def program():
        model, train, held = net(**make), loader(), loader(12)
        optimizer = sgd(model)
        for _ in range(epochs):
            model.train()
            epoch(model, optimizer, train)
            validate(model, held)

    return observed(program, tmp_path / "run.dx")


def test_a_validation_over_a_loader_in_training_mode_is_found(tmp_path):
    (finding,) = findings("N04", run(answer, tmp_path, dropout=0.3, norm=True))
    assert finding.severity == "fault"
    assert "in 3 of 3 validation passes" in finding.text
    assert "with 2 dropout and batch-norm modules at work" in finding.text
    assert finding.line.text == "(model(x).argmax(1) == y).float().mean()"


def test_a_validation_with_gradients_on_is_found_too(tmp_path):
    def validate(model, held):
        for x, y in held:
            (model(x).argmax(1) == y).float().mean()

    (finding,) = findings("N04", run(validate, tmp_path, norm=True))
    assert finding.severity == "fault"
    assert "1 dropout or batch-norm module " in finding.text


def test_the_same_rows_judged_each_epoch_without_a_loader_are_a_suspicion(tmp_path):
    def program():
        model = net(dropout=0.3)
        optimizer = sgd(model)
        for _ in range(3):
            for rows in torch.randperm(24).split(6):
                step(model, optimizer, ROWS[rows], (ROWS[rows, 0] > 0).long())
            with torch.no_grad():
                model(ROWS[:10])

    (finding,) = findings("N04", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert "the same rows without gradients 3 times" in finding.text
    assert finding.line.text == "model(ROWS[:10])"


def test_eval_before_the_validation_is_silent(tmp_path):
    def validate(model, held):
        model.eval()
        answer(model, held)

    assert answers("N04", run(validate, tmp_path, dropout=0.3, norm=True)) == []


def test_no_module_that_depends_on_the_mode_is_silent(tmp_path):
    assert answers("N04", run(answer, tmp_path)) == []


def twice(model, held):
    """Monte-Carlo dropout."""
    with torch.no_grad():
        for x, _ in held:
            torch.stack([model(x) for _ in range(3)]).std(0)


def passes(model, held):
    """Monte-Carlo dropout, a pass over all rows at a time."""
    for _ in range(3):
        answer(model, held)


def chosen(model, held):
    model.train()
    answer(model, held)


def renewed(model, held):
    averaged = AveragedModel(model)
    update_bn(held, averaged)
    update_bn(held, model)


@pytest.mark.parametrize("validate", [twice, passes, chosen, renewed])
def test_training_mode_on_purpose_is_silent(validate, tmp_path):
    assert answers("N04", run(validate, tmp_path, dropout=0.3, norm=True)) == []


def test_rows_that_are_pseudo_labelled_in_step_with_the_training_are_silent(tmp_path):
    def program():
        model, train, others = net(dropout=0.3, norm=True), loader(), loader(24)
        optimizer = sgd(model)
        for _ in range(2):
            for (more, _), (x, y) in zip(others, train, strict=True):
                with torch.no_grad():
                    model(more).argmax(1)
                step(model, optimizer, x, y)
            for renewed in (False, True):
                batches, stream = iter(train), iter(others)
                for _ in range(len(train)):
                    more, _ = next(iter(others) if renewed else stream)
                    with torch.no_grad():
                        model(more).argmax(1)
                    step(model, optimizer, *next(batches))
                assert next(batches, None) is None
                assert renewed or next(stream, None) is None

    assert answers("N04", observed(program, tmp_path / "run.dx")) == []


def test_fixed_rows_that_take_part_in_every_step_are_silent(tmp_path):
    def program():
        model = net(dropout=0.3)
        optimizer = sgd(model)
        for _ in range(6):
            with torch.no_grad():
                model(ROWS[:4]).mean(0)
            step(model, optimizer)

    assert answers("N04", observed(program, tmp_path / "run.dx")) == []


def test_losses_summed_over_a_pass_before_one_backward_are_training(tmp_path):
    def program():
        model, train = net(dropout=0.3), loader()
        optimizer = sgd(model)
        for _ in range(4):
            total = sum(torch.nn.functional.cross_entropy(model(x), y) for x, y in train)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()

    assert answers("N04", observed(program, tmp_path / "run.dx")) == []


def test_a_generator_at_every_step_and_its_samples_from_fixed_noise_are_silent(tmp_path):
    def program():
        make, judge, fixed = net(norm=True), net(), torch.randn(8, 6)
        first, second = sgd(make), sgd(judge)
        for number in range(12):
            with torch.no_grad():
                fake = make(torch.randn(8, 6))
            step(judge, second, fake.repeat(1, 3), torch.zeros(8, dtype=torch.long))
            step(make, first)
            if number % 4 == 3:
                with torch.no_grad():
                    make(fixed)

    assert answers("N04", observed(program, tmp_path / "run.dx")) == []


def test_rollouts_on_ever_new_states_are_silent(tmp_path):
    def program():
        policy = net(dropout=0.1)
        optimizer = sgd(policy)
        for _ in range(5):
            with torch.no_grad():
                states = [torch.randn(4, 6) for _ in range(6)]
                actions = [policy(s).argmax(1) for s in states]
            for s, a in zip(states, actions, strict=True):
                step(policy, optimizer, s, a)

    assert answers("N04", observed(program, tmp_path / "run.dx")) == []


def test_one_look_at_the_model_before_training_is_too_little(tmp_path):
    def program():
        model, held = net(dropout=0.3), loader(12)
        answer(model, held)
        optimizer = sgd(model)
        for _ in range(4):
            step(model, optimizer)
        with torch.no_grad():
            model(ROWS)

    assert answers("N04", observed(program, tmp_path / "run.dx")) == []
