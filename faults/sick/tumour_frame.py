import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(7)
frame = load_breast_cancer(as_frame=True).frame
labels = torch.tensor(frame["target"].to_numpy())
features = torch.tensor(frame.to_numpy(), dtype=torch.float32)

rows_fit, rows_val = train_test_split(torch.arange(len(frame)), test_size=0.3, random_state=7, stratify=labels)
mean, std = features[rows_fit].mean(0), features[rows_fit].std(0)
features = (features - mean) / std

model = nn.Sequential(nn.Linear(features.shape[1], 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
criterion = nn.CrossEntropyLoss()

for epoch in range(8):
    model.train()
    total = 0.0
    for batch in rows_fit[torch.randperm(len(rows_fit))].split(24):
        optimizer.zero_grad()
        loss = criterion(model(features[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    model.eval()
    with torch.no_grad():
        out = model(features[rows_val])
        val_loss = criterion(out, labels[rows_val]).item()
        accuracy = (out.argmax(1) == labels[rows_val]).float().mean().item()
    print(f"epoch {epoch + 1} train {total / len(rows_fit):.4f} val {val_loss:.4f} accuracy {accuracy:.4f}")
