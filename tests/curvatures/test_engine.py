"""Products, the basis, and what is answered from it."""

import gc
import weakref

import pytest
import torch
from torch import nn

import torchdx as dx
from tests.curvatures.cases import dense, exact, net, quadratic
from torchdx.curvatures.results import Interval
from torchdx.curvatures.vectors import Layout
from torchdx.errors import CallError


@pytest.mark.parametrize("method", ["retained", "rebuilt"])
def test_products_are_those_of_the_exact_hessian(method):
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch, method=method)
    torch.testing.assert_close(dense(c), exact(model, batch), rtol=0, atol=1e-13)


def test_a_secant_is_near_the_hessian_of_a_smooth_net_and_claims_no_bound():
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch, method="secant")
    torch.testing.assert_close(dense(c), exact(model, batch), rtol=0, atol=1e-6)
    ends = c.extremes()
    assert ends.highest.level is None
    assert not ends.certified
    assert "nothing is certified" in str(ends)
    assert c.critical(gradient_tol=1e9).verdict == "undecided"


def test_a_graph_that_would_hold_too_much_is_rebuilt_and_it_is_said():
    model, batch = net()
    told = dx.curvature(model, nn.CrossEntropyLoss(), batch, memory_bytes=1).extremes().about
    assert told.method == "rebuilt"
    assert "MB are allowed" in told.because


def test_memory_that_runs_out_leads_to_the_next_method(monkeypatch):
    from torchdx.curvatures.operators import Hessian

    def full(*_):
        msg = "out of memory"
        raise torch.OutOfMemoryError(msg)

    monkeypatch.setattr(Hessian, "_retain", full)
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    assert c.extremes().about.method == "rebuilt"
    monkeypatch.setattr(Hessian, "_rebuilt", full)
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    about = c.extremes().about
    assert (about.method, about.because) == ("secant", "memory ran out for a graph of the gradient")


def test_one_basis_answers_extremes_top_density_and_trace():
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    first = c.extremes()
    assert first.spent.products > 0
    assert c.extremes().spent.products == 0
    assert c.top(1).spent.products == 0
    more = c.top(5)
    assert 0 < more.spent.products < 15
    held = first.spent.products + more.spent.products
    assert c.density(steps=held).spent.products == 0
    assert c.trace().spent.products <= 30
    truth = torch.linalg.eigvalsh(exact(model, batch))
    assert more.values == pytest.approx(truth.flip(0)[:5].tolist(), rel=1e-5)


def test_vectors_are_eigenvectors_and_come_by_parameter_with_their_layers():
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    found = c.top(2, tol=1e-6)
    image = c.hvp(found.vectors[0])
    torch.testing.assert_close(image, found.values[0] * found.vectors[0], rtol=0, atol=1e-5)
    assert set(found.named[0]) == {n for n, _ in model.named_parameters()}
    assert found.named[0]["0.weight"].shape == (8, 6)
    assert sum(found.shares[0].values()) == pytest.approx(1)
    assert "vectors" not in found.as_dict()
    assert found.as_dict()["values"] == list(found.values)


@pytest.mark.parametrize("which", ["largest", "smallest", "magnitude"])
def test_top_takes_the_end_that_is_asked_for(which):
    values = torch.cat([torch.linspace(-0.2, 0.3, 60), torch.tensor([-2.0, 1.0])]).double()
    found = dx.spectrum(lambda v: values * v, 62, dtype=torch.float64).top(2, which=which)
    expected = {"largest": [1.0, 0.3], "smallest": [-2.0, -0.2], "magnitude": [-2.0, 1.0]}
    assert found.values == pytest.approx(expected[which], abs=2e-3)


def test_the_trace_of_a_matrix_with_negative_trace_lies_in_its_interval():
    g = torch.Generator().manual_seed(0)
    a = torch.randn(200, 200, generator=g, dtype=torch.float64)
    a = (a + a.T) / 2 - 0.5 * torch.eye(200, dtype=torch.float64)
    found = dx.spectrum(lambda v: a @ v, 200, dtype=torch.float64).trace(products=200)
    assert found.interval.low <= float(a.trace()) <= found.interval.high
    assert 5 < found.error < 15


def test_the_trace_goes_on_from_the_samples_that_it_has():
    values = torch.linspace(-1, 1, 400)
    c = dx.spectrum(lambda v: values * v, 400)
    assert c.trace(0, products=10).spent.products == 20  # ten of them the basis
    assert c.trace(0, products=15).spent.products == 5


