import torch
from torch.nn import functional as F

from torchdx.trials.alike import alike

LOGS = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]).log()


def test_soft_targets_are_taken_as_shares():
    target = torch.tensor([[2.0, 1.0, 1.0], [0.0, 1.0, 3.0]])
    kind, _, wanted = alike("soft", LOGS, target)
    assert kind == "soft"
    assert torch.equal(wanted, target / 4)


def test_rows_with_several_labels_are_asked_class_by_class():
    target = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    kind, given, wanted = alike("soft", LOGS, target)
    assert kind == "units"
    assert torch.allclose(given, LOGS.exp())
    assert wanted.tolist() == [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_smoothed_labels_are_no_several_labels():
    target = F.one_hot(torch.tensor([0, 2]), 3) * 0.9 + 0.1 / 3
    assert alike("soft", LOGS, target)[0] == "soft"


def test_one_hot_rows_are_classes_whatever_the_loss():
    kind, given, wanted = alike("values", LOGS.exp(), F.one_hot(torch.tensor([0, 2]), 3).float())
    assert kind == "classes"
    assert torch.allclose(given, LOGS)
    assert wanted.tolist() == [0, 2]


def test_a_quantity_is_one_though_a_loss_for_yes_and_no_was_asked():
    kind, _, _ = alike("units", torch.tensor([[0.3], [0.9]]), torch.tensor([[12.0], [30.0]]))
    assert kind == "values"


def test_yes_and_no_and_numbers_stay_what_they_are():
    assert alike("units", torch.tensor([[0.3]]), torch.tensor([[1.0]]))[0] == "units"
    assert alike("values", torch.tensor([[0.3]]), torch.tensor([[1.0]]))[0] == "values"
