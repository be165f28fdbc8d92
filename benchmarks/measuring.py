"""What the benchmarks share: the loop that is timed, taking turns, and records of both."""

import json
import platform
import time
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from rlbook_helpers.experiments.sweeps import processor

SYNC_INTERVAL = 20  # episodes, as in chapter 4
SLICE = 250  # steps of a turn


class Notebook:
    """The hyperparameters of the original notebook, for agents that are written out here."""

    gamma = 0.98
    lr = 0.0005
    epsilon = 0.1
    buffer_size = 10_000
    batch_size = 32
    action_size = 2


def training(agent, env, seed: int, sync_interval: int | None) -> Iterator[int]:
    """The whole training loop; the number of episodes so far after every step."""
    state, _ = env.reset(seed=seed)
    episode = 0
    while True:
        action = agent.get_action(state)
        next_state, reward, terminated, truncated, _ = env.step(action)
        agent.update(state, action, reward, next_state, terminated)
        state = next_state
        if terminated or truncated:
            state, _ = env.reset()
            if sync_interval and episode % sync_interval == 0:
                agent.sync_qnet()
            episode += 1
        yield episode


def take_turns(loops: dict[str, Iterator]) -> dict[str, float]:
    """Run all loops to their ends, a slice of each in turn; the seconds that each has taken.

    So a drift of the machine's speed meets all of them.
    """
    seconds = dict.fromkeys(loops, 0.0)
    running = list(loops)
    while running:
        for name in list(running):
            start = time.perf_counter()
            steps = sum(1 for _ in islice(loops[name], SLICE))
            seconds[name] += time.perf_counter() - start
            if steps < SLICE:
                running.remove(name)
    return seconds


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
    """The record as small text, which a commit shows line by line."""
    text = json.dumps(record, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
