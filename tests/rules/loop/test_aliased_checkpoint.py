import copy
import io

import torch

from tests.rules.loop.pieces import net, sgd, step
from tests.support import answers, findings, observed


def run(program, tmp_path):
    return observed(program, tmp_path / "run.dx")


def test_a_best_state_kept_without_a_copy_is_found_when_it_is_loaded(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        for number in range(6):
            step(model, optimizer)
            if number == 1:
                best = model.state_dict()
        model.load_state_dict(best)

    (finding,) = findings("T08", run(program, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "best = model.state_dict()"
    assert "taken 4 optimizer steps before without a copy, and all of its 4 tensors" in finding.text


def test_a_shallow_copy_in_a_checkpoint_is_known_again_when_it_is_saved(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        for number in range(6):
            step(model, optimizer)
            if number == 1:
                best = {"epoch": number, "net": dict(model.state_dict())}
        torch.save(best, io.BytesIO())

    (finding,) = findings("T08", run(program, tmp_path))
    assert finding.severity == "fault"
    assert "the file holds the weights of now" in finding.text


def test_the_age_is_told_with_several_optimizers_one_after_another(tmp_path):
    def program():
        best = None
        for count in (8, 4):
            model = net()
            optimizer = sgd(model)
            for number in range(count):
                step(model, optimizer)
                best = model.state_dict() if number == 1 else best
        model.load_state_dict(best)

    (finding,) = findings("T08", run(program, tmp_path))
    assert "taken 2 optimizer steps before" in finding.text


def test_copies_are_silent(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        for _ in range(4):
            step(model, optimizer)
            best = copy.deepcopy(model.state_dict())
            cloned = {name: t.clone() for name, t in model.state_dict().items()}
        step(model, optimizer)
        model.load_state_dict(best)
        model.load_state_dict(cloned)
        torch.save(best, io.BytesIO())

    assert answers("T08", run(program, tmp_path)) == []


def test_dicts_that_are_used_at_once_are_silent(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        for _ in range(4):
            step(model, optimizer)
            model.load_state_dict(model.state_dict())
            torch.save({"net": model.state_dict()}, io.BytesIO())

    assert answers("T08", run(program, tmp_path)) == []


def test_a_dict_made_before_training_and_saved_each_epoch_follows_the_model_on_purpose(tmp_path):
    def program():
        model = net()
        checkpoint = {"net": model.state_dict()}
        optimizer = sgd(model)
        for _ in range(4):
            step(model, optimizer)
            torch.save(checkpoint, io.BytesIO())

    assert answers("T08", run(program, tmp_path)) == []


def test_averages_that_are_edited_in_place_are_silent(tmp_path):
    def program():
        model = net()
        averaged = copy.deepcopy(model)
        optimizer = sgd(model)
        slow = averaged.state_dict()
        for _ in range(4):
            step(model, optimizer)
            with torch.no_grad():
                for name, value in model.state_dict().items():
                    slow[name].mul_(0.9).add_(value, alpha=0.1)
            averaged.load_state_dict(slow)

    assert answers("T08", run(program, tmp_path)) == []


def test_live_weights_that_are_edited_in_place_and_loaded_at_once_are_silent(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        for _ in range(4):
            step(model, optimizer)
            state = model.state_dict()
            for value in state.values():
                value.mul_(0.99)
            model.load_state_dict(state)

    assert answers("T08", run(program, tmp_path)) == []


def test_nothing_loaded_and_nothing_saved_is_too_little(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        best = model.state_dict()
        step(model, optimizer)
        assert best

    assert answers("T08", run(program, tmp_path)) == []
