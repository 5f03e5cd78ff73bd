# Is the digit in the picture five or more?
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class HighDigit(nn.Module):
    def __init__(self, n_in=64, n_hidden=64):
        super().__init__()
        self.lin1 = nn.Linear(n_in, n_hidden)
        self.lin2 = nn.Linear(n_hidden, n_hidden)
        self.lin3 = nn.Linear(n_hidden, 1)

    def forward(self, x):
        x = self.lin1(x)
        x = self.lin2(x)
        return self.lin3(x)


def main():
    torch.manual_seed(12)
    images, digits = load_digits(return_X_y=True)
    high = (digits >= 5).astype("float32")
    images = (images / 8.0 - 1.0).astype("float32")
    x_train, x_val, y_train, y_val = map(
        torch.from_numpy, train_test_split(images, high, test_size=400, random_state=12, stratify=digits)
    )
    loader = DataLoader(TensorDataset(x_train, y_train.unsqueeze(1)), batch_size=32, shuffle=True)
    model = HighDigit()
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    for epoch in range(8):
        model.train()
        batch_losses = []
        for xb, yb in loader:
            logits = model(xb)
            loss = criterion(logits, yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            batch_losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            val_acc = ((model(x_val).squeeze(1) > 0) == (y_val > 0.5)).float().mean()
        print(f"epoch {epoch + 1} loss {sum(batch_losses) / len(batch_losses):.4f} val acc {val_acc.item():.4f}")


if __name__ == "__main__":
    main()
