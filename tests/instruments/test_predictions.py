import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support import observed

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(40, 6, generator=GENERATOR)
Y = torch.randint(0, 3, (40,), generator=GENERATOR)


def record_of(loss, tmp_path, *, outputs=3, steps=2):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(6, outputs)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model(X)).backward()
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


def first(record, signal):
    ((_, series),) = record.signals[signal].items()
    return series[0][1]


def targets(record):
    return record.of("targets")[-1].facts


def test_classes_are_told_with_loss_entropy_and_accuracy(tmp_path):
    torch.manual_seed(0)
    scores = nn.Linear(6, 3)(X).detach()
    chances = scores.softmax(1)
    record = record_of(lambda z: functional.cross_entropy(z, Y), tmp_path)
    entropy = float(-(chances * chances.log()).sum(1).mean())
    assert first(record, "prediction.entropy") == pytest.approx(entropy, rel=1e-3)
    assert first(record, "prediction.accuracy") == pytest.approx(
        float((scores.argmax(1) == Y).float().mean())
    )
    assert first(record, "loss.head") == pytest.approx(
        float(functional.cross_entropy(scores, Y)), rel=1e-3
    )
    assert targets(record)["counts"] == [2 * int((c == Y).sum()) for c in range(3)]
    assert targets(record)["first"]["answer"] == pytest.approx(chances.mean(0).tolist(), abs=1e-4)


def test_scale_and_reduction_do_not_change_what_is_measured(tmp_path):
    mean = record_of(lambda z: functional.cross_entropy(z, Y), tmp_path / "a")
    scaled = record_of(
        lambda z: functional.cross_entropy(z, Y, reduction="sum") / 4, tmp_path / "b"
    )
    assert first(mean, "loss.head") == first(scaled, "loss.head")


def test_ignored_rows_are_left_out(tmp_path):
    some = torch.where(torch.arange(40) < 10, -100, Y)
    record = record_of(lambda z: functional.cross_entropy(z, some), tmp_path)
    assert first(record, "batch.rows") == 30


def test_ignored_rows_are_counted_with_their_label(tmp_path):
    record = record_of(lambda z: functional.cross_entropy(z, Y - 1, ignore_index=-1), tmp_path)
    assert targets(record)["ignored"] == 2 * int((Y == 0).sum())
    assert targets(record)["ignore_index"] == -1


def test_values_are_told_with_their_moments(tmp_path):
    wanted = 5 + 2 * X[:, :1]
    record = record_of(lambda z: functional.mse_loss(z, wanted), tmp_path, outputs=1)
    assert first(record, "target.mean") == pytest.approx(float(wanted.mean()), rel=1e-3)
    assert targets(record)["variance"] == pytest.approx(float(wanted.var(correction=0)), rel=1e-3)
    assert not targets(record)["whole"]


def test_units_are_told_as_probabilities_and_labels_a_row_are_counted(tmp_path):
    several = (X[:, :3] > 0).float()
    record = record_of(lambda z: functional.binary_cross_entropy_with_logits(z, several), tmp_path)
    assert first(record, "target.mean") == pytest.approx(float(several.mean()), rel=1e-3)
    assert targets(record)["several"] == 2 * int((several.sum(1) > 1).sum())
    assert targets(record)["none"] == 2 * int((several.sum(1) == 0).sum())


def test_soft_targets_are_read_from_the_product_that_autograd_keeps(tmp_path):
    soft = functional.one_hot(Y, 3) * 0.9 + 0.1 / 3
    record = record_of(lambda z: functional.cross_entropy(z, soft), tmp_path)
    assert targets(record)["loss"] == "soft"
    assert targets(record)["row_sum"] == pytest.approx([1, 1], abs=1e-5)


def test_the_table_of_output_gradients_is_probability_less_label(tmp_path):
    torch.manual_seed(0)
    scores = nn.Linear(6, 3)(X).detach().requires_grad_()
    functional.cross_entropy(scores, Y).backward()
    record = record_of(lambda z: functional.cross_entropy(z, Y), tmp_path)
    (event, *_) = record.of("output-gradients")
    assert torch.allclose(torch.tensor(event.facts["rows"]), scores.grad[:12], atol=1e-5)


def test_a_loss_of_no_known_kind_is_left_out(tmp_path):
    record = record_of(lambda z: (z**4).mean(), tmp_path)
    assert "prediction.entropy" not in record.signals
    assert not record.of("targets")
    assert not math.isnan(record.losses[0][1])
