"""How much weight decay? The same net, the same data, four settings."""
import argparse
from dataclasses import dataclass, field

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Study:
    seed: int
    epochs: int
    table: dict = field(default_factory=dict)

    def __post_init__(self):
        torch.manual_seed(self.seed)
        X, y = load_breast_cancer(return_X_y=True)
        X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.4, random_state=self.seed, stratify=y)
        scaler = StandardScaler().fit(X_train)
        x_train, self.x_val = (torch.tensor(scaler.transform(part), dtype=torch.float32) for part in (X_train, X_val))
        y_train, self.y_val = (torch.tensor(part, dtype=torch.float32) for part in (y_train, y_val))
        self.loader = DataLoader(TensorDataset(x_train, y_train), batch_size=20, shuffle=True)
        self.criterion = nn.BCEWithLogitsLoss()
        self.model = self.new_model()

    @staticmethod
    def new_model():
        return nn.Sequential(nn.Linear(30, 12), nn.Tanh(), nn.Linear(12, 1), nn.Flatten(0))

    def trial(self, decay):
        model = self.model
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=decay)
        for _ in range(self.epochs):
            model.train()
            losses = []
            for x, y in self.loader:
                optimizer.zero_grad()
                loss = self.criterion(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            print(f"  loss {sum(losses) / len(losses):.4f}")
        self.table[decay] = self.validate(model)

    @torch.no_grad()
    def validate(self, model):
        model.eval()
        score = model(self.x_val)
        return self.criterion(score, self.y_val).item(), ((score > 0) == (self.y_val > 0)).float().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--decays", type=float, nargs="+", default=[0.1, 0.03, 0.01, 0.001])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=104)
    args = parser.parse_args()
    study = Study(args.seed, args.epochs)
    for decay in args.decays:
        print(f"weight decay {decay}")
        study.trial(decay)
    for decay, (loss, accuracy) in study.table.items():
        print(f"weight decay {decay:<6} validation loss {loss:.4f} accuracy {accuracy:.4f}")
    print("chosen:", min(study.table, key=lambda decay: study.table[decay][0]))


if __name__ == "__main__":
    main()
