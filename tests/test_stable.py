"""The committed record of the chapter on stability: complete, small, honest and repeatable."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from rlbook_helpers import train
from rlbook_helpers.presets import PRESETS
from rlbook_helpers.records import load_records, summarize
from rlbook_helpers.sweeps import run_seed

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "chapters/data"
RECORDS = load_records(DATA / "runs")
RUNS = {label: record.runs for label, record in RECORDS.items()}
SUMMARY = {row["preset"]: row for row in summarize(RECORDS)}


def test_the_record_is_small_text():
    files = [path for path in DATA.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000
    for path in files:
        text = path.read_text(encoding="utf-8")
        for part in text.splitlines() if path.suffix == ".jsonl" else [text]:
            json.loads(part)


@pytest.mark.parametrize("label", RUNS)
def test_every_record_has_the_settings_that_its_file_names(label):
    name, *changes = label.split(",")
    wanted = dataclasses.asdict(PRESETS[name])
    for change in changes:
        key, _, value = change.partition("=")
        assert str(wanted[key]) != value
        wanted[key] = value
    settings = dataclasses.asdict(RECORDS[label].preset)
    assert {k: str(v) for k, v in settings.items()} == {
        k: str(v) for k, v in wanted.items()
    }
    assert all(len(run["evaluation"]) == 100 for run in RUNS[label])


def test_seeds_are_those_that_were_not_used_for_tuning():
    for label, runs in RUNS.items():
        # What is chosen by looking at seeds from 0 on is judged by seeds that nobody has seen.
        first = {"acrobot": 40, "stable": 100}.get(label, 0)
        seeds = [run["seed"] for run in runs]
        assert seeds == list(range(first, first + len(runs))), label
    assert len(RUNS["stable"]) == 40
    assert len(RUNS["original"]) >= 20
    assert len(RUNS["acrobot"]) >= 10


def test_a_seed_run_again_agrees_where_it_must():
    """The start, before rounding errors grow with learning, and what the chapter claims."""
    kept = RUNS["stable"][0]
    again = run_seed(PRESETS["stable"], kept["seed"])
    assert RECORDS["stable"].preset == PRESETS["stable"]
    assert again["steps"] == kept["steps"] == 25_000
    assert again["returns"][:10] == kept["returns"][:10]
    assert np.mean(again["evaluation"]) >= 475


def test_the_same_start_for_the_original():
    kept = RUNS["original"][0]
    env = PRESETS["original"].make_env()
    agent = PRESETS["original"].make_agent(env, 0)
    record = train(env, agent, episodes=2, sync_interval=20, seed=0)
    assert record.returns == kept["returns"][:2]


def test_the_claims_of_the_chapter_follow_from_the_record():
    assert SUMMARY["original"]["solved"] == 0
    assert SUMMARY["stable"]["solved"] >= 39
    assert SUMMARY["acrobot"]["solved"] >= 9


def seconds_of(name):
    return json.loads((DATA / name).read_text(encoding="utf-8"))["seconds"]


def test_stable_takes_at_most_half_the_time_of_the_notebook():
    seconds = seconds_of("stable_time.json")
    ratios = np.array(seconds["stable"]) / np.array(seconds["literal"])
    assert len(ratios) >= 2 and np.median(ratios) <= 0.5


def test_two_jobs_finish_a_sweep_nearly_twice_as_fast():
    seconds = seconds_of("jobs.json")
    assert len(seconds["1"]) >= 3
    assert np.median(np.array(seconds["1"]) / np.array(seconds["2"])) >= 1.85
