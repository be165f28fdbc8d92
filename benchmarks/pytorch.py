"""The same algorithm in eager PyTorch on the CPU: its own idiomatic code, no handicap."""

import copy

import numpy as np
import torch
from torch import nn

from measuring import Notebook


class PyTorchAgent(Notebook):
    """DQN with the original's hyperparameters. The buffer holds tensors that are made once."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.qnet = nn.Sequential(
            nn.Linear(4, 128),
            nn.ReLU(),
            nn.Linear(128, 128),
            nn.ReLU(),
            nn.Linear(128, 2),
        )
        self.qnet_target = copy.deepcopy(self.qnet).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.qnet.parameters(), lr=self.lr)
        self.state = torch.empty(self.buffer_size, 4)
        self.action = torch.empty(self.buffer_size, dtype=torch.int64)
        self.reward = torch.empty(self.buffer_size)
        self.next_state = torch.empty(self.buffer_size, 4)
        self.not_done = torch.empty(self.buffer_size)
        self.num_added = 0

    def sync_qnet(self):
        self.qnet_target.load_state_dict(self.qnet.state_dict())

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.action_size))
        with torch.inference_mode():
            return int(self.qnet(torch.from_numpy(state)).argmax())

    def update(self, state, action, reward, next_state, done):
        i = self.num_added % self.buffer_size
        self.state[i] = torch.from_numpy(state)
        self.action[i] = action
        self.reward[i] = reward
        self.next_state[i] = torch.from_numpy(next_state)
        self.not_done[i] = not done
        self.num_added += 1
        count = min(self.num_added, self.buffer_size)
        if count < self.batch_size:
            return None
        i = torch.from_numpy(self.rng.choice(count, self.batch_size, replace=False))

        with torch.no_grad():
            next_q_max = self.qnet_target(self.next_state[i]).amax(dim=1)
            target = self.reward[i] + self.not_done[i] * self.gamma * next_q_max
        q = self.qnet(self.state[i]).gather(1, self.action[i].unsqueeze(1)).squeeze(1)
        loss = nn.functional.mse_loss(q, target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()
