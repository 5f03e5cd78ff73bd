import torch
from torch.nn import functional as F

P = torch.tensor([[0.3, -0.2]], requires_grad=True)
Y = torch.tensor([0])


def gradient(loss):
    P.grad = None
    loss.backward()
    found, P.grad = P.grad, None
    return found


def test_the_whole_loss_changes_its_sign(treated):
    right = gradient(F.cross_entropy(P, Y))
    site = treated("sign", where="loss")
    assert torch.equal(gradient(-F.cross_entropy(P, Y)), right)
    assert site.acted == 1


def test_one_term_changes_its_sign_beside_a_penalty(treated):
    right = gradient(F.cross_entropy(P, Y) + P.square().sum())
    treated("sign", where="term")
    assert torch.allclose(gradient(-F.cross_entropy(P, Y) + P.square().sum()), right)


def test_a_closure_returns_what_its_gradient_is_of(treated):
    treated("sign")
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = torch.optim.LBFGS([weight], lr=0.5, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = -((weight - 1) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert abs(weight.item() - 1) < 1e-3
