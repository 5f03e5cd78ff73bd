"""The comparison of curvature with its peers: what counts as met, and what is called wrong."""

import math

import pytest
import torch
from torch import nn

pytest.importorskip("scipy")

from benchmarks.curvature import defects, nets, peers, state
from benchmarks.curvature.__main__ import BEGIN, END, written
from benchmarks.curvature.table import HEAD, Row, summary, within
from torchdx.errors import CallError


def test_a_limit_is_met_up_to_itself_and_never_by_what_is_not_a_number():
    assert within((1.4, 1.4), (0, 0))
    assert not within((1.4001, 1.4))
    assert not within((1.0, 1.4), (math.nan, 2.0))


def test_a_row_says_met_missed_or_that_nothing_was_asked():
    rows = [Row("a", "net", "1", met=True), Row("b", "net", "2", met=False), Row("c", "net", "3")]
    assert [str(row).split(" | ")[-1] for row in rows] == ["yes |", "**no** |", "- |"]
    assert all(str(row).count("|") == HEAD.splitlines()[0].count("|") for row in rows)
    assert summary(rows) == "1 of 2 targets met; missed: b (net)."


def test_a_peer_that_is_not_installed_is_told_in_its_column(monkeypatch):
    def absent():
        raise ModuleNotFoundError

    absent.name = "PyHessian"
    monkeypatch.setattr(peers, "KINDS", (absent,))
    found, missing = peers.available()
    assert (found, missing) == ({}, {"PyHessian": "not installed"})


def defect(truth):
    model = nn.Linear(2, 1)
    return defects.Defect("some", peers.Asked(model, nn.MSELoss(), []), truth)


def test_an_answer_is_right_or_wrong_refused_or_a_crash():
    def refuse():
        raise CallError("no")

    def crash():
        raise RuntimeError

    answers = [lambda: 1.005, lambda: 1.02, refuse, crash]
    words = [defects.outcome(defect(1.0), answer, "nowhere") for answer in answers]
    assert words == ["right", "WRONG: 1.02 for 1", "refused", "crash (RuntimeError)"]


def test_without_one_truth_two_answers_must_agree_and_be_of_training_mode():
    drawn = iter([1.0, 1.3, 1.0, 1.0, 1.0, 1.0])
    other = defect(None)
    assert defects.outcome(other, lambda: next(drawn), "nowhere") == "WRONG: 1.000, again 1.300"
    assert defects.outcome(other, lambda: next(drawn), "nowhere") == "right"
    other.asked.model.eval()
    assert defects.outcome(other, lambda: next(drawn), "nowhere") == "WRONG: of evaluation mode"


@pytest.mark.parametrize("make", defects.DEFECTS)
def test_of_each_defect_ours_is_right_or_refused(make):
    torch.manual_seed(0)
    made = make()
    assert defects.outcome(made, lambda: defects._ours(made.asked), "torchdx") in {
        "right",
        "refused",
    }


def test_what_a_probe_changes_is_named():
    def careless(asked):
        asked.model.eval()
        asked.model[0].weight.grad = None
        torch.rand(1)

    assert state.changed(lambda _: None) == "nothing changed"
    assert state.changed(careless) == "changed: .grad, modes, random states"


def test_the_nets_have_the_sizes_that_the_targets_were_set_for():
    sizes = {name: nets.case(name, steps=0).n for name in nets.NAMES}
    assert sizes == {"mlp": 99_670, "resnet20": 269_722, "gpt": 932_608}


def test_a_table_replaces_the_one_before_and_nothing_else():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert written(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
