"""Encoder, decoder and attention: say a short string of symbols again. The strings are made up."""
import torch
import torch.nn as nn
import torch.nn.functional as F

SYMBOLS, LENGTH, HIDDEN, START = 10, 7, 64, 10


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, 32)
        self.gru = nn.GRU(32, HIDDEN // 2, batch_first=True, bidirectional=True)

    def forward(self, x):
        out, h = self.gru(self.embed(x))
        return out, torch.cat([h[0], h[1]], dim=1)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS + 1, 32)
        self.cell = nn.GRUCell(32 + HIDDEN, HIDDEN)
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.out = nn.Linear(2 * HIDDEN, SYMBOLS)

    def step(self, token, state, memory):
        scores = torch.bmm(memory, self.query(state).unsqueeze(2)).squeeze(2) / HIDDEN**0.5
        context = torch.bmm(scores.softmax(1).unsqueeze(1), memory).squeeze(1)
        state = self.cell(torch.cat([self.embed(token), context], dim=1), state)
        return self.out(torch.cat([state, context], dim=1)), state


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x, teacher=None):
        memory, state = self.encoder(x)
        token = torch.full((len(x),), START)
        answers = []
        for i in range(x.size(1)):
            logits, state = self.decoder.step(token, state, memory)
            answers.append(logits)
            token = teacher[:, i] if teacher is not None else logits.argmax(1)
        return torch.stack(answers, dim=1)


def main():
    torch.manual_seed(20)
    test = torch.randint(0, SYMBOLS, (300, LENGTH))
    model = Seq2Seq()
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.996)
    recent = 0.0
    for step in range(1, 241):
        model.train()
        x = torch.randint(0, SYMBOLS, (48, LENGTH))
        loss = F.cross_entropy(model(x, teacher=x).flatten(0, 1), x.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        recent += loss.item() / 40
        if step % 40 == 0:
            model.eval()
            with torch.no_grad():
                said = model(test).argmax(2)
            symbols, strings = (said == test).float().mean(), (said == test).all(1).float().mean()
            print(f"step {step}: loss {recent:.3f}  symbols right {symbols:.3f}  strings right {strings:.3f}")
            recent = 0.0


if __name__ == "__main__":
    main()
