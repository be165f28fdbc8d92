"""LunarLander-v3: `lander` of this book, and Stable-Baselines3's DQN with what can be the same.

The same network, batch, buffer, interval of synchronization, and one gradient step for each step
of the environment. What `lander` does beyond that (scaled inputs, schedules, the average
of the weights, today three steps, in the record two values for a target) is in its time.
"""

from collections.abc import Iterator
from itertools import repeat

from measuring import SLICE, training
from rlbook_helpers.experiments.presets import PRESETS

PRESET = PRESETS["lander"]


def ours(seed: int) -> Iterator:
    env = PRESET.make_env()
    return training(PRESET.make_agent(env, seed), env, seed, sync_interval=None)


def stable_baselines3(seed: int) -> Iterator:
    from stable_baselines3 import DQN
    from stable_baselines3.common.logger import Logger

    model = DQN(
        "MlpPolicy",
        PRESET.make_env(),
        seed=seed,
        device="cpu",
        learning_rate=PRESET.lr,
        gamma=PRESET.gamma,
        buffer_size=PRESET.buffer_size,
        batch_size=PRESET.batch_size,
        learning_starts=PRESET.batch_size,
        target_update_interval=PRESET.sync_steps,
        train_freq=1,
        gradient_steps=1,
        exploration_initial_eps=PRESET.epsilon,
        exploration_final_eps=PRESET.epsilon_end,
        policy_kwargs={"net_arch": [128, 128]},
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    while True:  # it trains by calls, not by steps: a turn is one call
        model.learn(SLICE, reset_num_timesteps=False)
        yield from repeat(None, SLICE)
