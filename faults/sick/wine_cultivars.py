import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset


def make_loaders(batch_size, seed):
    X, y = load_wine(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    scaler = StandardScaler()
    X_train = torch.from_numpy(scaler.fit_transform(X_train)).float()
    X_test = torch.from_numpy(scaler.transform(X_test)).float()
    train = TensorDataset(X_train, torch.from_numpy(y_train))
    test = TensorDataset(X_test, torch.from_numpy(y_test))
    return DataLoader(train, batch_size=batch_size, shuffle=True), DataLoader(test, batch_size=len(test))


def build_model():
    return nn.Sequential(
        nn.Linear(13, 32),
        nn.ReLU(),
        nn.Linear(32, 3),
        nn.Softmax(dim=1),
    )


def run(epochs=25, lr=0.05, seed=4):
    torch.manual_seed(seed)
    train_loader, test_loader = make_loaders(16, seed)
    model = build_model()
    criterion = nn.NLLLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)

    for epoch in range(epochs):
        model.train()
        seen, total = 0, 0.0
        for xb, yb in train_loader:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
            seen += len(xb)

        model.eval()
        right = 0
        test_loss = 0.0
        with torch.no_grad():
            for xb, yb in test_loader:
                out = model(xb)
                test_loss += nn.functional.nll_loss(out, yb, reduction="sum").item()
                right += (out.argmax(1) == yb).sum().item()
        n = len(test_loader.dataset)
        print(f"epoch {epoch + 1}: loss {total / seen:.4f} | test loss {test_loss / n:.4f} acc {right / n:.4f}")


if __name__ == "__main__":
    run()
