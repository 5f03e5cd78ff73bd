import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support import answers, findings, observed
from torchdx.record.model import Record

LINE = {"e": "line", "id": 1, "file": "train.py", "line": 9, "func": "run", "text": "model(x)"}
PHASE = {
    "e": "phase",
    "loader": 2,
    "line": 1,
    "shuffled": False,
    "batches": 2,
    "backwards": 0,
    "steps": 0,
    "training": False,
    "active": 0,
    "no_grad": True,
    "rows": 1000,
    "model": "",
}
TARGETS = {"graph": 1, "loss": "classes", "counts": [100.0] * 10, "variance": 8.0}


def record_of(validation, training, *, kept=(), rows=1000, accuracy=0.8, loss="classes"):
    """A run with ten steps a pass; `kept` are the passes whose state was taken."""
    entries = [dict(LINE)]
    for number, (judged, learned) in enumerate(zip(validation, training, strict=True), 1):
        steps = list(range(10 * number - 9, 10 * number + 1))
        entries.append({"e": "steps", "step": steps, "loss": [learned] * 10})
        at = {"step": 10 * number, "at": 10 * number}
        measured = {"loss": judged, "accuracy": accuracy, "rows": rows}
        entries.append({**PHASE, **measured, **at})
        if number in kept:
            facts = {"model": "", "at": 10 * number}
            entries.append(event("state-dict", facts))
    entries.append(event("inputs", {"role": "learned", "model": "", "set": 1, "loss": loss}))
    entries.append(event("targets", TARGETS | {"loss": loss}))
    record = Record()
    for entry in entries:
        record.apply(entry)
    return record


def event(kind, facts):
    return {"e": "event", "kind": kind, "step": 1, "line": 1, "facts": facts}


def course(rise, passes=20, turn=6):
    """Validation losses that fall to 0.5 at a turn and have risen by a share at the end."""
    falling = [0.5 + 0.3 * (turn - i) / turn for i in range(turn)]
    rising = [0.5 + 0.5 * rise * i / (passes - turn - 1) for i in range(passes - turn)]
    return falling + rising


def learning(passes=20, to=0.1):
    return [0.8 * (to / 0.8) ** (i / (passes - 1)) for i in range(passes)]


def test_a_validation_loss_that_turns_up_is_told_with_its_turn():
    (finding,) = findings("R03", record_of(course(0.4), learning()))
    assert (finding.severity, finding.confidence) == ("suspicion", "strong")
    assert "lowest in pass 7 of 20" in finding.text
    assert finding.prescriptions[0].to == "7"
    assert finding.line.number == 9


def test_a_small_turn_is_weak_and_a_smaller_one_is_none():
    (finding,) = findings("R03", record_of(course(0.15), learning()))
    assert finding.confidence == "weak"
    assert answers("R03", record_of(course(0.05), learning())) == []


def test_few_rows_move_by_themselves():
    assert findings("R03", record_of(course(0.2), learning(), rows=1000))
    assert answers("R03", record_of(course(0.2), learning(), rows=60)) == []


def test_a_training_loss_that_stands_still_learns_nothing_by_heart():
    assert answers("R03", record_of(course(0.4), [0.6] * 20)) == []


def test_scatter_is_no_turn():
    noisy = [0.5 + 0.2 * math.sin(2.5 * i) for i in range(20)]
    assert answers("R03", record_of(noisy, learning())) == []


def test_keeping_the_best_state_is_the_remedy():
    record = record_of(course(0.4), learning(), kept=range(1, 8))
    assert answers("R03", record) == []
    always = record_of(course(0.4), learning(), kept=range(1, 21))
    assert findings("R03", always)


def test_early_stopping_soon_after_the_lowest_is_passed_over():
    assert answers("R03", record_of(course(0.4)[:9], learning()[:9])) == []


def test_answers_that_know_less_than_nothing_are_another_matter():
    above = [5 * loss for loss in course(0.4)]  # beyond the 2.3 nats of ten equal classes
    assert answers("R03", record_of(above, [5 * loss for loss in learning()])) == []


def test_binary_losses_are_not_judged():
    assert answers("R03", record_of(course(0.4), learning(), loss="units")) == []


@pytest.mark.parametrize(("width", "sick"), [(256, True), (0, False)])
def test_a_wide_net_learns_few_noisy_numbers_by_heart(tmp_path, width, sick):
    x = torch.randn(240, 6, generator=torch.Generator().manual_seed(0))
    y = x[:, :1] + torch.randn(240, 1, generator=torch.Generator().manual_seed(1))

    def program():
        torch.manual_seed(0)
        wide = nn.Sequential(nn.Linear(6, 256), nn.ReLU(), nn.Linear(256, 1))
        model = wide if width else nn.Linear(6, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(24):
            for part in range(0, 40, 4):
                optimizer.zero_grad()
                functional.mse_loss(model(x[part : part + 4]), y[part : part + 4]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                judged, labels = x[40:], y[40:]
                functional.mse_loss(model(judged), labels)
            model.train()

    assert bool(findings("R03", observed(program, tmp_path / "run.dx"))) is sick
