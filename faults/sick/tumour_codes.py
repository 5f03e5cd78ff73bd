"""Benign or malignant, with the labels in the coding of the hospital's file: 2 and 4."""
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

BENIGN, MALIGNANT = 2, 4


def load():
    table = load_breast_cancer()
    code = torch.where(torch.tensor(table.target) == 0, MALIGNANT, BENIGN)
    x_fit, x_val, c_fit, c_val = train_test_split(
        torch.tensor(table.data, dtype=torch.float32), code, test_size=0.3, random_state=19, stratify=code
    )
    mean, std = x_fit.mean(0), x_fit.std(0)
    return (x_fit - mean) / std, (x_val - mean) / std, c_fit, c_val


def to_target(code):
    return code.float() - 1


def main():
    torch.manual_seed(19)
    x_fit, x_val, c_fit, c_val = load()
    model = nn.Sequential(nn.Linear(30, 12), nn.ReLU(), nn.Linear(12, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(6):
        model.train()
        losses = []
        for rows in torch.randperm(len(x_fit)).split(32):
            optimizer.zero_grad()
            loss = criterion(model(x_fit[rows]), to_target(c_fit[rows]))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            said = torch.where(model(x_val) > 0, MALIGNANT, BENIGN)
        accuracy = (said == c_val).float().mean().item()
        print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.4f}, validation accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
