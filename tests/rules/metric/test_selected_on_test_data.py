import copy

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.support import answers, findings, observed

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(200, 4, generator=GENERATOR)
Y = (X[:, 0] > 0).long()
HELD_X = X[120:] + 0.5
HELD_Y = Y[120:]
SPARE = torch.randn(80, 4, generator=GENERATOR) + 0.5


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def train(model, steps=6, parameters=None, loss=None, rows=X[:120]):
    optimizer = torch.optim.SGD(parameters or model.parameters(), lr=0.3)
    model.train()
    for part in rows.repeat(steps, 1).split(60):
        optimizer.zero_grad()
        scores = model(part)
        if loss is None:
            functional.cross_entropy(scores, (part[:, 0] > 0).long()).backward()
        else:
            loss(scores).backward()
        optimizer.step()


def entropy(scores):
    return -(scores.softmax(1) * scores.log_softmax(1)).sum(1).mean()


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def adapting(tmp_path, rows, *, norms_only=False):
    def program():
        model = net()
        train(model)
        accuracy(model, HELD_X, HELD_Y)
        if norms_only:
            model.requires_grad_(False)  # torch's own
            model[1].requires_grad_(True)
        chosen = [p for p in model.parameters() if p.requires_grad]
        train(model, 4, chosen, entropy, rows)
        accuracy(model, HELD_X, HELD_Y)

    return observed(program, tmp_path / "run.dx")


def test_adapting_all_layers_on_the_scored_rows_is_told(tmp_path):
    (finding,) = findings("M05", adapting(tmp_path, HELD_X))
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert "on 80 of the rows that it is scored on" in finding.text
    assert "in all of its layers and without labels" in finding.text


def test_adapting_on_other_rows_is_sound(tmp_path):
    assert answers("M05", adapting(tmp_path, SPARE)) == []


def test_adapting_normalisation_at_test_time_is_a_note(tmp_path):
    (finding,) = findings("M05", adapting(tmp_path, HELD_X, norms_only=True))
    assert finding.severity == "note"
    assert "in its normalisation layers" in finding.text


def choosing(tmp_path, *, another=None, after=None):
    """Keep the best of six states by the held rows, and tell their score again."""

    def program():
        model, best, kept = net(), -1.0, None
        held = DataLoader(TensorDataset(HELD_X, HELD_Y), batch_size=40)
        waiting = None if another is None else DataLoader(another, batch_size=40)

        def score():
            model.eval()
            with torch.no_grad():
                return sum((model(x).argmax(1) == y).sum().item() for x, y in held)

        for _ in range(6):
            train(model, 1)
            if (now := score()) > best:
                best, kept = now, copy.deepcopy(model.state_dict())
        model.load_state_dict(kept)
        score()
        if after is not None:
            after(model, waiting)

    return observed(program, tmp_path / "run.dx")


def test_the_best_validation_score_is_a_note(tmp_path):
    (finding,) = findings("M05", choosing(tmp_path))
    assert finding.severity == "note"
    assert "the best of 6 by 80 rows" in finding.text


def test_a_set_that_was_made_and_never_read_makes_it_a_suspicion(tmp_path):
    unread = TensorDataset(SPARE, torch.zeros(80).long())
    (finding,) = findings("M05", choosing(tmp_path, another=unread))
    assert finding.severity == "suspicion"
    assert finding.confidence == "weak"
    assert "`waiting` was made and never read" in finding.text


def test_other_rows_at_the_end_are_a_test(tmp_path):
    def tell(model, loader):
        with torch.no_grad():
            for x, _ in loader:
                model(x)

    unread = TensorDataset(SPARE, torch.zeros(80).long())
    assert answers("M05", choosing(tmp_path, another=unread, after=tell)) == []
