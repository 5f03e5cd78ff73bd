"""DistributedDataParallel over gloo with a DistributedSampler.

Run: torchrun --standalone --nproc_per_node 2 ddp_gloo.py
"""

import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from _digest import print_digest, seed_everything


def main():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    seed_everything(rank)
    images, labels = load_digits(return_X_y=True)
    dataset = TensorDataset(torch.tensor(images / 8 - 1, dtype=torch.float32), torch.tensor(labels))
    sampler = DistributedSampler(dataset, shuffle=True, seed=0)
    loader = DataLoader(dataset, batch_size=32, sampler=sampler)

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10))
    model = DistributedDataParallel(model)  # rank 0's weights go to everyone
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            mean = loss.detach().clone()
            dist.all_reduce(mean)
            if rank == 0:
                print("loss", repr(mean.item() / dist.get_world_size()))

    if rank == 0:
        print_digest(model.module)
    dist.destroy_process_group()
    # gloo's threads let go of their tensors a little later; a rank that exits first aborts (pytorch PR 179291)
    time.sleep(0.3)


if __name__ == "__main__":
    main()