def test_the_density_of_a_known_spectrum_is_near_in_distribution():
    values = torch.cat([torch.linspace(-1, 0, 250), torch.linspace(0, 4, 750)]).double()
    found = dx.spectrum(lambda v: values * v, 1000, dtype=torch.float64).density(starts=3, steps=40)
    assert sum(found.weights) == pytest.approx(1)
    assert found.negative == pytest.approx(0.25, abs=0.04)
    nodes, weights = torch.tensor(found.nodes), torch.tensor(found.weights)
    at = torch.linspace(-1, 4, 300).double()
    ours = ((nodes[None] <= at[:, None]) * weights).sum(1)
    true = (values[None] <= at[:, None]).double().mean(1)
    assert float((ours - true).abs().mean()) < 0.02
    places, heights = found.grid(100)
    assert len(places) == len(heights) == 100


def test_blocks_are_the_diagonal_blocks_of_the_hessian():
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    found = c.blocks(tol=1e-6, products=60)
    h = exact(model, batch)
    for block, part in zip(found.blocks, (h[:56, :56], h[56:, 56:]), strict=True):
        truth = torch.linalg.eigvalsh(part)
        assert block.highest.low <= float(truth[-1]) <= block.highest.high
        assert block.lowest.low <= float(truth[0]) <= block.lowest.high
    assert [b.name for b in found.blocks] == ["0", "2"]
    assert sum(b.share for b in found.blocks) == pytest.approx(1)
    rebuilt = dx.curvature(model, nn.CrossEntropyLoss(), batch, method="rebuilt")
    again = rebuilt.blocks(tol=1e-6, products=60)
    for a, b in zip(found.blocks, again.blocks, strict=True):
        assert a.highest.middle == pytest.approx(b.highest.middle)


def test_batches_count_by_their_weights():
    torch.manual_seed(0)
    x, y = torch.randn(100, 5).double(), torch.randn(100, 1).double()
    x[96:] *= 5
    model = nn.Linear(5, 1, bias=False).double()
    cuts = [slice(0, 48), slice(48, 96), slice(96, 100)]
    batches = [((x[c], y[c]), len(x[c])) for c in cuts]
    true = float(torch.linalg.eigvalsh(2 * x.T @ x / 100)[-1])
    for method in ("retained", "rebuilt", "secant"):
        c = dx.curvature(model, nn.MSELoss(), batches=batches, method=method)
        assert c.extremes().highest.middle == pytest.approx(true, rel=1e-4)
    assert c.extremes().about.rows == 100


def test_products_take_and_give_tensors_by_name():
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    named = {n: torch.randn_like(p) for n, p in model.named_parameters()}
    flat = torch.cat([t.reshape(-1) for t in named.values()])
    image = c.hvp(named)
    torch.testing.assert_close(torch.cat([t.reshape(-1) for t in image.values()]), c.hvp(flat))
    with pytest.raises(CallError, match="takes 83 numbers"):
        c.hvp(flat[:5])
    with pytest.raises(CallError, match=r"shape \(8, 6\) for '0.weight'; found nothing"):
        c.hvp({})


def test_scipy_finds_the_same_eigenvalue():
    linalg = pytest.importorskip("scipy.sparse.linalg")
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    found = linalg.eigsh(c.to_scipy(), k=1, return_eigenvectors=False)
    assert c.extremes().highest.middle == pytest.approx(float(found[0]), rel=1e-3)


def test_a_closure_with_parameters_is_asked_like_a_model():
    model, (x, y) = net()
    by_model = dx.curvature(model, nn.CrossEntropyLoss(), (x, y)).extremes()
    c = dx.curvature(lambda: nn.functional.cross_entropy(model(x), y), model.named_parameters())
    assert c.extremes().highest == by_model.highest
    assert c.renew(warm=False).extremes().highest == by_model.highest
    assert list(c.top(1).named[0]) == [n for n, _ in model.named_parameters()]


def test_a_loss_of_model_and_batch_is_taken_as_such():
    model, batch = net()

    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    ours = dx.curvature(model, loss, batch).extremes()
    assert ours.highest == dx.curvature(model, nn.CrossEntropyLoss(), batch).extremes().highest


def test_weights_that_moved_are_refused_and_renewed_from_what_is_known():
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    cold = c.extremes().spent.products
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.001)
    with pytest.raises(CallError, match=r"have changed since .* c\.renew\(\)"):
        c.extremes()
    fresh = c.renew()
    assert fresh.track().spent.products <= 2
    ends = fresh.extremes()
    assert ends.spent.products <= cold + 2
    truth = float(torch.linalg.eigvalsh(exact(model, batch))[-1])
    assert ends.highest.low <= truth <= ends.highest.high
    assert fresh.track().value == pytest.approx(truth, rel=1e-3)
    assert fresh.density().starts == 1


