"""Where the numbers of the pages come from: records, shipped policies, compared outputs of the chapters.

A mark may use all that is public here and in by_hand, and what `names` makes for its chapter. A record is
written as "05_lander/stable"; several are put together.
"""

import json
import math
import re
import tomllib
from functools import cache
from pathlib import Path

import bs4
import gymnasium as gym
import numpy as np
from dezerogym.gridworld import GridWorld

import by_hand
from figure_models import end, follow, policy_of, rewind_data, rewind_points
from figures import rewind
from marks import SIGNED
from rlbook_helpers.beyond import breakout
from rlbook_helpers.beyond.convolution import ConvolutionQNet
from rlbook_helpers.beyond.layer_norm import NormalizedQNet
from rlbook_helpers.clinic.case import FIRST_UPDATE, MOST_INTERVAL, PATIENCE, Case
from rlbook_helpers.clinic.examinations import EXAMINATIONS
from rlbook_helpers.clinic.examinations.updates import MOST_WINDOW
from rlbook_helpers.clinic.judge import HEALTHY
from rlbook_helpers.clinic.motion import MOST_UPDATES
from rlbook_helpers.clinic.patients import PATIENTS
from rlbook_helpers.clinic.subject import GAMMA
from rlbook_helpers.experiments.presets import PRESETS
from rlbook_helpers.experiments.records import read

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"
UNCOMPARED = {"nbval-ignore-output", "nbval-skip", "skip-execution"}


# Records and plans


@cache
def _read(record: str) -> tuple[dict, list[dict]]:
    return read(CHAPTERS / f"data/runs/{record}.jsonl")


def runs(*records: str) -> list[dict]:
    """The results of all seeds."""
    return [run for record in records for run in _read(record)[1]]


def seeds(*records: str) -> int:
    return len(runs(*records))


def scores(*records: str) -> np.ndarray:
    """The mean evaluation of each seed."""
    return np.array([np.mean(run["evaluation"]) for run in runs(*records)])


def score(record: str, seed: int) -> float:
    """The mean evaluation of one seed."""
    (run,) = [run for run in runs(record) if run["seed"] == seed]
    return float(np.mean(run["evaluation"]))


def middle(*records: str) -> float:
    """The mean of the middle half of the seeds (四分位平均)."""
    return by_hand.middle_mean(scores(*records))


def solved(*records: str) -> int:
    """How many seeds reach what Gymnasium asks of their environment; a peer's is CartPole unless its options name one."""
    settings, _ = _read(records[0])
    options = settings.get("options", settings)
    named = options if isinstance(options, dict) else {}
    threshold = gym.spec(named.get("env_id", "CartPole-v1")).reward_threshold
    return int((scores(*records) >= threshold).sum())


def setting(record: str, name: str):
    """A setting of a record ("05_lander/stable") or of a preset ("stable")."""
    return _read(record)[0][name] if "/" in record else getattr(PRESETS[record], name)


def plan(name: str) -> dict:
    """The plan of an experiment."""
    return tomllib.loads((CHAPTERS / f"plans/{name}.toml").read_text("utf-8"))


def data(file: str) -> dict:
    """A JSON file of chapters/data."""
    return json.loads((CHAPTERS / "data" / file).read_text("utf-8"))


def curves(record: str) -> np.ndarray:
    """The totals of the training, of equally many episodes: (seeds, episodes)."""
    return np.array([run["returns"] for run in runs(record)])


def averages(totals: np.ndarray, width: int) -> np.ndarray:
    """Moving averages over so many episodes, each in its row."""
    return np.apply_along_axis(np.convolve, 1, totals, np.ones(width) / width, "valid")


# Chapter 2 and 3


@cache
def best_values() -> np.ndarray:
    """Of the grid world with a discount of 0.9 (row, column, action), by going round until nothing moves."""
    env, values = GridWorld(), np.zeros((3, 4, 4))
    ends = (env.wall_state, env.goal_state)
    for state in [state for state in env.states() if state not in ends] * 100:
        for action in env.actions():
            after = env.next_state(state, action)
            reward = env.reward(state, action, after)
            values[state][action] = reward + 0.9 * values[after].max()
    return values


@cache
def effective_size(size: int, batch: int) -> float:
    """Of batches of neighbours, in a live replay buffer that holds its first angles."""
    script = CHAPTERS.parent / "book/static/figures/data/angles.js"
    angles = np.array(json.loads(re.search(r"\[.*\]", script.read_text("utf-8"))[0]))
    kept = angles[:size]
    means = np.convolve(kept, np.ones(batch) / batch, "valid")
    return kept.var() / np.mean((means - kept.mean()) ** 2)


