"""Train the contestants in turn and compare their speed: `make bench`.

    python benchmarks/run.py [--steps 4000] [--rounds 5] [--ladder] [--out _build/bench.json]

In every round all contestants train side by side, each for a slice of 250 steps and then the
next one, so that a drift of the machine's speed meets all of them. One thread; the first steps,
which only fill the buffer and the caches, are not timed. With --ladder, the versions between the
notebook's algorithm and `DQNAgent` run as well, and the time of their parts is taken.
"""

import argparse
import statistics
import sys
from itertools import islice
from pathlib import Path

import gymnasium as gym
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from floor import FloorAgent
from ladder import LADDER, PARTS, watch
from measuring import SYNC_INTERVAL, describe, take_turns, training, write

WARM_UP = 500

NAMES = {
    "literal": "the notebook's algorithm, DeZero as it is",
    "pytorch": "the same algorithm, eager PyTorch",
    "ours": "DQNAgent of this book",
    "floor": "hand-fused NumPy, no framework",
    "float32": "+ float32 throughout",
    "no_graph": "+ no graph without gradients",
    "ring": "+ ring buffer",
    "flat_adam": "+ Adam on one vector",
    "arrays": "+ arrays without Variables",
    "fused": "+ network and loss as one Function",
}
CONTESTANTS = {
    "literal": LADDER["literal"],
    "ours": LADDER["ours"],
    "floor": FloorAgent,
}
try:
    import torch

    from pytorch import PyTorchAgent

    torch.set_num_threads(1)
    CONTESTANTS["pytorch"] = PyTorchAgent
except ImportError:
    NAMES["pytorch"] += " (not installed: pip install -r requirements-bench.txt)"


def warm(agents: dict, seed: int) -> dict:
    """A training loop for each agent, past the steps that only fill buffer and caches."""
    loops = {
        name: training(agent, gym.make("CartPole-v1"), seed, SYNC_INTERVAL)
        for name, agent in agents.items()
    }
    for loop in loops.values():
        next(islice(loop, WARM_UP - 1, None))
    return loops


def race(contestants: dict, steps: int, seed: int) -> dict[str, float]:
    """Steps per second of each contestant, all of them training in turns."""
    loops = warm({name: make(seed) for name, make in contestants.items()}, seed)
    seconds = take_turns({name: islice(loop, steps) for name, loop in loops.items()})
    return {name: round(steps / s, 1) for name, s in seconds.items()}


def profile(names: tuple[str, ...], steps: int) -> dict[str, dict[str, float]]:
    """Microseconds per step that the parts of these contestants take, and the whole step."""
    agents = {name: LADDER[name](0) for name in names}
    loops = warm(agents, 0)
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
    torch_too = ["torch"] * ("pytorch" in speeds)
    return describe(*torch_too) | {"steps": steps, "steps_per_second": speeds}


def ratio(record: dict, name: str, other: str) -> float:
    """How many times as fast `name` is as `other`: the median over the rounds, each by itself."""
    speeds = record["steps_per_second"]
    return statistics.median(a / b for a, b in zip(speeds[name], speeds[other]))


def table(record: dict) -> str:
    rows = []
    for name in dict.fromkeys(["literal", "pytorch", *record["steps_per_second"]]):
        speeds = record["steps_per_second"].get(name)
        if speeds is None:
            rows.append([NAMES[name], "-", "-", "-", "-"])
        else:
            spread = f"{min(speeds):.0f} - {max(speeds):.0f}"
            times = [
                f"{ratio(record, name, other):.2f}" for other in ("literal", "floor")
            ]
            rows.append(
                [NAMES[name], f"{statistics.median(speeds):.0f}", spread, *times]
            )
    headers = ["", "steps/s (median)", "min - max", "/ literal", "/ floor"]
    return tabulate(rows, headers=headers, disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    contestants = {**(LADDER if arguments.ladder else {}), **CONTESTANTS}
    with threadpool_limits(1):
        record = measure(contestants, arguments.steps, arguments.rounds)
        if arguments.ladder:
            print("the time of the parts", file=sys.stderr)
            record["microseconds"] = profile(("literal", "fused"), arguments.steps)
    print(table(record))
    for other, wanted in (("literal", 3.0), ("pytorch", 4.0), ("floor", 0.7)):
        if other in record["steps_per_second"]:
            print(
                f"ours / {other}: {ratio(record, 'ours', other):.2f} (wanted: {wanted})"
            )
    write(arguments.out, record)


if __name__ == "__main__":
    main()
