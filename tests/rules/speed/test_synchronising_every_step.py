import torch
from torch import nn
from torch.nn import functional

from tests.rules.speed.timed import found, reads, timed
from tests.support import answers, findings, observed
from torchdx.rules.speed.synchronising_every_step import MANY, NOTE_S, SHARE, SUSPICION_S

ROWS, LABELS = torch.ones(256, 4), torch.zeros(256, dtype=torch.long)


def train(each_step, steps):
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        answer = model(ROWS)
        loss = functional.cross_entropy(answer, LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        each_step(loss, answer)


def test_a_comparison_row_by_row_is_found_at_its_line(tmp_path):
    def row_by_row(_, answer):
        best = answer.argmax(1)
        for index in range(len(best)):
            if best[index].item() == LABELS[index].item():
                pass

    record = observed(lambda: train(row_by_row, 700), tmp_path / "run.dx")
    (finding,) = findings("P03", record)
    assert finding.line.text == "if best[index].item() == LABELS[index].item():"
    assert "each step reads 512 values of tensors" in finding.text
    assert finding.evidence[0].value > 2 * SHARE


def test_reading_the_loss_and_an_accuracy_is_silent(tmp_path):
    def ordinary(loss, answer):
        loss.item()
        (answer.argmax(1) == LABELS).sum().item()

    assert answers("P03", observed(lambda: train(ordinary, 300), tmp_path / "run.dx")) == []


def test_the_share_the_number_and_the_seconds_must_all_be_there():
    def of(*, share=0.5, count=100, lost=10.0):
        whole, seconds = 0.01, share * 0.01
        record = timed(steps=round(lost / seconds), compute=whole)
        return [f.severity for f in findings("P03", reads(record, 7, count=count, looping=seconds))]

    assert of() == ["suspicion"]
    assert of(share=1.01 * SHARE) == ["suspicion"]
    assert of(share=0.99 * SHARE) == []
    assert of(lost=0.9 * SUSPICION_S) == ["note"]
    assert of(lost=0.9 * NOTE_S) == []


def test_few_reads_count_only_when_each_is_dear():
    def of(count, looping):
        record = timed(steps=2000, compute=0.01)
        return findings("P03", reads(record, 7, count=count, looping=looping, blocked=looping))

    assert of(MANY, 0.002)
    assert of(1, 0.003)[0].severity == "note"
    cheap = timed(steps=100_000, compute=0.0004)
    assert findings("P03", reads(cheap, 7, count=MANY - 1, looping=0.0002)) == []


def test_work_with_what_was_read_counts_at_the_same_lines():
    spots = [(7, "other", False, 40), (8, "compute", False, 60), (9, "before", True, 20)]
    record = found(timed(steps=2000, compute=0.006, other=0.004), *spots)
    (finding,) = findings("P03", reads(record, 7, count=2, looping=1e-5, op="numpy()"))
    assert finding.severity == "note"
    assert "the reads with the work at the same lines take 33% of the step" in finding.text
    elsewhere = found(timed(steps=2000, compute=0.006, other=0.004), *spots)
    assert findings("P03", reads(elsewhere, 8, count=2, looping=1e-5)) == []


def test_a_line_is_never_believed_to_take_more_than_the_time_outside_the_training():
    spots = [(7, "other", False, 90), (8, "compute", False, 10)]
    record = found(timed(steps=20_000, compute=0.00995, other=0.00005), *spots)
    assert findings("P03", reads(record, 7, count=1, looping=1e-5, op="item()")) == []


def test_moments_in_which_the_step_waited_for_a_core_are_not_held_against_the_reads():
    def of(queued):
        record = timed(steps=5000, compute=0.01, shares={"thread.queued": queued})
        return findings("P03", reads(record, 7, count=50, looping=0.001))

    assert of(0.0) == []
    assert of(0.5)[0].evidence[0].value == 0.2


def test_on_an_accelerator_only_what_the_host_does_beside_can_be_gained():
    def of(blocked):
        record = timed(steps=5000, compute=0.01)
        given = {"looping": blocked, "blocked": blocked, "device": "cuda"}
        return findings("P03", reads(record, 7, count=20, **given))

    assert of(0.0095) == []
    (finding,) = of(0.006)
    assert finding.evidence[0].value == 0.4
    assert "waits 6 ms for cuda" in finding.text


def test_reads_of_several_lines_add_up_and_the_dearest_is_named():
    record = timed(steps=5000, compute=0.01)
    for line, seconds in ((7, 0.0008), (8, 0.0009)):
        reads(record, line, count=5, looping=seconds)
    (finding,) = findings("P03", record)
    assert finding.line.number == 8
    assert "each step reads 10 values of tensors, 5 of them at this line" in finding.text


def test_reads_of_every_third_step_are_not_reads_of_every_step():
    record = timed(steps=5000, compute=0.01)
    assert findings("P03", reads(record, 7, count=100, looping=0.005, often=0.3)) == []


def test_two_watched_cycles_are_too_little():
    record = timed(steps=5000, compute=0.01)
    assert answers("P03", reads(record, 7, count=100, looping=0.005, cycles=2)) == []