# Chapter 4


@cache
def rewound() -> dict:
    """The checkpoints of the live figure 学習をさかのぼる by episode: map, path, mean."""
    return {point.episode: point for point in rewind_points(rewind_data())}


# Chapter 5 and 6


def effective(folder: str, base: str, word: str = "効いた") -> int:
    """How many conditions of a plan the test of chapter 5 finds better (or "悪くした") than the base."""
    names = [path.stem for path in (CHAPTERS / "data/runs" / folder).glob("*.jsonl")]
    counts = {k: solved(f"{folder}/{k}") for k in names if k not in (base, "chapter_4")}
    k0, n = solved(f"{folder}/{base}"), seeds(f"{folder}/{base}")
    adjusted = by_hand.holm([by_hand.fisher(k, n, k0, n) for k in counts.values()])
    found = [k > k0 for k, p in zip(counts.values(), adjusted) if p < 0.05]
    return found.count(word == "効いた")


def solved_marks(record: str) -> np.ndarray:
    """Whether each seed had solved CartPole at each checkpoint: (seeds, checkpoints)."""
    return np.array([[c[1] >= 475 for c in run["checkpoints"]] for run in runs(record)])


def ever(record: str) -> int:
    """How many seeds had at some checkpoint."""
    return sum(any(c[1] >= 475 for c in run["checkpoints"]) for run in runs(record))


def shares(record: str) -> np.ndarray:
    """The share of the seeds that had, by checkpoint."""
    return solved_marks(record).mean(axis=0)


def first_solved(record: str) -> np.ndarray:
    """The steps until each seed had for the first time, of those that ever had."""
    steps = [c[0] for c in runs(record)[0]["checkpoints"]]
    solved = solved_marks(record)
    return np.array(steps)[solved[solved.any(axis=1)].argmax(axis=1)]


def last_bias(record: str) -> float:
    """What the last estimates exceed the matched returns by: the middle mean of the seeds."""
    last = np.array([run["checkpoints"][-1] for run in runs(record)])
    return by_hand.middle_mean(last[:, 2] - last[:, 3])


def unsolved(record: str) -> float:
    """The share that never solves CartPole, by Kaplan and Meier: runs that end are not counted on."""
    share, events = 1.0, []
    for run in runs(record):
        solved = [c[0] for c in run["checkpoints"] if c[1] >= 475]
        events.append((solved[0], 0) if solved else (run["steps"], 1))
    for left, (_, ended) in zip(range(len(events), 0, -1), sorted(events)):
        share *= 1 if ended else 1 - 1 / left
    return share


