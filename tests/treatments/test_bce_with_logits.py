import torch
from torch import nn
from torch.nn import functional as F

X = torch.tensor([[1.0], [-2.0], [3.0]])
Y = torch.tensor([[1.0], [0.0], [0.0]])


class Clamped(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(1, 1)
        with torch.no_grad():
            self.score.weight.fill_(2.0)
            self.score.bias.fill_(0.5)

    def forward(self, x):
        return self.score(x).clamp(1e-6, 1 - 1e-6)


def test_clamped_scores_become_logits_from_the_first_step(treated):
    net = Clamped()
    wanted = F.binary_cross_entropy_with_logits(net.score(X), Y)
    site = treated("bce_with_logits")
    for _ in range(2):
        loss = nn.BCELoss()(net(X), Y)
        assert torch.allclose(loss, wanted)
        loss.backward()
    assert torch.equal(net(X), net.score(X))
    assert site.acted > 0


def test_probabilities_of_a_sigmoid_are_left_alone(treated):
    net = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
    wanted = F.binary_cross_entropy(net(X), Y)
    site = treated("bce_with_logits")
    assert torch.equal(F.binary_cross_entropy(net(X), Y), wanted)
    assert site.acted == 0
