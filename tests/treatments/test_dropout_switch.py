import pytest
import torch
import torch.nn.functional as F
from torch import nn

X = torch.ones(1, 64)


class Net(nn.Module):
    def __init__(self, drop):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.drop = drop

    def forward(self, x):
        return self.drop(self.scale * x)


def attention(x):
    q = x.view(1, 1, 8, 8)
    return F.scaled_dot_product_attention(q, q, q, None, 0.5)


@pytest.mark.parametrize(
    "drop",
    [
        lambda x: F.dropout(x, 0.5),
        lambda x: F.dropout(x, p=0.5, training=True),
        lambda x: torch.dropout(x, 0.5, True),
        attention,
        lambda x: F.scaled_dot_product_attention(*[x.view(1, 1, 8, 8)] * 3, dropout_p=0.5),
    ],
)
def test_it_rests_in_evaluation_and_works_in_training(treated, drop):
    site = treated("dropout_switch")
    model = Net(drop)
    torch.manual_seed(0)
    assert (model(X) == 0).any() or not torch.allclose(model(X), X.view(1, 1, 8, 8))
    assert not site.acted
    model.eval()
    assert torch.allclose(model(X).flatten(), X.flatten())
    assert site.acted == 1


def test_a_module_s_own_dropout_is_left_alone(treated):
    site = treated("dropout_switch")
    model = Net(nn.Dropout(0.5)).eval()
    assert torch.equal(model(X), X)
    assert not site.acted
