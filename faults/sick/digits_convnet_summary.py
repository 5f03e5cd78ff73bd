"""Print the shape of every layer's output, then train on the 8x8 digits."""
import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(12)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
target = torch.tensor(digits.target)
shuffled = torch.randperm(len(images))
train, test = shuffled[:600], shuffled[600:]

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Dropout(0.4),
    nn.Linear(16 * 4 * 4, 10),
)

model.eval()  # a batch of one image
with torch.no_grad():
    x = images[:1]
    for layer in model:
        x = layer(x)
        print(f"{layer.__class__.__name__:12s} {tuple(x.shape)}")

optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(12):
    total = 0.0
    for rows in train[torch.randperm(len(train))].split(30):
        optimizer.zero_grad()
        loss = criterion(model(images[rows]), target[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    print(f"epoch {epoch + 1:2d}: loss {total / len(train):.4f}")

model.eval()
with torch.no_grad():
    logits = model(images[test])
    print(f"test loss {criterion(logits, target[test]).item():.4f}")
    print(f"test accuracy {(logits.argmax(1) == target[test]).float().mean().item():.4f}")
