"""What others use, under the protocol of chapter 5.

    python benchmarks/peers.py [NAME ...] [--plan 05_peers] [--jobs 2] [--out chapters/data/runs/05_peers]

chapters/plans/05_peers.toml and 05_further.toml say who takes part, with which hyperparameters and
seeds; 05_search.toml draws them. Whoever is recorded already is not run again.
"""

import argparse
import sys
import tomllib
from functools import partial
from pathlib import Path

import numpy as np

from programs import RUN, Contestant, run
from rlbook_helpers.experiments.plans import parse_seeds
from rlbook_helpers.experiments.sweeps import sweep

PLANS = Path(__file__).parents[1] / "chapters/plans"


def read_plan(name: str) -> dict:
    return tomllib.loads((PLANS / f"{name}.toml").read_text(encoding="utf-8"))


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
    parser.add_argument(
        "--plan", default="05_peers", choices=["05_peers", "05_further", "05_search"]
    )
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