def test_a_top_direction_that_has_turned_is_found_again_with_more_products():
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    c.extremes()
    torch.manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    found = c.renew().track(3)
    truth = float(torch.linalg.eigvalsh(exact(model, batch))[-1])
    assert found.spent.products in {2, 3}
    assert 0.98 * truth < found.value <= truth
    assert truth - found.value <= found.residual


def test_a_graph_that_an_equal_write_has_spoiled_is_made_again():
    model, batch = net()
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
    before = c.hvp(torch.ones(c.n, dtype=torch.float64))
    model.load_state_dict(model.state_dict())
    torch.testing.assert_close(c.hvp(torch.ones(c.n, dtype=torch.float64)), before)


def test_a_with_block_lets_go_of_the_graph():
    model, batch = net()
    with dx.curvature(model, nn.CrossEntropyLoss(), batch) as c:
        c.extremes()
        assert c._local.hessian._outputs
    assert not c._local.hessian._outputs
    assert c.extremes().spent.products == 0


def test_an_asymmetric_operator_is_refused():
    a = torch.randn(50, 50, generator=torch.Generator().manual_seed(0))
    with pytest.raises(CallError, match="not symmetric"):
        dx.spectrum(lambda v: a @ v, 50).extremes()


def test_results_are_plain_data_and_say_what_they_are_of():
    c = quadratic(torch.diag(torch.tensor([3.0, 1.0, 0.5])), [1.0, 1.0, 1.0])
    plain = c.extremes().as_dict()
    assert plain["kind"] == "Extremes"
    assert plain["highest"]["level"] == 0.99
    assert plain["about"]["parameters"] == 3
    assert plain["about"]["method"] == "retained"
    assert str(c.extremes()).splitlines()[0] == "eigenvalues of the Hessian"
    assert all(len(line) <= 100 for line in str(c.extremes()).splitlines())


@pytest.mark.parametrize("k", [0, 4])
def test_more_eigenvalues_than_there_are_is_refused(k):
    with pytest.raises(CallError, match="k is 1 to 3"):
        dx.spectrum(lambda v: v, 3).top(k)


def test_the_basis_stays_orthonormal_far_beyond_convergence():
    values = torch.cat([torch.rand(3000) * 0.01, torch.tensor([5.0, 3.0, 1.0, -2.0])])
    found = dx.spectrum(lambda v: values * v, 3004)
    found.grow(120)
    q = found.krylov.vectors.double()
    assert float((q @ q.T - torch.eye(120)).abs().max()) < 1e-5
    near = [v for v in found.krylov.ritz().values if v > 4]
    assert near == pytest.approx([5.0], rel=1e-6)


def test_what_the_basis_holds_of_the_trace_is_summed_exactly():
    values = torch.cat([torch.linspace(-0.01, 0.02, 500), torch.tensor([100.0, 50.0])]).double()
    found = dx.spectrum(lambda v: values * v, 502, dtype=torch.float64).trace(products=10)
    assert found.value == pytest.approx(float(values.sum()), abs=0.1)
    assert found.error < 0.1


def test_an_answered_question_leaves_no_basis_behind_before_the_garbage_collector_comes():
    model, batch = net()
    gc.disable()
    try:
        c = dx.curvature(model, nn.CrossEntropyLoss(), batch)
        c.extremes()
        c.trace()
        basis = weakref.ref(c._local.spectrum.krylov)
        memory = weakref.ref(c._local.spectrum.krylov._basis)
        del c
        assert basis() is None
        assert memory() is None
    finally:
        gc.enable()


def test_an_interval_times_a_negative_number_still_runs_upwards():
    assert Interval(1.0, 3.0, 0.99).times(-2.0) == Interval(-6.0, -2.0, 0.99)


def test_the_shares_of_layers_sum_to_one_whatever_the_length_of_the_vector():
    layout = Layout.of(["a.weight", "b.weight"], [torch.zeros(2), torch.zeros(3)])
    assert layout.shares(torch.full((5,), 7.0)) == pytest.approx({"b": 0.6, "a": 0.4})


def test_attention_is_as_fast_after_a_question_as_before():
    model, batch = net()
    assert torch.backends.mha.get_fastpath_enabled()
    dx.curvature(model, nn.CrossEntropyLoss(), batch).extremes()
    assert torch.backends.mha.get_fastpath_enabled()
