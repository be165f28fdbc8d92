"""The time of a training with the preset `stable`, and of the notebook's 300 episodes.

    python benchmarks/stable.py [--rounds 3] [--out _build/stable_time.json]

Both on one core, in slices of 250 steps that take turns, so that a drift of the machine's speed
meets both of them.
"""

import argparse
import statistics
import time
from pathlib import Path

import gymnasium as gym
from threadpoolctl import threadpool_limits

from literal import LiteralAgent
from rlbook_helpers.presets import PRESETS
from run import SYNC_INTERVAL, describe, write

EPISODES, SLICE = 300, 250


def training(agent, env, seed, sync_interval, *, episodes=None, steps=None):
    """The loop of a training; a pause after every step."""
    state, _ = env.reset(seed=seed)
    episode = step = 0
    while episode != episodes and step != steps:
        action = agent.get_action(state)
        next_state, reward, terminated, truncated, _ = env.step(action)
        agent.update(state, action, reward, next_state, terminated)
        state = next_state
        step += 1
        if terminated or truncated:
            state, _ = env.reset()
            if sync_interval and episode % sync_interval == 0:
                agent.sync_qnet()
            episode += 1
        yield


def seconds_side_by_side(seed: int) -> dict[str, float]:
    stable = PRESETS["stable"]
    env = stable.make_env()
    loops = {
        "literal": training(
            LiteralAgent(seed),
            gym.make("CartPole-v1"),
            seed,
            SYNC_INTERVAL,
            episodes=EPISODES,
        ),
        "stable": training(
            stable.make_agent(env, seed), env, seed, None, steps=stable.steps
        ),
    }
    seconds = dict.fromkeys(loops, 0.0)
    running = set(loops)
    while running:
        for name in sorted(running):
            start = time.perf_counter()
            for _ in range(SLICE):
                if next(loops[name], running) is running:  # it has ended
                    running = running - {name}
                    break
            seconds[name] += time.perf_counter() - start
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
