"""Train the contestants in turn and compare their speed: `make bench`.

    python benchmarks/run.py [--steps 4000] [--rounds 5] [--out _build/bench.json]

Every round trains each contestant once, so that a drift of the machine's speed meets all of them.
One thread; the first steps, which only fill the buffer and the caches, are not timed.
"""

import argparse
import json
import os
import platform
import statistics
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import gymnasium as gym
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from floor import FloorAgent
from literal import LiteralAgent
from rlbook_helpers import DQNAgent

WARM_UP, SYNC_INTERVAL = 500, 20

CONTESTANTS = {
    "literal": LiteralAgent,
    "ours": lambda seed: DQNAgent(seed=seed),
    "floor": FloorAgent,
}
NAMES = {
    "literal": "the notebook's algorithm, DeZero as it is",
    "pytorch": "the same algorithm, eager PyTorch",
    "ours": "DQNAgent of this book",
    "floor": "hand-fused NumPy, no framework",
}
try:
    import torch
    from pytorch import PyTorchAgent

    torch.set_num_threads(1)
    CONTESTANTS["pytorch"] = PyTorchAgent
except ImportError:
    NAMES["pytorch"] += " (not installed: pip install -r requirements-bench.txt)"


def steps_per_second(make_agent, steps: int, seed: int) -> float:
    """The whole training loop on CartPole-v1, as chapter 4 runs it."""
    env = gym.make("CartPole-v1")
    agent = make_agent(seed)
    state, _ = env.reset(seed=seed)
    episode = 0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            start = time.perf_counter()
        action = agent.get_action(state)
        next_state, reward, terminated, truncated, _ = env.step(action)
        agent.update(state, action, reward, next_state, terminated)
        state = next_state
        if terminated or truncated:
            state, _ = env.reset()
            if episode % SYNC_INTERVAL == 0:
                agent.sync_qnet()
            episode += 1
    return steps / (time.perf_counter() - start)


def processor() -> str:
    """The name of the processor, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":")[1].strip()
            for line in lines
            if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measure(steps: int, rounds: int) -> dict:
    """Steps per second of every contestant, round by round, with what they were measured on."""
    speeds = {name: [] for name in CONTESTANTS}
    with threadpool_limits(1):
        for seed in range(rounds):
            for name, make_agent in CONTESTANTS.items():
                speeds[name].append(round(steps_per_second(make_agent, steps, seed), 1))
            print(
                f"round {seed + 1}: "
                + ", ".join(f"{n} {s[-1]:.0f}" for n, s in speeds.items())
            )
    packages = ["numpy", "dezero", "gymnasium"] + ["torch"] * ("pytorch" in speeds)
    return {
        "date": date.today().isoformat(),
        "processor": processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "steps": steps,
        "steps_per_second": speeds,
    }


def ratio(record: dict, name: str, other: str) -> float:
    """How many times as fast `name` is as `other`: the median over the rounds, each by itself."""
    speeds = record["steps_per_second"]
    return statistics.median(a / b for a, b in zip(speeds[name], speeds[other]))


def table(record: dict) -> str:
    rows = []
    for name, title in NAMES.items():
        speeds = record["steps_per_second"].get(name)
        if speeds is None:
            rows.append([title, "-", "-", "-"])
        else:
            spread = f"{min(speeds):.0f} - {max(speeds):.0f}"
            rows.append(
                [
                    title,
                    f"{statistics.median(speeds):.0f}",
                    spread,
                    f"{ratio(record, name, 'literal'):.2f}",
                ]
            )
    return tabulate(
        rows, headers=["", "steps/s (median)", "min - max", "times literal"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--steps", type=int, default=4000, help="timed steps of a training"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("_build/bench.json"))
    arguments = parser.parse_args()
    record = measure(arguments.steps, arguments.rounds)
    print("\n" + table(record))
    for other, wanted in (("literal", 3.0), ("pytorch", 4.0), ("floor", 0.7)):
        if other in record["steps_per_second"]:
            print(
                f"ours / {other}: {ratio(record, 'ours', other):.2f} (wanted: {wanted})"
            )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, arguments.out)


if __name__ == "__main__":
    main()
