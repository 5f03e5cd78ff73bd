"""DQN on a grid: replay memory, epsilon-greedy, a target network loaded from the online one every 25 updates."""

import random
from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

from _digest import print_digest, seed_everything

SIZE, GAMMA = 5, 0.9
MOVES = [(0, 1), (0, -1), (1, 0), (-1, 0)]


def encode(cell):
    return F.one_hot(torch.tensor(cell[0] * SIZE + cell[1]), SIZE * SIZE).float()


def play(cell, action):
    """Next cell, reward, finished: +1 on reaching the far corner."""
    row = min(max(cell[0] + MOVES[action][0], 0), SIZE - 1)
    col = min(max(cell[1] + MOVES[action][1], 0), SIZE - 1)
    done = (row, col) == (SIZE - 1, SIZE - 1)
    return (row, col), float(done), done


def network():
    return nn.Sequential(nn.Linear(SIZE * SIZE, 64), nn.ReLU(), nn.Linear(64, 4))


def main():
    seed_everything(0)
    online, target = network(), network()
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.Adam(online.parameters(), lr=2e-3)
    memory = deque(maxlen=2000)
    cell, updates = (0, 0), 0

    for frame in range(800):
        epsilon = max(0.1, 1 - frame / 500)
        if random.random() < epsilon:
            action = random.randrange(4)
        else:
            with torch.no_grad():
                action = online(encode(cell)).argmax().item()
        after, reward, done = play(cell, action)
        memory.append((encode(cell), action, reward, encode(after), float(done)))
        cell = (random.randrange(SIZE - 1), random.randrange(SIZE - 1)) if done else after

        if len(memory) >= 200 and frame % 2 == 0:
            states, actions, rewards, afters, dones = zip(*random.sample(memory, 64))
            with torch.no_grad():
                best = target(torch.stack(afters)).max(dim=1).values
                goal = torch.tensor(rewards) + GAMMA * best * (1 - torch.tensor(dones))
            chosen = online(torch.stack(states)).gather(1, torch.tensor(actions).unsqueeze(1)).squeeze(1)
            loss = F.smooth_l1_loss(chosen, goal)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(online.parameters(), 1.0)
            optimizer.step()
            print("loss", repr(loss.item()))
            updates += 1
            if updates % 25 == 0:
                target.load_state_dict(online.state_dict())

    print("value of the corner's neighbour", repr(online(encode((SIZE - 1, SIZE - 2))).max().item()))
    print_digest(online, target)


if __name__ == "__main__":
    main()
