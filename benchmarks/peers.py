"""What others use, under the protocol of chapter 5.

    python benchmarks/peers.py [NAME ...] [--plan 05_peers] [--jobs 2] [--out chapters/data/runs/05_peers]

chapters/plans/05_peers.toml says who takes part, with which hyperparameters and seeds; 05_search.toml
draws them. Whoever is recorded already is not run again. Needs requirements-bench.txt for
Stable-Baselines3.
"""

import argparse
import sys
import time
import tomllib
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import gymnasium as gym
import numpy as np
from threadpoolctl import threadpool_limits

from literal import LiteralAgent
from rlbook_helpers import evaluate, train
from rlbook_helpers.experiments.plans import parse_seeds, parse_settings
from rlbook_helpers.experiments.preset import Preset
from rlbook_helpers.experiments.sweeps import run_seed, sweep, versions
from rlbook_helpers.experiments.tasks import TruncationEnds
from rlbook_helpers.fused import relu_mlp

PLANS = Path(__file__).parents[1] / "chapters/plans"
ENV_ID = "CartPole-v1"


def scores(policy, episodes: int, seed: int) -> list[float]:
    """Total reward of each episode, in an environment of its own."""
    return evaluate(gym.make(ENV_ID), policy, episodes=episodes, seed=seed).tolist()


def result(
    seed: int, steps: int, seconds: float, checkpoints: list, policy, episodes=100
) -> dict:
    return {
        "seed": seed,
        "steps": steps,
        "seconds": round(seconds, 2),
        "checkpoints": checkpoints,
        "evaluation": scores(policy, episodes, 1_000_000 + seed),
    }


def run_book(settings: str, checkpoint_steps: int, seed: int) -> dict:
    run = run_seed(Preset(**parse_settings(settings.split())), seed)
    run["checkpoints"] = [point[:2] for point in run["checkpoints"]]
    return {name: run[name] for name in run if name not in ("returns", "versions")}


def run_literal(options: dict, checkpoint_steps: int, seed: int) -> dict:
    """The loop of the O'Reilly book: it ends and masks on either end of an episode."""
    agent = LiteralAgent(seed)
    start = time.perf_counter()
    record = train(TruncationEnds(gym.make(ENV_ID)), agent, seed=seed, **options)
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
    steps = options.pop("steps")
    episodes = options.pop("evaluation_episodes", 100)
    checkpoint_steps = options.pop("checkpoint_steps", checkpoint_steps)
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
                totals = scores(self.policy(), 20, 2_000_000 + seed)
                self.checkpoints.append([self.num_timesteps, float(np.mean(totals))])
                self.seconds += time.perf_counter() - start
            return True

    options["learning_rate"] = lambda left: lr * (part + (1 - part) * left)
    model = DQN("MlpPolicy", gym.make(ENV_ID), seed=seed, device="cpu", **options)
    watch = Watch()
    start = time.perf_counter()
    with mock.patch.object(F, "smooth_l1_loss", loss):
        model.learn(steps, callback=watch)
    seconds = time.perf_counter() - start - watch.seconds
    return result(seed, steps, seconds, watch.checkpoints, watch.policy(), episodes)


RUN = {
    "book": run_book,
    "literal": run_literal,
    "stable_baselines3": run_stable_baselines3,
}


def read_plan(name: str) -> dict:
    return tomllib.loads((PLANS / f"{name}.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Contestant:
    """Who takes part: how its program is called, and its hyperparameters."""

    kind: str
    options: str | dict  # settings of the book, or arguments of the program


def run(contestant: Contestant, seed: int, *, checkpoint_steps: int) -> dict:
    """One seed of one contestant, on one thread."""
    kind, options = contestant.kind, contestant.options
    with threadpool_limits(1):
        outcome = RUN[kind](options, checkpoint_steps, seed)
    packages = ["numpy", "gymnasium"]
    packages += ["torch", "stable-baselines3"] * (kind == "stable_baselines3")
    return outcome | {"versions": versions(*packages)}


def contestants_of(plan: dict) -> dict[str, Contestant]:
    """Who takes part by name; a search draws each hyperparameter from its values, independently."""
    named = {
        name: Contestant(kind, options)
        for kind in RUN
        for name, options in plan.get(kind, {}).items()
    }
    if search := plan.get("search"):
        rng = np.random.default_rng(search["seed"])
        for k in range(search["draws"]):
            drawn = {
                name: values[rng.integers(len(values))]
                for name, values in search["values"].items()
            }
            options = search["fixed"] | drawn
            options["policy_kwargs"] = {"net_arch": options.pop("net_arch")}
            named[f"draw_{k:02}"] = Contestant("stable_baselines3", options)
    return named


def recorded(plan: dict, kind: str, options: str | dict) -> Contestant:
    """Whom a record is of. The records of 2026 hold the name of a preset, which the plan writes out."""
    names = {"stable": "stable", "original": "chapter_4"}
    if isinstance(options, str) and options in names:
        options = plan[kind][names[options]]
    return Contestant(kind, options)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="who runs; all by default"
    )
    parser.add_argument("--plan", default="05_peers", choices=["05_peers", "05_search"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", help="those of the plan by default")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    plan = read_plan(arguments.plan)
    contestants = contestants_of(plan)
    if unknown := set(arguments.names) - set(contestants):
        parser.error(f"no such contestant: {', '.join(sorted(unknown))}")
    failures = sweep(
        {name: contestants[name] for name in arguments.names or contestants},
        parse_seeds(arguments.seeds or plan["seeds"]),
        arguments.out or PLANS.parent / "data/runs" / arguments.plan,
        run=partial(run, checkpoint_steps=plan["checkpoint_steps"]),
        read_settings=lambda settings: recorded(plan, **settings),
        jobs=arguments.jobs,
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
