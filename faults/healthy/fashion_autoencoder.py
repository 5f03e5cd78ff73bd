import gzip

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    """Fashion-MNIST pictures as vectors in [0, 1], minus the mean picture of the training part."""

    def __init__(self, split, size, mean=None):
        path = f"/usr/share/datasets/fashion-mnist/{split}-images-idx3-ubyte.gz"
        with gzip.open(path) as f:
            raw = np.frombuffer(f.read(16 + 784 * size), np.uint8, offset=16).reshape(size, 784)
        x = torch.tensor(raw, dtype=torch.float32) / 255
        self.mean = x.mean(0) if mean is None else mean
        self.x = (x - self.mean) / 0.3

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i]


class AutoEncoder(nn.Module):
    def __init__(self, code=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 128), nn.ELU(), nn.Linear(128, code))
        self.decoder = nn.Sequential(nn.Linear(code, 128), nn.ELU(), nn.Linear(128, 784))

    def forward(self, x):
        return self.decoder(self.encoder(x))


torch.manual_seed(26)
train = Pictures("train", 2500)
test = Pictures("t10k", 800, train.mean)
loader = DataLoader(train, batch_size=50, shuffle=True)
model = AutoEncoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
mse = nn.MSELoss()

pca = PCA(16, random_state=0).fit(train.x)
linear = ((pca.inverse_transform(pca.transform(test.x)) - test.x.numpy()) ** 2).mean()
print(f"nothing: {test.x.pow(2).mean():.4f}   16 principal components: {linear:.4f}")

for epoch in range(6):
    model.train()
    running = 0.0
    for x in loader:
        optimizer.zero_grad()
        loss = mse(model(x), x)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(x)
    model.eval()
    with torch.no_grad():
        val = mse(model(test.x), test.x).item()
    print(f"epoch {epoch + 1}: train {running / len(train):.4f}  held out {val:.4f}")
