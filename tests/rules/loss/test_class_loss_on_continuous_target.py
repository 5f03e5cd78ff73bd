import torch
from torch import nn
from torch.nn import functional as fn

from tests.support import answers, findings, observed

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(240, 4, generator=GENERATOR)
VALUE = X @ torch.tensor([1.0, 2.0, -1.0, 0.5])
LEVELS = ((VALUE - VALUE.min()) / (VALUE.max() - VALUE.min()) * 19.99).long()
CENTRES = torch.randn(20, 4, generator=GENERATOR) * 4
NAMES = torch.randint(0, 20, (240,), generator=GENERATOR)


def run(tmp_path, loss, *, outputs, inputs=X, steps=12):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, outputs)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(steps):
            at = slice(20 * (step % 12), 20 * (step % 12) + 20)
            optimizer.zero_grad()
            loss(model(inputs[at]), at).backward()
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


def binary(wanted):
    return lambda z, at: fn.binary_cross_entropy_with_logits(z[:, 0], wanted[at])


def test_a_quantity_outside_0_to_1_is_found_with_its_range(tmp_path):
    (finding,) = findings("L11", run(tmp_path, binary(VALUE), outputs=1))
    assert finding.severity == "fault"
    assert "no lower bound" in finding.text
    assert finding.evidence[0].value < 0


def test_levels_of_one_quantity_as_classes_are_found(tmp_path):
    record = run(tmp_path, lambda z, at: fn.cross_entropy(z, LEVELS[at]), outputs=20)
    (finding,) = findings("L11", record)
    assert finding.severity == "suspicion"
    assert "levels of one quantity" in finding.text


def test_shares_between_0_and_1_are_silent(tmp_path):
    assert not answers("L11", run(tmp_path, binary(VALUE.sigmoid()), outputs=1))


def test_as_many_classes_without_an_order_are_silent(tmp_path):
    inputs = CENTRES[NAMES] + torch.randn(240, 4, generator=torch.Generator().manual_seed(1))
    loss = lambda z, at: fn.cross_entropy(z, NAMES[at])  # noqa: E731
    assert not answers("L11", run(tmp_path, loss, outputs=20, inputs=inputs))


def test_two_codes_are_another_matter(tmp_path):
    assert not answers("L11", run(tmp_path, binary(2.0 + 2 * (VALUE > 0)), outputs=1))


def test_without_steps_there_is_nothing_to_say(tmp_path):
    assert not answers("L11", run(tmp_path, binary(VALUE), outputs=1, steps=0))
