import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(70)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)
labels = torch.tensor(digits.target)
rows_train, rows_val = train_test_split(range(len(labels)), test_size=0.25, random_state=70)
images = (images - images[rows_train].mean()) / images[rows_train].std()


def prepare(rows, jitter=0.0):
    """Flat images of the rows; with `jitter`, each pixel is moved a little at random."""
    x = images[rows].flatten(1)
    return x + jitter * torch.randn_like(x), labels[rows]


def evaluate(model, criterion):
    model.eval()
    with torch.no_grad():
        x, y = prepare(rows_val)
        out = model(x)
    return criterion(out, y).item(), (out.argmax(1) == y).float().mean().item()


model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
rows_train = torch.tensor(rows_train)
for epoch in range(8):
    model.train()
    losses = []
    for rows in rows_train[torch.randperm(len(rows_train))].split(64):
        x, y = prepare(rows, jitter=0.5)
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    val_loss, val_acc = evaluate(model, criterion)
    print(f"epoch {epoch + 1} train {sum(losses) / len(losses):.4f} val {val_loss:.4f} accuracy {val_acc:.4f}")
