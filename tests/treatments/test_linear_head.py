import pytest
import torch
from torch import nn
from torch.nn import functional as F

X = torch.linspace(-2, 2, 12).view(4, 3)
Y = torch.tensor([0, 1, 2, 1])


def relu(x):
    return F.relu(x)


class Net(nn.Module):
    """Two layers, and one function object behind both."""

    def __init__(self, last):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second, self.last = nn.Linear(3, 5), nn.Linear(5, 3), last

    def hidden(self, x):
        return F.relu(self.first(x))

    def forward(self, x):
        return self.last(self.second(self.hidden(x)))


@pytest.mark.parametrize(
    ("last", "where"),
    [
        (nn.ReLU(), "Relu"),
        (nn.Tanh(), "Tanh"),
        (nn.Sigmoid(), "Sigmoid"),
        (relu, "Relu"),
    ],
)
def test_the_last_function_is_left_out_and_no_other(treated, last, where):
    net = Net(last)
    scores = net.second(net.hidden(X))
    site = treated("linear_head", where=where)
    for _ in range(3):
        loss = F.cross_entropy(net(X), Y)
        assert torch.allclose(loss, F.cross_entropy(scores, Y))
        loss.backward()
    assert torch.equal(net(X), scores)
    assert site.acted >= 3


def test_a_function_in_place_is_left_out_from_the_second_step_on(treated):
    net = Net(nn.ReLU(inplace=True))
    scores = net.second(net.hidden(X))
    treated("linear_head", where="Relu")
    F.cross_entropy(net(X), Y).backward()
    assert torch.equal(net(X), scores)


def test_another_layout_of_the_answer_is_seen(treated):
    net = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    scores = net[0](X)
    treated("linear_head", where="Sigmoid")
    wanted = Y.float()
    assert torch.allclose(F.mse_loss(net(X).squeeze(1), wanted), F.mse_loss(scores[:, 0], wanted))


def test_a_dropout_moves_in_front_of_the_last_layer(treated):
    net = Net(nn.Dropout(0.5))
    site = treated("linear_head", where="dropout")
    F.cross_entropy(net(X), Y).backward()
    seen = []
    net.second.register_forward_hook(lambda _m, args, out: seen.append((args[0], out)))
    answer = net(X)
    assert torch.equal(answer, seen[0][1])
    rows = torch.cat([net(X) for _ in range(50)])
    assert len(rows.unique(dim=0)) > 20
    net.eval()
    with torch.no_grad():
        assert torch.equal(net(X), net.second(net.hidden(X)))
    assert site.acted > 0


def test_it_draws_what_the_program_would_have_drawn(treated):
    def drawn():
        net = Net(nn.Dropout(0.5))
        for _ in range(3):
            F.cross_entropy(net(X), Y).backward()
        return torch.rand(3)

    before = drawn()
    treated("linear_head", where="dropout")
    assert torch.equal(drawn(), before)


def test_a_net_that_ends_with_a_layer_is_left_alone(treated):
    net = Net(lambda x: x)
    wanted = net(X)
    site = treated("linear_head")
    F.cross_entropy(net(X), Y).backward()
    assert torch.equal(net(X), wanted)
    assert site.acted == 0
