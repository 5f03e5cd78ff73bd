"""Deep Q-learning on a 6x6 gridworld with walls: replay memory, target network, epsilon-greedy."""
import copy
import random
from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F

MAZE = ["S..#..", ".#.#.#", ".#....", "...#.#", ".#.#..", "...#.G"]
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
GAMMA, BATCH, LIMIT = 0.9, 64, 30


class Grid:
    def reset(self, start=(0, 0)):
        self.pos, self.t = start, 0
        return self.observe()

    def observe(self):
        row, col = torch.zeros(6), torch.zeros(6)
        row[self.pos[0]], col[self.pos[1]] = 1.0, 1.0
        return torch.cat([row, col])

    def step(self, action):
        r, c = self.pos[0] + MOVES[action][0], self.pos[1] + MOVES[action][1]
        if 0 <= r < 6 and 0 <= c < 6 and MAZE[r][c] != "#":
            self.pos = (r, c)
        self.t += 1
        arrived = MAZE[self.pos[0]][self.pos[1]] == "G"
        return self.observe(), (1.0 if arrived else -0.02), arrived, arrived or self.t >= LIMIT


def free_cells():
    return [(r, c) for r in range(6) for c in range(6) if MAZE[r][c] in "S."]


def choose(net, state, epsilon):
    if random.random() < epsilon:
        return random.randrange(4)
    with torch.no_grad():
        return net(state).argmax().item()


def learn(net, target, memory, optimizer):
    state, action, reward, after, done = zip(*random.sample(memory, BATCH))
    state, after = torch.stack(state), torch.stack(after)
    action, reward, done = torch.tensor(action), torch.tensor(reward), torch.tensor(done, dtype=torch.float32)
    q = net(state).gather(1, action[:, None]).squeeze(1)
    with torch.no_grad():
        best = net(after).argmax(1, keepdim=True)
        goal = reward + GAMMA * (1 - done) * target(after).gather(1, best).squeeze(1)
    loss = F.smooth_l1_loss(q, goal)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    optimizer.step()
    return loss.item()


def success(net, env):
    """Share of all starting cells from which the greedy policy arrives."""
    good = 0
    for cell in free_cells():
        state, over, arrived = env.reset(cell), False, False
        while not over:
            state, _, arrived, over = env.step(choose(net, state, 0.0))
        good += arrived
    return good / len(free_cells())


def main():
    torch.manual_seed(2)
    random.seed(2)
    env = Grid()
    net = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    target = copy.deepcopy(net).eval()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    memory, losses, updates, steps, episode = deque(maxlen=4000), [], 0, 0, 0
    while updates < 700:
        episode += 1
        state, over = env.reset(random.choice(free_cells())), False
        while not over:
            action = choose(net, state, max(0.1, 1.0 - steps / 1500))
            after, reward, arrived, over = env.step(action)
            memory.append((state, action, reward, after, float(arrived)))
            state = after
            steps += 1
            if len(memory) >= 400 and steps % 4 == 0:
                losses.append(learn(net, target, memory, optimizer))
                updates += 1
                if updates % 40 == 0:
                    target.load_state_dict(net.state_dict())
                if updates % 100 == 0:
                    recent = sum(losses[-100:]) / 100
                    print(f"update {updates} episode {episode} loss {recent:.4f} arrives from {success(net, Grid()):.2f} of cells")


if __name__ == "__main__":
    main()
