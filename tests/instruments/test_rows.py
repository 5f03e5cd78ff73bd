"""What is told of the rows that a model learns from and is judged on."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support import observed
from torchdx.events.loop import Loop
from torchdx.events.recorder import Recorder
from torchdx.instruments.batches import Batch, Batches, Table
from torchdx.record.writer import Writer

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(400, 5, generator=GENERATOR)
Y = (X[:, 0] + X[:, 1] > 0).long()


def record_of(tmp_path, *, rows=X, labels=Y, judged=None, batch=20, steps=15, each=5):
    """A linear net on batches in order, judged on `judged()` every few steps."""

    def program():
        torch.manual_seed(0)
        model = nn.Linear(rows.shape[1], 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(steps):
            at = slice(batch * step % len(rows), batch * step % len(rows) + batch)
            optimizer.zero_grad()
            functional.cross_entropy(model(rows[at].float()), labels[at]).backward()
            optimizer.step()
            if judged is not None and step % each == each - 1:
                with torch.no_grad():
                    model(judged())

    return observed(program, tmp_path / "run.dx")


def last(record, kind, role="learned"):
    fitting = [e.facts for e in record.of(kind) if e.facts.get("role", role) == role]
    return fitting[-1]


def test_ranges_scales_and_constant_columns_are_told(tmp_path):
    rows = X * torch.tensor([1.0, 10.0, 100.0, 1.0, 0.0]) + torch.tensor([0.0, 0, 0, 0, 3.0])
    facts = last(record_of(tmp_path, rows=rows), "inputs")
    assert facts["rows"] == facts["distinct"] == 300
    assert facts["constant"] == pytest.approx(1 / 5)
    assert facts["scales"][-1] == pytest.approx(100, rel=0.15)
    assert facts["shape"] == [5]


def test_neighbours_agree_where_labels_belong_to_their_rows(tmp_path):
    facts = last(record_of(tmp_path), "neighbours")
    assert facts["agreement"] > facts["chance"] + 10 * facts["deviation"]


def test_neighbours_are_at_chance_where_labels_were_dealt_anew(tmp_path):
    dealt = Y[torch.randperm(len(Y), generator=GENERATOR)]
    facts = last(record_of(tmp_path, labels=dealt), "neighbours")
    assert facts["agreement"] < facts["chance"] + 3 * facts["deviation"]


def test_labels_that_are_one_place_off_are_found_by_moving_them(tmp_path):
    facts = last(record_of(tmp_path, labels=Y.roll(1)), "neighbours")
    assert facts["shift"] == -1
    assert facts["shifted"] > facts["agreement"] + 10 * facts["deviation"]


def test_a_column_that_holds_the_label_stands_out(tmp_path):
    facts = last(record_of(tmp_path, rows=torch.cat([X, Y[:, None].float()], 1)), "neighbours")
    assert facts["alone"]["column"] == 5
    assert facts["alone"]["score"] == 1
    assert facts["alone"]["next"] < 0.9


def test_judged_rows_that_were_learned_from_are_counted(tmp_path):
    facts = last(record_of(tmp_path, judged=lambda: X[40:80]), "overlap")
    assert facts["shared"] == facts["rows"] == 40
    facts = last(record_of(tmp_path / "b", judged=lambda: X[350:]), "overlap")
    assert (facts["shared"], facts["rows"]) == (0, 50)


def test_a_validation_that_draws_its_rows_anew_does_not_recur(tmp_path):
    facts = last(record_of(tmp_path, judged=lambda: X[350:] + torch.randn(50, 5)), "overlap")
    assert facts["passes"] > 1
    assert facts["recurring"] == 0
    facts = last(record_of(tmp_path / "b", judged=lambda: X[350:]), "overlap")
    assert facts["recurring"] == 1


def test_rows_on_another_scale_are_told(tmp_path):
    facts = last(record_of(tmp_path, judged=lambda: 255 * X[350:]), "overlap")
    assert facts["scale"] > 100


def test_the_same_batch_again_is_a_repeat(tmp_path):
    facts = last(record_of(tmp_path, rows=X[:20], labels=Y[:20]), "inputs")
    assert facts["repeats"] > 0.8
    assert facts["distinct"] == 20


def test_tokens_have_rows_but_no_neighbours(tmp_path):
    record = record_of(tmp_path, rows=torch.randint(0, 9, (400, 5), generator=GENERATOR))
    assert last(record, "inputs")["dtype"] == "float32"  # the program makes floats of them


@pytest.mark.parametrize(("rows", "following", "different"), [(20, 1.0, 1), (60, 0.0, 3)])
def test_a_batch_that_follows_itself_is_told_from_a_round(tmp_path, rows, following, different):
    facts = last(record_of(tmp_path, rows=X[:rows], labels=Y[:rows]), "inputs")
    assert (facts["following"], facts["different"]) == (following, different)
    assert facts["repeats"] > 0.7


@pytest.mark.parametrize(("other", "share"), [(Y[:100], 0.0), (1 - Y[:100], 1.0)])
def test_rows_that_come_again_with_another_label_are_counted(tmp_path, other, share):
    rows, labels = torch.cat([X[:100], X[:100]]), torch.cat([Y[:100], other])
    facts = last(record_of(tmp_path, rows=rows, labels=labels, steps=10), "inputs")
    assert facts["conflicts"] == share


def grouped(dealt):
    """Rows in five groups of a label each, of which a share is dealt out anew."""
    source = torch.Generator().manual_seed(1)
    labels = torch.arange(600) % 5
    rows = 8 * torch.eye(5)[labels] + torch.randn(600, 5, generator=source)
    anew = torch.rand(600, generator=source) < dealt
    return rows, torch.where(anew, torch.randint(0, 5, (600,), generator=source), labels)


@pytest.mark.parametrize("dealt", [0.0, 0.3])
def test_the_share_of_labels_that_were_dealt_out_is_estimated(tmp_path, dealt):
    rows, labels = grouped(dealt)

    def program():
        torch.manual_seed(0)
        model = nn.Linear(5, 5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for at in torch.arange(600).split(40):
            optimizer.zero_grad()
            functional.cross_entropy(model(rows[at]), labels[at]).backward()
            optimizer.step()

    facts = last(observed(program, tmp_path / "run.dx"), "neighbours")
    assert facts["stray"] == pytest.approx(dealt, abs=0.07)
    assert facts["sure"] > 0.9
    assert facts["closest"] < 0.3


def test_of_two_classes_none_can_be_told_to_stray(tmp_path):
    assert last(record_of(tmp_path), "neighbours")["stray"] is None


def acting(*, learns_first):
    """An agent whose net answers one observation at a time, with gradients on, and learns from 16.

    Without `learns_first` the first loss is that of a single observation.
    """

    def program():
        torch.manual_seed(0)
        model = nn.Linear(5, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(12):
            alone = step == 0 and not learns_first
            action = model(X[step])
            scores = action if alone else model(X[16 * step : 16 * step + 16])
            optimizer.zero_grad()
            functional.mse_loss(scores, torch.zeros_like(scores)).backward()
            optimizer.step()

    return program


@pytest.mark.parametrize("learns_first", [False, True])
def test_a_single_observation_beside_batches_ends_nothing(learns_first, tmp_path):
    record = observed(acting(learns_first=learns_first), tmp_path / "run.dx")
    assert record.end["failure"] is None
    assert record.steps == 12


def test_rows_are_those_of_the_loss_not_of_the_action_before_it(tmp_path):
    facts = last(observed(acting(learns_first=True), tmp_path / "run.dx"), "inputs")
    assert facts["shape"] == [5]
    assert facts["rows"] % 16 == 0


def test_labels_of_another_shape_are_left_out(tmp_path):
    recorder = Recorder(Writer(tmp_path / "run.dx"))
    batches = Batches(recorder, Loop(recorder))
    table = Table("judged", "")
    batches.tables["judged", "", 0] = table
    for labels in (Y[:20], Y[:20, None]):
        rows = Batch(X[:20], labels, (5,), "float32", 1, None)
        batches._add(table, rows)
    assert table.kept == 40
    assert table.answers() is None
