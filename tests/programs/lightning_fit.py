"""Lightning Trainer with accumulation, clipping and validation. Argument: plain (none of the three)."""

import sys
import warnings

import lightning as L
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

warnings.filterwarnings("ignore", message=".*does not have many workers.*")


class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10)
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        print("loss", repr(loss.item()))
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        self.log("val_loss", F.cross_entropy(logits, y))
        self.log("val_accuracy", (logits.argmax(1) == y).float().mean())

    def on_validation_epoch_end(self):
        print("val_loss", repr(self.trainer.callback_metrics["val_loss"].item()))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main():
    seed_everything(0)
    plain = "plain" in sys.argv[1:]
    images, labels = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(images / 16, labels, test_size=0.2, random_state=0)
    train = TensorDataset(torch.tensor(x_train, dtype=torch.float32), torch.tensor(y_train))
    val = TensorDataset(torch.tensor(x_val, dtype=torch.float32), torch.tensor(y_val))

    options = {} if plain else {"accumulate_grad_batches": 2, "gradient_clip_val": 1.0}
    trainer = L.Trainer(
        accelerator="cpu", devices=1, max_epochs=3, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    model = Classifier()
    loader = DataLoader(train, batch_size=64, shuffle=True, drop_last=True)
    trainer.fit(model, loader, None if plain else DataLoader(val, batch_size=256))
    print_digest(model)


if __name__ == "__main__":
    main()
