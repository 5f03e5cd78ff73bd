"""Five-fold cross-validation: five fresh models and optimizers made at the same source lines."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

seed_everything(0)
features, target = load_wine(return_X_y=True)
models, scores = [], []
for fold, (train, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(features, target)):
    mean, std = features[train].mean(0), features[train].std(0)
    x = torch.tensor((features - mean) / std, dtype=torch.float32)
    y = torch.tensor(target)
    loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=16, shuffle=True)

    model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(6):
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            print("loss", repr(loss.item()))

    model.eval()
    with torch.no_grad():
        scores.append((model(x[test]).argmax(1) == y[test]).float().mean().item())
    print("fold", fold, "accuracy", repr(scores[-1]))
    models.append(model)

print("mean accuracy", repr(sum(scores) / len(scores)))
print_digest(*models)
