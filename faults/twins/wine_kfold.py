"""Five-fold cross-validation of a small net on the wine table."""
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold
from torch import nn

HIDDEN, EPOCHS, BATCH = 20, 12, 24


def build_model():
    return nn.Sequential(nn.Linear(13, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 3))


torch.manual_seed(0)
X, y = load_wine(return_X_y=True)
folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
criterion = nn.CrossEntropyLoss()
model = build_model()
print("parameters:", sum(p.numel() for p in model.parameters()))

scores = []
for fold, (train_rows, test_rows) in enumerate(folds.split(X, y)):
    mean, std = X[train_rows].mean(axis=0), X[train_rows].std(axis=0)
    x_train = torch.tensor((X[train_rows] - mean) / std, dtype=torch.float32)
    x_test = torch.tensor((X[test_rows] - mean) / std, dtype=torch.float32)
    y_train, y_test = torch.tensor(y[train_rows]), torch.tensor(y[test_rows])

    model = build_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(x_train))
        for i in range(0, len(order), BATCH):
            rows = order[i:i + BATCH]
            optimizer.zero_grad()
            loss = criterion(model(x_train[rows]), y_train[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    scores.append(accuracy)
    print(f"fold {fold}: last loss {loss.item():.4f}  accuracy {accuracy:.3f}")

print(f"mean accuracy {sum(scores) / len(scores):.3f}")
