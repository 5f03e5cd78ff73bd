# Digits seen as an upper and a lower half, one encoder for each, joined by a common head.
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
import torch.nn.functional as F


class TwoHalves(nn.Module):
    def __init__(self, code=12):
        super().__init__()
        self.encoders = nn.ModuleDict({
            "upper": nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, code)),
            "lower": nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, code)),
        })
        self.head = nn.Linear(2 * code, 10)

    def forward(self, image):
        halves = {"upper": image[:, :4].flatten(1), "lower": image[:, 4:].flatten(1)}
        codes = [F.relu(self.encoders[name](half)) for name, half in halves.items()]
        return self.head(torch.cat(codes, dim=1))


def fit(model, x, y, x_val, y_val, epochs=12, batch=40, lr=0.05):
    sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for epoch in range(epochs):
        model.train()
        losses = []
        for idx in torch.randperm(len(x)).split(batch):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            val_acc = (model(x_val).argmax(1) == y_val).float().mean().item()
        print(f"epoch {epoch + 1:2d}  loss {sum(losses) / len(losses):.4f}  val acc {val_acc:.4f}")


if __name__ == "__main__":
    torch.manual_seed(10)
    data = load_digits()
    images = data.images.astype("float32") / 16
    split = train_test_split(images, data.target, test_size=0.25, random_state=10, stratify=data.target)
    x_train, x_val, y_train, y_val = (torch.from_numpy(part) for part in split)
    fit(TwoHalves(), x_train, y_train, x_val, y_val)
