import copy

from tests.rules.loop.pieces import net, sgd, step
from tests.support import answers, findings, observed


def run(keep, tmp_path, *, at=1):
    def program():
        model, optimizer = net(), None
        optimizer = sgd(model)
        best = keep(model) if at == 0 else None
        for number in range(1, 6):
            step(model, optimizer)
            best = keep(model) if number == at else best
        net().load_state_dict(best)

    return observed(program, tmp_path / "run.dx")


def test_a_state_that_went_on_to_change_before_another_model_got_it_is_found(tmp_path):
    (finding,) = findings("T09", run(lambda model: model.state_dict(), tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text.startswith('(finding,) = findings("T09", run(lambda model')
    assert "taken 4 optimizer steps before without a copy" in finding.text


def test_initial_weights_kept_without_a_copy_are_a_suspicion(tmp_path):
    (finding,) = findings("T09", run(lambda model: model.state_dict(), tmp_path, at=0))
    assert finding.severity == "suspicion"
    assert finding.confirm


def test_a_copy_is_silent(tmp_path):
    record = run(lambda model: copy.deepcopy(model.state_dict()), tmp_path)
    assert answers("T09", record) == []


def test_target_networks_are_silent_with_a_fresh_dict_or_a_standing_one(tmp_path):
    def program():
        online, target, other = net(), net(), net()
        optimizer = sgd(online)
        standing = online.state_dict()
        for _ in range(4):
            step(online, optimizer)
            target.load_state_dict(online.state_dict())
            other.load_state_dict(standing)

    assert answers("T09", observed(program, tmp_path / "run.dx")) == []


def test_a_state_taken_at_the_last_step_is_as_it_should_be(tmp_path):
    assert answers("T09", run(lambda model: model.state_dict(), tmp_path, at=5)) == []


def test_a_first_model_that_is_gone_leaves_its_state_as_it_was(tmp_path):
    def kept():
        model = net()
        optimizer = sgd(model)
        step(model, optimizer)
        return model.state_dict()

    def program():
        state, model = kept(), net()
        model.load_state_dict(state)
        optimizer = sgd(model)
        for _ in range(3):
            step(model, optimizer)
        net().load_state_dict(state)

    assert answers("T09", observed(program, tmp_path / "run.dx")) == []
