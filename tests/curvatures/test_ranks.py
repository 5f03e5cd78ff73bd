"""Several processes hold a part of the batch each: products are averaged, all decide alike."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import torchdx as dx
from tests.curvatures.cases import net
from torchdx.errors import CallError


def work(rank, path, queue):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    model, (x, y) = net()
    wrapped = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(wrapped.parameters(), 0.1)
    own = slice(0, 20) if rank == 0 else slice(20, 40)
    c = dx.curvature(wrapped, nn.CrossEntropyLoss(), (x[own], y[own]), optimizer)
    ends, step, verdict = c.extremes(), c.step(), c.critical().as_dict()
    verdict.pop("spent")
    verdict.pop("about")
    refused = ""
    try:
        dx.curvature(lambda: wrapped(x).sum(), wrapped.parameters())
    except CallError as error:
        refused = str(error)
    loss = nn.functional.cross_entropy(wrapped(x[own]), y[own])
    loss.backward()
    optimizer.step()
    queue.put(
        (
            rank,
            ends.as_dict(),
            step.measured,
            step.predicted,
            verdict,
            c._local.hessian.products,
            refused,
        )
    )
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_answer_alike_and_as_one_process_does_with_the_whole_batch(tmp_path):
    context = mp.get_context("spawn")
    queue = context.Queue()
    workers = [
        context.Process(target=work, args=(rank, tmp_path / "store", queue)) for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    answers = sorted(queue.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    (_, first, *one), (_, second, *two) = answers
    assert first["highest"] == second["highest"]
    assert first["lowest"] == second["lowest"]
    assert one == two
    assert "Give the wrapped model" in one[-1]
    assert "mean over 2 ranks" in first["about"]["notes"]
    model, batch = net()
    whole = dx.curvature(
        model, nn.CrossEntropyLoss(), batch, torch.optim.SGD(model.parameters(), 0.1)
    )
    alone = whole.extremes()
    assert first["highest"]["low"] == pytest.approx(alone.highest.low, rel=1e-9)
    assert one[0] == pytest.approx(whole.step().measured, rel=1e-6)
