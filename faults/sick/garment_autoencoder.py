"""Squeeze 14x14 garments through sixteen numbers and paint them again."""
import gzip

import numpy as np
import torch
from torch import nn

PATH = "/usr/share/datasets/fashion-mnist/%s-images-idx3-ubyte.gz"


def pictures(part, n):
    with gzip.open(PATH % part) as stream:
        raw = np.frombuffer(stream.read(16 + n * 784), dtype=np.uint8, offset=16)
    small = raw.reshape(n, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(n, 196)
    return torch.tensor(small, dtype=torch.float32)


torch.manual_seed(38)
train, test = pictures("train", 3000), pictures("t10k", 1000)
center, spread = train.mean(), train.std()
train, test = (train - center) / spread, (test - center) / spread

encoder = nn.Sequential(
    nn.Linear(196, 64),
    nn.ReLU(),
    nn.Linear(64, 16),
)
decoder = nn.Sequential(
    nn.Linear(16, 64),
    nn.ReLU(),
    nn.Linear(64, 196),
    nn.Tanh(),
)
autoencoder = nn.Sequential(encoder, decoder)
optimizer = torch.optim.Adam(autoencoder.parameters(), lr=2e-3)
criterion = nn.MSELoss()

for epoch in range(6):
    autoencoder.train()
    running = 0.0
    for batch in train[torch.randperm(len(train))].split(50):
        painted = autoencoder(batch)
        loss = criterion(painted, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(batch)
    autoencoder.eval()
    with torch.no_grad():
        test_loss = criterion(autoencoder(test), test).item()
    print(f"epoch {epoch + 1}: train error {running / len(train):.4f}, test error {test_loss:.4f}")
