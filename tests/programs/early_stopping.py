"""Early stopping: the best state is deep-copied when the validation loss falls, and loaded again at the end."""

import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

MAX_EPOCHS, PATIENCE = 40, 3


def validate(model, x, y):
    model.eval()
    with torch.no_grad():
        return F.cross_entropy(model(x), y).item()


def main():
    seed_everything(0)
    images, labels = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(images, labels, test_size=0.3, random_state=0)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_val = (torch.tensor((x - mean) / std, dtype=torch.float32) for x in (x_train, x_val))
    y_train, y_val = torch.tensor(y_train), torch.tensor(y_val)
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    best_loss, best_state, waited = float("inf"), None, 0
    for epoch in range(MAX_EPOCHS):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            print("loss", repr(loss.item()))
        val_loss = validate(model, x_val, y_val)
        print("val_loss", repr(val_loss))
        if val_loss < best_loss:
            best_loss, best_state, waited = val_loss, copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
            if waited == PATIENCE:
                break

    model.load_state_dict(best_state)
    print("best", repr(validate(model, x_val, y_val)), "epochs", epoch + 1)
    print_digest(model)


if __name__ == "__main__":
    main()
