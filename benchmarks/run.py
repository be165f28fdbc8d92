"""Train the contestants in turn and compare their speed: `make bench`.

    python benchmarks/run.py [--env LunarLander-v3] [--steps 4000] [--rounds 5] [--ladder] [--out _build/bench.json]

In every round all contestants train side by side, each for a slice of 250 steps and then the
next one, so that a drift of the machine's speed meets all of them. One thread; the first steps,
which only fill the buffer and the caches, are not timed. With --ladder, the versions between the
notebook's algorithm and `DQNAgent` run as well, and the time of their parts is taken. On
LunarLander-v3, the contestants are those of lander.py.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import gymnasium as gym
from tabulate import tabulate
from threadpoolctl import threadpool_limits

import lander
from floor import FloorAgent
from ladder import LADDER, PARTS, watch
from measuring import SYNC_INTERVAL, describe, take_turns, training, write

WARM_UP = 500

NAMES = {
    "literal": "the notebook's algorithm, DeZero as it is",
    "pytorch": "the same algorithm, eager PyTorch",
    "ours": "the agent of this book",
    "stable_baselines3": "Stable-Baselines3's DQN",
    "floor": "hand-fused NumPy, no framework",
    "float32": "+ float32 throughout",
    "no_graph": "+ no graph without gradients",
    "ring": "+ ring buffer",
    "flat_adam": "+ Adam on one vector",
    "arrays": "+ arrays without Variables",
    "fused": "+ network and loss as one Function",
}
NOT_INSTALLED = " (not installed: pip install -r requirements-bench.txt)"
AGENTS = {"literal": LADDER["literal"], "ours": LADDER["ours"], "floor": FloorAgent}
try:
    import torch

    from pytorch import PyTorchAgent

    torch.set_num_threads(1)
    AGENTS["pytorch"] = PyTorchAgent
except ImportError:
    NAMES["pytorch"] += NOT_INSTALLED


def on_cartpole(make_agent: Callable, seed: int) -> Iterator:
    """A training loop as chapter 4 has it."""
    return training(make_agent(seed), gym.make("CartPole-v1"), seed, SYNC_INTERVAL)


# A training loop of each contestant, made from a seed; and how many times as fast ours is to be
CONTESTANTS = {
    "CartPole-v1": {name: partial(on_cartpole, make) for name, make in AGENTS.items()},
    "LunarLander-v3": {"ours": lander.ours},
}
if find_spec("stable_baselines3"):
    CONTESTANTS["LunarLander-v3"]["stable_baselines3"] = lander.stable_baselines3
else:
    NAMES["stable_baselines3"] += NOT_INSTALLED
WANTED = {
    "CartPole-v1": {"literal": 3.0, "pytorch": 4.0, "floor": 0.7},
    "LunarLander-v3": {"stable_baselines3": 2.5},
}


def warm(loops: dict[str, Iterator]) -> dict[str, Iterator]:
    """The loops, past the steps that only fill buffer and caches."""
    for loop in loops.values():
        next(islice(loop, WARM_UP - 1, None))
    return loops


def race(contestants: dict, steps: int, seed: int) -> dict[str, float]:
    """Steps per second of each contestant, all of them training in turns."""
    loops = warm({name: make(seed) for name, make in contestants.items()})
    seconds = take_turns({name: islice(loop, steps) for name, loop in loops.items()})
    return {name: round(steps / s, 1) for name, s in seconds.items()}


def profile(names: tuple[str, ...], steps: int) -> dict[str, dict[str, float]]:
    """Microseconds per step that the parts of these contestants take, and the whole step."""
    agents = {name: LADDER[name](0) for name in names}
    loops = warm(
        {
            name: on_cartpole(lambda seed, agent=agent: agent, 0)
            for name, agent in agents.items()
        }
    )
    parts = {name: watch(agent) for name, agent in agents.items()}
    total = take_turns({name: islice(loop, steps) for name, loop in loops.items()})
    return {
        name: {
            part: round(s / steps * 1e6, 1)
            for part, s in [
                *((p, parts[name][p]) for p in PARTS),
                ("total", total[name]),
            ]
        }
        for name in names
    }


def measure(contestants: dict, steps: int, rounds: int) -> dict:
    """Steps per second of every contestant, round by round, with what they were measured on."""
    speeds = {name: [] for name in contestants}
    for seed in range(rounds):
        for name, speed in race(contestants, steps, seed).items():
            speeds[name].append(speed)
        latest = ", ".join(f"{n} {s[-1]:.0f}" for n, s in speeds.items())
        print(f"round {seed + 1}: {latest}", file=sys.stderr)
    others = ["torch"] * ("pytorch" in speeds)
    others += ["torch", "stable-baselines3"] * ("stable_baselines3" in speeds)
    return describe(*others) | {"steps": steps, "steps_per_second": speeds}


def ratio(record: dict, name: str, other: str) -> float:
    """How many times as fast `name` is as `other`: the median over the rounds, each by itself."""
    speeds = record["steps_per_second"]
    return statistics.median(a / b for a, b in zip(speeds[name], speeds[other]))


def table(record: dict, others: list[str]) -> str:
    """Every contestant, and how many times as fast it is as the others that are named."""
    rows = []
    for name in dict.fromkeys([*others, *record["steps_per_second"]]):
        speeds = record["steps_per_second"].get(name)
        if speeds is None:
            rows.append([NAMES[name], *"--", *"-" * len(others)])
        else:
            spread = f"{min(speeds):.0f} - {max(speeds):.0f}"
            times = [
                f"{ratio(record, name, other):.2f}"
                if other in record["steps_per_second"]
                else "-"
                for other in others
            ]
            rows.append(
                [NAMES[name], f"{statistics.median(speeds):.0f}", spread, *times]
            )
    headers = ["", "steps/s (median)", "min - max", *(f"/ {other}" for other in others)]
    return tabulate(rows, headers=headers, disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", choices=CONTESTANTS, default="CartPole-v1")
    parser.add_argument(
        "--steps", type=int, default=4000, help="timed steps of a training"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--ladder", action="store_true", help="also every version in between"
    )
    parser.add_argument("--out", type=Path, default=Path("_build/bench.json"))
    arguments = parser.parse_args()
    if arguments.steps < 1 or arguments.rounds < 1:
        parser.error("--steps and --rounds must be at least 1")
    contestants = CONTESTANTS[arguments.env]
    if arguments.ladder:
        if arguments.env != "CartPole-v1":
            parser.error("--ladder climbs on CartPole-v1 only")
        rungs = {name: partial(on_cartpole, make) for name, make in LADDER.items()}
        contestants = rungs | contestants
    with threadpool_limits(1):
        record = measure(contestants, arguments.steps, arguments.rounds)
        if arguments.ladder:
            print("the time of the parts", file=sys.stderr)
            record["microseconds"] = profile(("literal", "fused"), arguments.steps)
    wanted = WANTED[arguments.env]
    print(table(record, list(wanted)))
    for other, times in wanted.items():
        if other in record["steps_per_second"]:
            print(
                f"ours / {other}: {ratio(record, 'ours', other):.2f} (wanted: {times})"
            )
    write(arguments.out, record)


if __name__ == "__main__":
    main()
