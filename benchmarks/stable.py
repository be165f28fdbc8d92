"""The time of a training with the preset `stable`, and of the notebook's 300 episodes.

    python benchmarks/stable.py [--rounds 3] [--out _build/stable_time.json]

Both on one core, in turns.
"""

import argparse
import statistics
from itertools import islice, takewhile
from pathlib import Path

import gymnasium as gym
from threadpoolctl import threadpool_limits

from literal import LiteralAgent
from measuring import SYNC_INTERVAL, describe, take_turns, training, write
from rlbook_helpers.presets import PRESETS

EPISODES = 300


def seconds_side_by_side(seed: int) -> dict[str, float]:
    stable = PRESETS["stable"]
    env = stable.make_env()
    agent = stable.make_agent(env, seed)
    literal = training(LiteralAgent(seed), gym.make("CartPole-v1"), seed, SYNC_INTERVAL)
    seconds = take_turns(
        {
            "literal": takewhile(lambda episode: episode < EPISODES, literal),
            "stable": islice(training(agent, env, seed, None), stable.steps),
        }
    )
    return {name: round(s, 2) for name, s in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("_build/stable_time.json"))
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    with threadpool_limits(1):
        rounds = [seconds_side_by_side(seed) for seed in range(arguments.rounds)]
    record = describe() | {
        "seconds": {name: [r[name] for r in rounds] for name in ("literal", "stable")}
    }
    for name, seconds in record["seconds"].items():
        print(f"{name}: {seconds} s")
    ratios = [r["stable"] / r["literal"] for r in rounds]
    print(f"stable / literal: {statistics.median(ratios):.2f} (wanted: at most 0.5)")
    write(arguments.out, record)


if __name__ == "__main__":
    main()
