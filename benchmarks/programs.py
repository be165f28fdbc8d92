"""How each program of other people is run: one seed, and what it reached.

Every function takes the options of a plan, the steps between checkpoints and a seed. Needs
requirements-bench.txt; `cleanrl` also needs CleanRL's file, in the folder that CLEANRL names.
"""

import contextlib
import functools
import hashlib
import io
import os
import runpy
import sys
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import gymnasium as gym
import numpy as np
from threadpoolctl import threadpool_limits

from literal import LiteralAgent
from rlbook_helpers import evaluate, train
from rlbook_helpers.experiments.plans import parse_settings
from rlbook_helpers.experiments.preset import Preset
from rlbook_helpers.experiments.sweeps import compact, run_seed, versions
from rlbook_helpers.experiments.tasks import TruncationEnds
from rlbook_helpers.fused import relu_mlp

POLE = "CartPole-v1"


def scores(policy, episodes: int, seed: int, env_id: str = POLE) -> list[float]:
    """Total reward of each episode, in an environment of its own."""
    return evaluate(gym.make(env_id), policy, episodes=episodes, seed=seed).tolist()


def result(
    seed: int,
    steps: int,
    seconds: float,
    checkpoints: list,
    policy,
    episodes: int = 100,
    env_id: str = POLE,
) -> dict:
    return {
        "seed": seed,
        "steps": steps,
        "seconds": round(seconds, 2),
        "checkpoints": [compact(point) for point in checkpoints],
        "evaluation": compact(scores(policy, episodes, 1_000_000 + seed, env_id)),
    }


def run_book(settings: str, checkpoint_steps: int, seed: int) -> dict:
    run = run_seed(Preset(**parse_settings(settings.split())), seed)
    run["checkpoints"] = [point[:2] for point in run["checkpoints"]]
    return {name: run[name] for name in run if name not in ("returns", "versions")}


def run_literal(options: dict, checkpoint_steps: int, seed: int) -> dict:
    """The loop of the O'Reilly book: it ends and masks on either end of an episode."""
    agent = LiteralAgent(seed)
    start = time.perf_counter()
    record = train(TruncationEnds(gym.make(POLE)), agent, seed=seed, **options)
    seconds = time.perf_counter() - start
    return result(seed, sum(record.lengths), seconds, [], agent.greedy_action)


def greedy_policy(net):
    """The greedy policy of a network of Stable-Baselines3, without PyTorch's overhead."""
    layers = [m for m in net.q_net if hasattr(m, "weight")]
    Ws = [layer.weight.detach().numpy().T.copy() for layer in layers]
    bs = [layer.bias.detach().numpy().copy() for layer in layers]
    return lambda state: int(relu_mlp(state, Ws, bs)[-1].argmax())


def run_stable_baselines3(options: dict, checkpoint_steps: int, seed: int) -> dict:
    import torch
    import torch.nn.functional as F
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback

    torch.set_num_threads(1)
    options = dict(options)
    steps, env_id = options.pop("steps"), options.pop("env_id", POLE)
    episodes = options.pop("evaluation_episodes", 100)
    # Devices of this book's agent: a learning rate that falls to a part of itself, an average of the
    # weights over the last steps
    average_steps = options.pop("average_steps", 0)
    lr, part = options.pop("learning_rate", 1e-4), options.pop("learning_rate_end", 1.0)
    # Its DQN has no argument for the loss: it always takes Huber's.
    losses = {"huber": F.smooth_l1_loss, "mse": F.mse_loss}
    loss = losses[options.pop("loss", "huber")]

    class Watch(BaseCallback):
        seconds, checkpoints, num_averaged, average = 0.0, [], 0, None

        def policy(self):
            return greedy_policy(self.average or self.model.q_net)

        def _on_step(self):
            if self.num_timesteps > steps - average_steps:
                self.num_averaged += 1
                self.average = self.average or deepcopy(self.model.q_net)
                ours, theirs = self.average.parameters(), self.model.q_net.parameters()
                for mine, online in zip(ours, theirs):
                    mine.data.lerp_(online.data, 1 / self.num_averaged)
            if self.num_timesteps % checkpoint_steps == 0:
                start = time.perf_counter()
                totals = scores(self.policy(), 20, 2_000_000 + seed, env_id)
                self.checkpoints.append([self.num_timesteps, float(np.mean(totals))])
                self.seconds += time.perf_counter() - start
            return True

    options["learning_rate"] = lambda left: lr * (part + (1 - part) * left)
    model = DQN("MlpPolicy", gym.make(env_id), seed=seed, device="cpu", **options)
    watch = Watch()
    start = time.perf_counter()
    with mock.patch.object(F, "smooth_l1_loss", loss):
        model.learn(steps, callback=watch)
    seconds = time.perf_counter() - start - watch.seconds
    policy = watch.policy()
    return result(seed, steps, seconds, watch.checkpoints, policy, episodes, env_id)


