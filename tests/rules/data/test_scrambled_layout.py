import torch
from torch import nn
from torch.nn import functional as F

from tests.rules.probed import probe, record
from tests.support import answers, findings, observed

X, Y = torch.randn(20, 5, 6, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3


class Reader(nn.Module):
    def __init__(self, how, *, batch_first=False):
        super().__init__()
        self.how = how
        self.read = nn.GRU(6, 8, batch_first=batch_first)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        if self.how == "view":
            x = x.view(5, -1, 6)
            return self.last(self.read(x)[0][-1])
        if self.how == "transpose":
            return self.last(self.read(x.transpose(0, 1))[0][-1])
        return self.last(self.read(x)[0][:, -1])


def train(net):
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(net(X), Y).backward()
        optimizer.step()


def test_a_view_used_as_a_permutation_is_found_at_its_line(tmp_path):
    (finding,) = findings("D19", observed(lambda: train(Reader("view")), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "x = x.view(5, -1, 6)"
    assert "view makes (5, 20, 6) out of (20, 5, 6): it tears the 20 rows" in finding.text
    assert finding.evidence[0].value > 0.01


def test_a_transposition_in_its_place_is_silent(tmp_path):
    assert answers("D19", observed(lambda: train(Reader("transpose")), tmp_path / "run.dx")) == []


def test_a_recurrence_along_the_batch_is_a_suspicion(tmp_path):
    (finding,) = findings("D19", observed(lambda: train(Reader("as it is")), tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert finding.place == "read"
    assert finding.line.text == "self.read = nn.GRU(6, 8, batch_first=batch_first)"
    assert "the GRU takes the 20 rows of the batch for positions" in finding.text
    right = Reader("as it is", batch_first=True)
    assert answers("D19", observed(lambda: train(right), tmp_path / "right.dx")) == []


def test_batch_norm_in_training_and_attention_over_the_batch_are_silent(tmp_path):
    class OverTheBatch(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(30, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)

        def forward(self, x):
            x = self.norm(self.first(x.flatten(1)))[None]
            return self.last(F.scaled_dot_product_attention(x, x, x)[0])

    assert answers("D19", observed(lambda: train(OverTheBatch()), tmp_path / "run.dx")) == []


def mixed(**facts):
    plain = {"rows": 8, "axis": 0, "difference": 0.4, "mixed": True, "function": "matmul"}
    return probe(
        record(), "mixing", 1, **{**plain, "path": "", "place": 4, "layout": None, **facts}
    )


def test_rows_that_meet_without_a_torn_layout_are_meant_to():
    assert answers("D19", mixed(along=False)) == []
    torn = {"function": "view", "before": [4, 8, 3], "after": [8, 12], "place": 4}
    (finding,) = findings("D19", mixed(along=False, layout=torn))
    assert "view makes (8, 12) out of (4, 8, 3)" in finding.text


def test_a_probe_that_could_not_be_made_gives_no_answer():
    run = probe(record(), "mixing", 1, because="the batch is empty")
    assert answers("D19", run) == []
