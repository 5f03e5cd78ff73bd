"""Which structures of loss graph are read whole."""

import torch
from torch import nn

from tests.support import observed
from torchdx.graph import sightings


def episodes(count, *, later=0):
    """Losses of ever more terms from one line, then one from another line."""

    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for episode in range(count):
            rewards = [model(torch.randn(1, 4)).log_softmax(1)[0, 0] for _ in range(episode + 1)]
            optimizer.zero_grad()
            torch.stack(rewards).sum().neg().backward()
            optimizer.step()
        for _ in range(later):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.zeros(8).long()).backward()
            optimizer.step()

    return program


def test_of_structures_that_are_much_alike_the_first_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sightings, "READ_SHARE", 0.0)
    record = observed(episodes(30), tmp_path / "run.dx")
    assert len(record.graph_counts) == 30
    assert sorted(record.graphs) == list(range(1, sightings.ALIKE + 1))


def test_one_of_another_line_is_read_after_many_that_were_not(tmp_path, monkeypatch):
    monkeypatch.setattr(sightings, "READ_SHARE", 0.0)
    record = observed(episodes(30, later=3), tmp_path / "run.dx")
    assert [graph.key for graph in record.graphs.values() if graph.heads] == [31]


def test_more_are_read_where_the_run_has_time_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sightings, "READ_SHARE", 1.0)
    assert len(observed(episodes(30), tmp_path / "run.dx").graphs) == 30