def covered(record: str, n: int) -> float:
    """How often the interval of chapter 5 of n drawn seeds holds the middle mean of all of them."""
    rng, values = np.random.default_rng(0), scores(record)
    draws = rng.choice(values, size=(1_000, n))
    again = np.sort(draws[:, rng.integers(n, size=(400, n))])  # (1000, 400, n)
    means = again[..., n // 4 : n - n // 4].mean(axis=2)
    low, high = np.percentile(means, [2.5, 97.5], axis=1)
    whole = by_hand.middle_mean(values)
    return float(np.mean((low <= whole) & (whole <= high)))


def expected_largest(n: int) -> float:
    """Of n independent standard normals, by adding up the density of the largest."""
    x = np.linspace(-8, 8, 4_001)
    below = np.array([(1 + math.erf(value / math.sqrt(2))) / 2 for value in x])
    return float(np.sum((x[1:] + x[:-1]) / 2 * np.diff(below**n)))


def at_most(k: int, n: int, p: float) -> float:
    """The probability of at most k of n."""
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


def pole_steps(policy: str, push: float = 0.0) -> list[int]:
    """How long a shipped policy holds ten poles that are pushed (rad/s) after 50 steps."""
    lengths, env, act = [], gym.make("CartPole-v1"), policy_of(policy)
    for seed in range(10):
        state, _ = env.reset(seed=seed)
        ended, length = False, 0
        while not ended:
            if length == 50:
                state = np.array(env.unwrapped.state) + [0, 0, 0, push]
                env.unwrapped.state = state
            state, _, terminated, truncated, _ = env.step(act(np.float32(state)))
            ended, length = terminated or truncated, length + 1
        lengths.append(length)
    return lengths


def reached(record: str, nothing: float = 0) -> int:
    """How many seeds had more than this in some episode of their training."""
    return sum(max(run["returns"]) > nothing for run in runs(record))


def opens(record: str) -> int:
    """How many seeds open the lock in more than half of the episodes at the end."""
    return int((scores(record) > 0.5).sum())


def by_chance(length: int) -> float:
    """The probability that 10,000 random trials open a lock at least once."""
    return 1 - (1 - 0.5**length) ** 10_000


# Chapter 9


def weights(network) -> int:
    """How many weights and biases a network has."""
    return sum(parameter.data.size for parameter in network.params())


def games(record: str) -> np.ndarray:
    """The bricks of each game of the evaluation: (seeds, games)."""
    return np.array([run["evaluation"] for run in runs(record)])


# Chapter 7 and other pages


def inside_at_the_end(folder: str, name: str) -> bool:
    """Whether the last median of a patient lies in the middle half of the healthy seeds."""
    low, high = np.quantile(curves(f"{folder}/healthy")[:, -1], [0.25, 0.75])
    return bool(low <= np.median(curves(f"{folder}/{name}")[:, -1]) <= high)


def finding(patient: str, examination: str, k: int = 0) -> float:
    """The k-th number of a recorded finding."""
    return _number(data("clinic.json")[patient]["findings"][examination][1], k)


def ill(patient: str) -> list[str]:
    """The examinations that find a recorded patient ill."""
    findings = data("clinic.json")[patient]["findings"]
    return [name for name, (result, _) in findings.items() if result == "異常"]


def pinned(package: str) -> float:
    """Major and minor version in requirements.txt, as a number."""
    pins = (CHAPTERS.parent / "requirements.txt").read_text("utf-8")
    return float(re.search(rf"^{package}==(\d+\.\d+)", pins, re.M)[1])


# Outputs


@cache
def _outputs(chapter: str) -> tuple[str, list]:
    """What compared cells print, and their tables as rows of texts."""
    printed, tables = "", []
    for cell in json.loads((CHAPTERS / f"{chapter}.ipynb").read_text("utf-8"))["cells"]:
        if UNCOMPARED & set(cell["metadata"].get("tags", [])):
            continue
        for output in cell.get("outputs", []):
            printed += "".join(output.get("text", ""))
            html = "".join(output.get("data", {}).get("text/html", ""))
            for table in bs4.BeautifulSoup(html, "html.parser").find_all("table"):
                rows = [tr.find_all(["th", "td"]) for tr in table.find_all("tr")]
                tables.append([[td.get_text(strip=True) for td in row] for row in rows])
    return printed, tables


def _number(text: str, k: int) -> float:
    found = SIGNED.findall(text)[k]
    return float(found.replace("−", "-").replace(",", ""))


def names(chapter: str) -> dict:
    """What an expression may use on a page of this chapter."""

    def printed(before: str, k: int = 0, chapter: str = chapter) -> float:
        """The k-th number of the line after a text that compared cells print once."""
        (line,) = re.findall(re.escape(before) + r"(.*)", _outputs(chapter)[0])
        return _number(line, k)

    def table(row: str, column: str, k: int = 0, chapter: str = chapter) -> float:
        """The k-th number where a row, named by its first cells, crosses a column of one table."""
        (cell,) = {
            cells[head.index(column)]
            for head, *rows in _outputs(chapter)[1]
            for cells in rows
            if column in head and " ".join(cells).startswith(row)
        }
        return _number(cell, k)

    def says(line: str) -> bool:
        """Whether compared cells print this line."""
        return line in _outputs(chapter)[0].splitlines()

    def rows_where(column: str, text: str) -> list[int]:
        """In which rows, from 0, the one table with this column has this text there."""
        ((head, *rows),) = [t for t in _outputs(chapter)[1] if column in t[0]]
        k = head.index(column)
        return [number for number, cells in enumerate(rows) if cells[k] == text]

    taken = {"EXAMINATIONS": EXAMINATIONS, "PATIENTS": PATIENTS}
    taken |= {"GAMMA": GAMMA, "PATIENCE": PATIENCE, "MOST_UPDATES": MOST_UPDATES}
    taken |= {"FIRST_UPDATE": FIRST_UPDATE, "MOST_INTERVAL": MOST_INTERVAL}
    taken |= {"MOST_WINDOW": MOST_WINDOW, "walked": len(Case(HEALTHY).walk[1].seeds)}
    taken |= {"breakout": breakout, "NormalizedQNet": NormalizedQNet}
    taken |= {"ConvolutionQNet": ConvolutionQNet}
    taken |= {"end": end, "follow": follow, "rewind": rewind}
    shared = {k: v for k, v in (vars(by_hand) | globals()).items() if k[0] != "_"}
    made = {f.__name__: f for f in (printed, table, says, rows_where)}
    return shared | taken | made
