import pytest
import torch
from torch import nn

from torchdx.probes.subject import rebuild_loss
from torchdx.trials import by_hand
from torchdx.trials.scores import answers_of

torch.manual_seed(0)
NET = nn.Linear(3, 1)
X, Y = torch.randn(6, 3), torch.randn(6)


@pytest.mark.parametrize(
    "loss",
    [
        lambda a: ((a.squeeze(1) - Y) ** 2).mean(),
        lambda a: ((Y - a.squeeze(1)) ** 2).sum(),
        lambda a: (a.squeeze(1) - Y).abs().mean(),
        lambda a: ((a - Y) ** 2).mean(),
    ],
)
def test_answers_and_targets_of_a_difference(loss):
    answer = NET(X)
    again = NET(X)
    root = rebuild_loss(answer, loss(answer))(again)
    head = by_hand.read(root, again)
    found = answers_of(head)
    assert torch.allclose(found.given.reshape(-1), again.detach().reshape(-1).double())
    assert torch.allclose(found.target.reshape(-1), Y, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_labels_of_picked_log_probabilities_whatever_the_sign(sign):
    net, labels = nn.Linear(3, 4), torch.tensor([0, 3, 1, 2, 2, 0])

    def loss(scores):
        logs = scores - scores.logsumexp(dim=1, keepdim=True)
        return sign * logs.gather(1, labels.unsqueeze(1)).mean()

    answer = net(X)
    head = by_hand.read(rebuild_loss(answer, loss(answer))(net(X)), answer)
    assert head.kind == "classes"
    assert torch.allclose(head.given, answer.log_softmax(1), atol=1e-6)
    assert torch.equal(head.target, labels)


def test_of_other_losses_nothing_is_said():
    answer = NET(X)
    assert by_hand.read((answer**4).mean(), answer) is None
