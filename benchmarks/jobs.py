"""How much sooner two jobs finish a sweep than one.

    python benchmarks/jobs.py [--rounds 3] [--seeds 8] [--out _build/jobs.json]

The command of `rlbook_helpers.experiments`, start and imports included, with one job and with two,
in turns.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import describe, write

FIRST_SEED = 1000  # those below are kept for the results of the book


def seconds(jobs: int, seeds: int) -> float:
    with tempfile.TemporaryDirectory() as out:
        command = [
            *(sys.executable, "-m", "rlbook_helpers.experiments", "run", "stable"),
            *("--seeds", f"{FIRST_SEED}-{FIRST_SEED + seeds - 1}"),
            *("--jobs", str(jobs), "--out", out),
        ]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        return round(time.perf_counter() - start, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("_build/jobs.json"))
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.seeds < 2:
        parser.error("--rounds must be at least 1 and --seeds at least 2")
    rounds = [
        {jobs: seconds(jobs, arguments.seeds) for jobs in (1, 2)}
        for _ in range(arguments.rounds)
    ]
    record = describe() | {
        "seeds": arguments.seeds,
        "seconds": {str(jobs): [r[jobs] for r in rounds] for jobs in (1, 2)},
    }
    for jobs, times in record["seconds"].items():
        print(f"{jobs} job(s): {times} s")
    ratio = statistics.median(r[1] / r[2] for r in rounds)
    print(f"two jobs are {ratio:.2f} times as fast (wanted: at least 1.8)")
    write(arguments.out, record)


if __name__ == "__main__":
    main()
