"""transformers Trainer on a tiny random BERT with gradient accumulation 2, then evaluate().

Arguments: plain (no accumulation); undivided (without the `loss_is_scaled_for_ga` line below, as most scripts
are written: then transformers 5.23 adds up the micro-batch means of this model without dividing them).
"""

import sys
import tempfile

import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from _digest import print_digest, seed_everything

VOCAB, LENGTH = 60, 16


class Topics(Dataset):
    """Sentences whose words lean to one half of the vocabulary; the label says which half."""

    def __init__(self, rows, seed):
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(2, (rows,), generator=generator)
        own = torch.rand(rows, LENGTH, generator=generator) < 0.75
        half = torch.where(own, self.labels[:, None], 1 - self.labels[:, None])
        self.words = 2 + half * 29 + torch.randint(29, (rows, LENGTH), generator=generator)
        self.words[:, 0] = 1  # [CLS]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {
            "input_ids": self.words[i],
            "attention_mask": torch.ones(LENGTH, dtype=torch.long),
            "labels": self.labels[i],
        }


class PrintLosses(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kwargs):
        for key in ("loss", "eval_loss"):
            if key in logs:
                print(key, repr(logs[key]))


def main():
    seed_everything(0)
    config = BertConfig(
        vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=LENGTH, num_labels=2, pad_token_id=0,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=16,
            gradient_accumulation_steps=1 if "plain" in sys.argv[1:] else 2,
            num_train_epochs=3,
            learning_rate=2e-3,
            warmup_steps=5,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=0,
        )
        trainer = Trainer(
            model=model, args=args, train_dataset=Topics(512, 1), eval_dataset=Topics(128, 2), callbacks=[PrintLosses()]
        )
        trainer.remove_callback(PrinterCallback)
        if "undivided" not in sys.argv[1:]:
            # BERT's classification loss is a mean per batch, which the Trainer cannot see from its signature.
            trainer.loss_is_scaled_for_ga = False
        trainer.train()
        trainer.evaluate()
    print_digest(model)


if __name__ == "__main__":
    main()