@functools.cache
def compiled(algorithm: str, options: tuple) -> tuple:
    """An algorithm of rejax, and its training, compiled: (key) -> (state, the last weights)."""
    import jax
    from rejax import get_algo

    options = {name: dict(v) if isinstance(v, tuple) else v for name, v in options}
    algo = get_algo(algorithm).create(
        **options, env=POLE, normalize_observations=False, skip_initial_evaluation=True
    )
    algo = algo.replace(eval_callback=lambda _, state, key: state.q_ts.params)
    training = jax.jit(algo.train).lower(jax.random.PRNGKey(0)).compile()
    return algo, training


def run_rejax(options: dict, checkpoint_steps: int, seed: int) -> dict:
    """Trained in gymnax's CartPole, evaluated in Gymnasium's; seconds without compiling."""
    import jax

    options = {
        k: tuple(v.items()) if isinstance(v, dict) else v for k, v in options.items()
    }
    algorithm, steps = options.pop("algorithm"), options.pop("steps")
    options |= {"total_timesteps": steps, "eval_freq": checkpoint_steps}
    algo, training = compiled(algorithm, tuple(sorted(options.items())))
    start = time.perf_counter()
    _, weights = jax.block_until_ready(training(jax.random.PRNGKey(seed)))
    seconds = time.perf_counter() - start
    values = jax.jit(algo.agent.apply)

    def policy(index):
        kept = jax.tree.map(lambda leaf: leaf[index], weights)
        return lambda state: int(np.asarray(values(kept, state[np.newaxis])).argmax())

    total = len(jax.tree.leaves(weights)[0])
    checkpoints = [
        [
            (k + 1) * checkpoint_steps,
            float(np.mean(scores(policy(k), 20, 2_000_000 + seed))),
        ]
        for k in range(total - 5, total)
    ]
    return result(seed, steps, seconds, checkpoints, policy(-1))


class SameStep(gym.vector.SyncVectorEnv):
    """Resets within the step that ends an episode, as Gymnasium did when CleanRL was written."""

    def __init__(self, envs):
        mode = gym.vector.AutoresetMode.SAME_STEP
        super().__init__(envs, autoreset_mode=mode)

    def step(self, actions):
        *rest, infos = super().step(actions)
        infos.pop(
            "final_info", None
        )  # of another form today; the script only prints it
        return *rest, infos


def run_cleanrl(options: dict, checkpoint_steps: int, seed: int) -> dict:
    """CleanRL's own file, unchanged: the plan holds its commit and hash."""
    import torch

    torch.set_num_threads(1)
    script = Path(os.environ["CLEANRL"]) / options["file"]
    if hashlib.sha256(script.read_bytes()).hexdigest() != options["sha256"]:
        raise ValueError(f"{script} is not the file of the plan ({options['commit']})")
    checkpoints, seconds = [], 0.0
    first = options["steps"] // checkpoint_steps - 4

    def policy(network):
        @torch.no_grad()
        def act(state):
            return int(network(torch.from_numpy(state[np.newaxis]))[0].argmax())

        return act

    class Writer(SimpleNamespace):
        def __init__(self, folder):
            super().__init__(add_text=lambda *_: None, close=lambda: None)

        def add_scalar(self, name, value, step):  # after each iteration of the script
            nonlocal seconds
            marks = step // checkpoint_steps
            if name == "charts/SPS" and marks >= first + len(checkpoints):
                start = time.perf_counter()
                network = sys._getframe(1).f_globals["q_network"]
                totals = scores(policy(network), 20, 2_000_000 + seed)
                checkpoints.append([step, float(np.mean(totals))])
                seconds -= time.perf_counter() - start

    stubs = {
        "tyro": SimpleNamespace(cli=lambda arguments: arguments(seed=seed, cuda=False)),
        "torch.utils.tensorboard": SimpleNamespace(SummaryWriter=Writer),
    }
    start = time.perf_counter()
    sys.modules.update(stubs)  # mock.patch.dict would forget what the script imports
    with (
        mock.patch("gymnasium.vector.SyncVectorEnv", SameStep),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        left = runpy.run_path(str(script), run_name="__main__")
    for name in stubs:
        del sys.modules[name]
    seconds += time.perf_counter() - start
    network, steps = left["q_network"], left["global_step"]
    return result(seed, steps, seconds, checkpoints, policy(network))


RUN = {
    "book": run_book,
    "literal": run_literal,
    "stable_baselines3": run_stable_baselines3,
    "rejax": run_rejax,
    "cleanrl": run_cleanrl,
}
PACKAGES = {
    "stable_baselines3": ("torch", "stable-baselines3"),
    "rejax": ("jax", "rejax", "gymnax"),
    "cleanrl": ("torch",),
}


@dataclass(frozen=True)
class Contestant:
    """Who takes part: how its program is called, and its hyperparameters."""

    kind: str
    options: str | dict  # settings of the book, or arguments of the program


def run(contestant: Contestant, seed: int, *, checkpoint_steps: int) -> dict:
    """One seed of one contestant, on one thread."""
    kind, options = contestant.kind, contestant.options
    if isinstance(options, dict):
        options = dict(options)
        checkpoint_steps = options.pop("checkpoint_steps", checkpoint_steps)
    with threadpool_limits(1):
        outcome = RUN[kind](options, checkpoint_steps, seed)
    packages = ("numpy", "gymnasium", *PACKAGES.get(kind, ()))
    return outcome | {"versions": versions(*packages)}
