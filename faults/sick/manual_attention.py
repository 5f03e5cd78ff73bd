"""Next-character model on Python's own help topics: one attention block."""
import torch
from pydoc_data.topics import topics
from torch import nn
from torch.nn import functional as F

CONTEXT, WIDTH, HEADS = 24, 48, 4


class Attention(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in self.qkv(x).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(b, t, c))


class CharModel(nn.Module):
    def __init__(self, vocabulary, dropout=0.2):
        super().__init__()
        self.token = nn.Embedding(vocabulary, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention(WIDTH, HEADS, dropout)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, vocabulary)

    def forward(self, codes):
        x = self.token(codes) + self.place(torch.arange(codes.shape[1]))
        x = x + self.attention(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return self.head(self.norm3(x))


def language_loss(model, codes, starts):
    window = codes[starts[:, None] + torch.arange(CONTEXT + 1)]
    logits = model(window[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())


def main():
    torch.manual_seed(64)
    text = "".join(topics[name] for name in sorted(topics))[:120_000]
    letters = {c: i for i, c in enumerate(sorted(set(text)))}
    codes = torch.tensor([letters[c] for c in text])
    train, held_out = codes[:100_000], codes[100_000:]
    val_starts = torch.arange(0, len(held_out) - CONTEXT - 1, CONTEXT)

    model = CharModel(len(letters))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for epoch in range(1, 6):
        model.train()
        total = 0.0
        for _ in range(50):
            loss = language_loss(model, train, torch.randint(len(train) - CONTEXT - 1, (48,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            val_loss = language_loss(model, held_out, val_starts).item()
        print(f"epoch {epoch}: train {total / 50:.4f} nats, held out {val_loss:.4f} nats per character")


if __name__ == "__main__":
    main()
