import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from tests.rules.loop.pieces import LABELS, ROWS, net, sgd, step
from tests.support import answers, findings, observed


def run(between, tmp_path, *, after=4):
    def program():
        model = net()
        optimizer = sgd(model)
        for number in range(4 + after):
            if number == 4:
                between(optimizer)
            step(model, optimizer)
        if after == 0:
            between(optimizer)

    return observed(program, tmp_path / "run.dx")


def slower(optimizer):
    optimizer.lr = 0.01


def test_a_rate_set_on_the_optimizer_itself_is_found_with_both_values(tmp_path):
    (finding,) = findings("T11", run(slower, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "optimizer.lr = 0.01"
    assert "lr = 0.01 was set on the SGD object itself" in finding.text
    assert finding.evidence[0].value == "0.1"


def test_other_settings_are_found_too(tmp_path):
    def heavier(optimizer):
        optimizer.weight_decay = 0.5
        optimizer.learning_rate = 0.5

    found = findings("T11", run(heavier, tmp_path))
    assert [f.prescriptions[0].where for f in found] == ["weight_decay", "learning_rate"]


def test_the_groups_set_as_well_are_silent(tmp_path):
    def both(optimizer):
        optimizer.lr = 0.01
        for group in optimizer.param_groups:
            group["lr"] = optimizer.lr

    assert answers("T11", run(both, tmp_path)) == []


def test_the_value_that_is_real_already_is_silent(tmp_path):
    def same(optimizer):
        optimizer.lr = 0.1

    assert answers("T11", run(same, tmp_path)) == []


def test_a_value_set_after_the_last_step_is_too_late_to_matter(tmp_path):
    assert answers("T11", run(slower, tmp_path, after=0)) == []


def subset(cls=Subset):
    return cls(TensorDataset(ROWS, LABELS), range(12))


def go_through(part):
    model = net()
    optimizer = sgd(model)
    for x, y in DataLoader(part, batch_size=6):
        step(model, optimizer, x, y)


def test_a_transform_set_on_a_subset_is_found(tmp_path):
    def program():
        part = subset()
        part.transform = torch.tanh
        go_through(part)

    (finding,) = findings("T11", observed(program, tmp_path / "run.dx"))
    assert finding.line.text == "part.transform = torch.tanh"
    assert "set on a Subset" in finding.text


def test_a_subset_of_ones_own_and_a_transform_that_is_read_are_silent(tmp_path):
    class Transformed(Subset):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.transform = torch.tanh

        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return self.transform(x), y

        def __getitems__(self, indices):
            return [self[index] for index in indices]

    class Reading:
        def __init__(self, part):
            self.part = part

        def __len__(self):
            return len(self.part)

        def __getitem__(self, index):
            x, y = self.part[index]
            return self.part.transform(x), y

    def program():
        go_through(subset(Transformed))
        part = subset()
        part.transform = torch.tanh
        go_through(Reading(part))

    assert answers("T11", observed(program, tmp_path / "run.dx")) == []
