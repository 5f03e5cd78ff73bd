"""REINFORCE with a learnt baseline on a hand-written cart-pole (the equations of Barto, Sutton and Anderson 1983)."""
import math

import torch
from torch import nn
from torch.distributions import Categorical


class CartPole:
    """Twelve carts side by side; state: position, speed, angle, angular speed."""

    def __init__(self, count=12, limit=100):
        self.count, self.limit = count, limit

    def reset(self):
        self.state = torch.rand(self.count, 4) * 0.1 - 0.05
        return self.state

    def step(self, action):
        x, v, angle, spin = self.state.unbind(1)
        force = torch.where(action == 1, 10.0, -10.0)
        temp = (force + 0.05 * spin**2 * angle.sin()) / 1.1
        accel = (9.8 * angle.sin() - angle.cos() * temp) / (0.5 * (4 / 3 - 0.1 * angle.cos() ** 2 / 1.1))
        push = temp - 0.05 * accel * angle.cos() / 1.1
        self.state = torch.stack([x + 0.02 * v, v + 0.02 * push, angle + 0.02 * spin, spin + 0.02 * accel], 1)
        fallen = (self.state[:, 0].abs() > 2.4) | (self.state[:, 2].abs() > 12 * math.pi / 180)
        return self.state, fallen


SCALE = torch.tensor([1.0, 1.0, 0.1, 1.0])


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
        self.value = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, state):
        scaled = state / SCALE
        return self.policy(scaled), self.value(scaled).squeeze(-1)


@torch.no_grad()
def rollout(env, net):
    states, actions, alive = [], [], []
    state, up = env.reset(), torch.ones(env.count, dtype=torch.bool)
    for _ in range(env.limit):
        action = Categorical(logits=net(state)[0]).sample()
        states.append(state)
        actions.append(action)
        alive.append(up)
        state, fallen = env.step(action)
        up = up & ~fallen
        if not up.any():
            break
    return torch.stack(states), torch.stack(actions), torch.stack(alive).float()


def returns_of(alive, gamma=0.98):
    total, out = torch.zeros(alive.shape[1]), []
    for reward in alive.flip(0):
        total = reward * (1 + gamma * total)
        out.append(total)
    return torch.stack(out[::-1])


def main():
    torch.manual_seed(3)
    env, net = CartPole(), ActorCritic()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    recent = []
    for update in range(1, 71):
        states, actions, alive = rollout(env, net)
        mask = alive.bool()
        returns = returns_of(alive)[mask] / 50
        logits, value = net(states[mask])
        advantage = returns - value.detach()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        dist = Categorical(logits=logits)
        policy_loss = -(dist.log_prob(actions[mask]) * advantage).mean() - 0.01 * dist.entropy().mean()
        value_loss = nn.functional.smooth_l1_loss(value, returns)
        optimizer.zero_grad()
        (policy_loss + 0.5 * value_loss).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        recent.append(alive.sum(0).mean().item())
        if update % 10 == 0:
            print(f"update {update:3d}  steps upright {sum(recent[-10:]) / 10:6.1f}  value loss {value_loss.item():.3f}")


if __name__ == "__main__":
    main()
