"""REINFORCE on a small pole-balancing environment: rollouts under no_grad, then one update per batch of episodes."""

import torch
from torch import nn

from _digest import print_digest, seed_everything

EPISODES, HORIZON, GAMMA = 32, 80, 0.98


class Poles:
    """Many linearised poles at once; the action pushes left or right, an episode ends when its pole leans too far."""

    def reset(self):
        self.state = 0.1 * torch.randn(EPISODES, 2)  # angle, angular velocity
        self.alive = torch.ones(EPISODES, dtype=torch.bool)
        return self.state

    def step(self, action):
        angle, speed = self.state.unbind(1)
        speed = speed + 0.05 * (9.8 * torch.sin(angle) + 10 * (action * 2.0 - 1))
        self.state = torch.stack([angle + 0.05 * speed, speed], dim=1)
        self.alive = self.alive & (self.state[:, 0].abs() < 0.6)
        return self.state, self.alive.float()


def main():
    seed_everything(0)
    env = Poles()
    policy = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)

    for update in range(30):
        states, actions, rewards, masks = [], [], [], []
        with torch.no_grad():
            state = env.reset()
            for _ in range(HORIZON):
                action = torch.distributions.Categorical(logits=policy(state)).sample()
                states.append(state)
                actions.append(action)
                masks.append(env.alive.float())
                state, reward = env.step(action)
                rewards.append(reward)

            returns, tail = [], torch.zeros(EPISODES)
            for reward in reversed(rewards):
                tail = reward + GAMMA * tail
                returns.insert(0, tail)
            returns = torch.stack(returns)
            mask = torch.stack(masks)
            advantage = returns - (returns * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
            advantage = advantage / (advantage[mask > 0].std() + 1e-8)

        log_prob = torch.distributions.Categorical(logits=policy(torch.stack(states))).log_prob(torch.stack(actions))
        loss = -(log_prob * advantage * mask).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))
        print("return", repr(torch.stack(rewards).sum(0).mean().item()))

    print_digest(policy)


if __name__ == "__main__":
    main()
