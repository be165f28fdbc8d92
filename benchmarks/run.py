"""Train the contestants in turn and compare their speed: `make bench`.

    python benchmarks/run.py [--steps 4000] [--rounds 5] [--ladder] [--out _build/bench.json]

In every round all contestants train side by side, each for a slice of 250 steps and then the
next one, so that a drift of the machine's speed meets all of them. One thread; the first steps,
which only fill the buffer and the caches, are not timed. With --ladder, the versions between the
notebook's algorithm and `DQNAgent` run as well, and the time of their parts is taken.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import gymnasium as gym
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from floor import FloorAgent
from ladder import LADDER, PARTS, watch

WARM_UP, SLICE, SYNC_INTERVAL = 500, 250, 20

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


def training(agent, seed: int):
    """The whole training loop on CartPole-v1, as chapter 4 runs it; a pause after every step."""
    env = gym.make("CartPole-v1")
    state, _ = env.reset(seed=seed)
    episode = 0
    while True:
        action = agent.get_action(state)
        next_state, reward, terminated, truncated, _ = env.step(action)
        agent.update(state, action, reward, next_state, terminated)
        state = next_state
        if terminated or truncated:
            state, _ = env.reset()
            if episode % SYNC_INTERVAL == 0:
                agent.sync_qnet()
            episode += 1
        yield


def seconds_for(loop, steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        next(loop)
    return time.perf_counter() - start


def race(contestants: dict, steps: int, seed: int) -> dict[str, float]:
    """Steps per second of each contestant, all of them training in turns."""
    loops = {name: training(make(seed), seed) for name, make in contestants.items()}
    for loop in loops.values():
        seconds_for(loop, WARM_UP)
    seconds = dict.fromkeys(loops, 0.0)
    for done in range(0, steps, SLICE):
        for name, loop in loops.items():
            seconds[name] += seconds_for(loop, min(SLICE, steps - done))
    return {name: round(steps / s, 1) for name, s in seconds.items()}


def profile(names: tuple[str, ...], steps: int) -> dict[str, dict[str, float]]:
    """Microseconds per step that the parts of these contestants take, and the whole step."""
    agents = {name: LADDER[name](0) for name in names}
    loops = {name: training(agent, 0) for name, agent in agents.items()}
    for loop in loops.values():
        seconds_for(loop, WARM_UP)
    parts = {name: watch(agent) for name, agent in agents.items()}
    seconds = dict.fromkeys(loops, 0.0)
    for done in range(0, steps, SLICE):
        for name, loop in loops.items():
            seconds[name] += seconds_for(loop, min(SLICE, steps - done))
    return {
        name: {
            part: round(s / steps * 1e6, 1)
            for part, s in [
                *((p, parts[name][p]) for p in PARTS),
                ("total", seconds[name]),
            ]
        }
        for name in names
    }


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


def describe(*more_packages: str) -> dict:
    """What a record was measured on."""
    packages = ["numpy", "dezero", "gymnasium", *more_packages]
    return {
        "date": date.today().isoformat(),
        "processor": processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def write(path: Path, record: dict) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


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
