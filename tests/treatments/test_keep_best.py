import copy

import torch
from torch import nn

from torchdx.record.model import Record
from torchdx.record.parts import Phase
from torchdx.rules.base import Prescription
from torchdx.treatments import keep_best
from torchdx.treatments.site import Site

X = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def program(site, accuracies, *, keep, best):
    """Validates states of known accuracy, keeps one by `keep`, and loads it."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    record = site.record
    kept = None
    for epoch, accuracy in enumerate(accuracies):
        model(X).sum().mul(0.0).backward()
        optimizer.step()
        with torch.no_grad():
            model.weight.fill_(float(epoch))
        record.phases.append(validation(accuracy))
        if keep(epoch):
            kept = copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    assert float(model.weight.detach()[0, 0].item()) == best


def validation(accuracy):
    facts = dict.fromkeys(Phase.__dataclass_fields__)
    return Phase(**{**facts, "loader": 1, "backwards": 0, "steps": 0, "training": False,
                    "rows": 100, "accuracy": accuracy, "loss": 1.0, "model": ""})  # fmt: skip


def treated(accuracies, **how):
    site = Site()
    keep_best.install(site, Prescription("keep_best", ""))
    site.begin(Record())
    try:
        program(site, accuracies, **how)
    finally:
        site.close()
    return site


def test_the_best_validated_state_is_loaded_in_place_of_the_worst():
    site = treated([0.5, 0.9, 0.7], keep=lambda epoch: epoch == 0, best=1.0)
    assert site.acted == 1


def test_the_last_validated_state_counts_though_no_backward_follows():
    treated([0.5, 0.6, 0.9], keep=lambda epoch: epoch == 0, best=2.0)


def test_without_a_validation_nothing_is_done():
    site = Site()
    keep_best.install(site, Prescription("keep_best", ""))
    site.begin(Record())
    model = nn.Linear(4, 2)
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    site.close()
    assert site.acted == 0


def test_a_score_is_the_accuracy_or_minus_the_loss():
    assert keep_best.score_of(validation(0.7)) == 0.7
    assert keep_best.score_of(validation(None)) == -1.0
