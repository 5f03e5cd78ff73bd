"""Accelerate: two models (encoder, head), a prepared scheduler, accumulate, backward, clip_grad_norm_."""

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything


def main():
    seed_everything(0)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / 8 - 1, dtype=torch.float32)
    loader = DataLoader(TensorDataset(x, torch.tensor(labels)), batch_size=32, shuffle=True)

    encoder = nn.Sequential(nn.Linear(64, 96), nn.Tanh(), nn.Dropout(0.1), nn.Linear(96, 32), nn.Tanh())
    head = nn.Linear(32, 10)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=4e-3)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.1, total_iters=3 * 29)
    encoder, head, optimizer, loader, scheduler = accelerator.prepare(encoder, head, optimizer, loader, scheduler)

    for epoch in range(3):
        for x, y in loader:
            with accelerator.accumulate(encoder, head):
                loss = F.cross_entropy(head(encoder(x)), y)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_([*encoder.parameters(), *head.parameters()], 1.0)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            print("loss", repr(loss.item()))

    print("lr", repr(scheduler.get_last_lr()[0]))
    print_digest(accelerator.unwrap_model(encoder), accelerator.unwrap_model(head))


if __name__ == "__main__":
    main()
