"""What cannot work is refused before the first step: one Japanese sentence, exit status 2."""

import dataclasses
import os
import re

import pytest

from rlbook_helpers.experiments import files, plans, policies, sweeps
from rlbook_helpers.experiments.__main__ import main
from rlbook_helpers.experiments.plans import parse_seeds
from rlbook_helpers.experiments.records import append, load_records

SETTINGS = plans.list_settings(plans.PRESETS["original"]).replace("\n", " ")
PLAN = f"""
seeds = "0-1"
settings = "{SETTINGS}"
[arms]
short = "episodes=2"
shorter = "episodes=1"
"""

NUMBERS = {"steps": 1, "seconds": 1.0, "evaluation": [9]}


@pytest.fixture
def trained(monkeypatch):
    """Collect the seeds that are run, without training."""
    seeds = []

    def run(preset, seed):
        seeds.append(seed)
        return {"seed": seed, "versions": {}, **NUMBERS}

    monkeypatch.setattr(sweeps, "run_seed", run)
    monkeypatch.setattr(
        policies, "record", lambda preset, seed, at, out: seeds.append(seed) or []
    )
    return seeds


@pytest.fixture
def refused(trained, capsys):
    """Run a command that is refused, and return its sentence."""

    def refuse(*command, sentences=1):
        assert main([str(part) for part in command]) == 2
        out, error = capsys.readouterr()
        assert not out and not trained
        assert error.startswith("python -m rlbook_helpers.experiments: ")
        assert error.count("\n") == sentences and len(error) < 1_500
        assert re.search("[ぁ-ん]", error)
        return error

    return refuse


def sweep_to(out, *more):
    return ["run", "original", "--seeds", "0-1", "--out", out, *more]


def policy_to(out):
    return ["policy", "original", "--seed", 1, "--at", 1, "--out", out]


# Folders


@pytest.mark.parametrize("below", ["", "a", "a/b"])
def test_out_that_is_a_file_is_refused(tmp_path, refused, below):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / below
    for command in (sweep_to(out), policy_to(out)):
        error = refused(*command)
        assert f"{out}" in error and "--out" in error
    assert (tmp_path / "file").read_text() == "mine"


def test_folder_that_nobody_can_make_is_refused(refused):
    out = "/proc/none" if os.name == "posix" else "?:/none"
    assert "--out" in refused(*sweep_to(out))


def test_full_disk_is_refused(tmp_path, refused):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for out, to in ((tmp_path / "a", sweep_to), (tmp_path / "b", policy_to)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
        try:
            assert f"{out}" in refused(*to(out))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["original.jsonl", ".lock"])
def test_folder_in_the_place_of_a_file_is_refused(tmp_path, refused, name):
    (tmp_path / name).mkdir()
    assert "original.jsonl" in refused(*sweep_to(tmp_path))


def test_record_that_cannot_be_extended_is_refused(tmp_path, refused):
    """A link to nowhere; permissions would not stop root."""
    path = tmp_path / "original.jsonl"
    try:
        path.symlink_to(tmp_path / "none" / "x")
    except OSError:
        pytest.skip("links need a permission on Windows")
    assert f"{path} に書けません" in refused(*sweep_to(tmp_path))


@pytest.mark.parametrize("number", [1, 2])
def test_record_that_does_not_fit_is_refused(tmp_path, refused, number):
    """One of other settings, and one with a damaged line."""
    path = tmp_path / "original.jsonl"
    runs = [{"seed": k, "versions": {}, **NUMBERS} for k in (5, 6)]
    for run in runs:
        append(path, {"gamma": 0.5}, run)
    if number == 2:
        path.write_bytes(path.read_bytes().replace(b'"seed":5', b'"seed":'))
    wanted = ("違う設定の記録", f"{path} の 2 行目")[number - 1]
    assert wanted in refused(*sweep_to(tmp_path))


def test_looking_leaves_no_record(tmp_path, trained):
    out = tmp_path / "new" / "runs"
    files.probe_file(out / "x.jsonl")
    assert [path.name for path in out.iterdir()] in ([".lock"], [])


def test_finished_sweep_writes_nothing(tmp_path, trained, monkeypatch):
    command = list(map(str, sweep_to(tmp_path)))
    assert main(command) == 0
    monkeypatch.setattr(sweeps, "probe_file", lambda path: pytest.fail("wrote"))
    assert main(command) == 0
    assert trained == [0, 1]


# Names


GOOD_NAMES = ["a b", "x" * 249, "あ" * 83, *"n4 日本語 a.b console com a,b=1".split()]
BAD_NAMES = [
    *("", "a\0b", "a\nb", "a\x7f", "a ", "x" * 250, "あ" * 84),
    *". .. .x ../x a/b a\\b /a a. con NUL.x lpt1 Com9".split(),
    *[f"a{mark}b" for mark in '<>:"|?*'],
]


def test_names_that_are_files_everywhere_are_taken():
    files.check_names("名前", GOOD_NAMES)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_name_that_is_not_a_file_everywhere_is_refused(name, tmp_path, refused):
    with pytest.raises(ValueError, match="名前は、どの OS でも"):
        files.check_names("名前", ["fine", name])
    with pytest.raises(ValueError, match="記録の名前は"):
        sweeps.sweep({name: plans.PRESETS["original"]}, [0], tmp_path)
    written = "".join(f"\\u{ord(mark):04x}" for mark in name)
    plan = tmp_path / "plan.toml"
    plan.write_text(f'{PLAN}"{written}" = ""\n', encoding="utf-8")
    error = refused("plan", plan, "--out", tmp_path / "out")
    assert f"{plan}" in error and "条件の名前は" in error and repr(name) in error
    assert not (tmp_path / "out").exists()


def test_names_that_differ_in_case_only_are_refused(tmp_path, refused):
    with pytest.raises(ValueError, match="'ab' と 'aB'"):
        files.check_names("名前", ["ab", "x", "aB"])
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN + 'Short = ""\n', encoding="utf-8")
    assert "'short' と 'Short'" in refused("plan", plan, "--out", tmp_path / "out")


def test_label_too_long_for_a_file_is_refused(tmp_path, refused):
    defaults = dataclasses.asdict(plans.PRESETS["original"]).items()
    settings = [f"--set={name}={value}" for name, value in defaults]
    assert "記録の名前は" in refused(*sweep_to(tmp_path, *settings))


# Seeds and numbers


@pytest.mark.parametrize(
    ("text", "what"),
    [
        *[(text, "シードは 0-39") for text in ("", *"a -1 3-1 0- 1,,2 1;2".split())],
        *[(text, "半角の数字") for text in (" 1", "1\n", *"０-３ ٣ ² 1_0 +1".split())],
        *[(n, "18 桁") for n in ("1" * 19, f"{'9' * 18}-1{'0' * 18}", "9" * 5_000)],
        ("0-99999999999", "1,000,000 個"),
        ("0-1000000", "1,000,000 個"),
        ("0-999999,5", "1,000,000 個"),
        (f"0-{'9' * 18},0-{'9' * 18}", "1,000,000 個"),
        (",".join(["0-99999"] * 5_000), "1,000,000 個"),
    ],
)
def test_seeds_that_do_not_fit_are_refused(text, what, tmp_path, refused):
    out = tmp_path / "out"
    command = ["run", "original", f"--seeds={text}", "--out", out]
    assert what in refused(*command)
    assert not out.exists()


def test_most_and_largest_seeds_are_taken():
    seeds = parse_seeds("1-1000000")
    assert (len(seeds), seeds[0], seeds[-1]) == (1_000_000, 1, 1_000_000)
    assert parse_seeds(f"{'9' * 18},0-1,1") == [10**18 - 1, 0, 1]


def test_largest_seed_can_be_trained():
    """Also by the two million more of its evaluation."""
    preset = plans.find_preset("original", {"episodes": 1, "evaluation_episodes": 1})
    assert sweeps.run_seed(preset, plans.SEED_END - 1)["seed"] == 10**18 - 1


BAD_NUMBERS = ["", " 1", "9" * 5_000, *"a 1.5 １ 1_0 1e3 0x1 -2 -0.5".split()]


@pytest.mark.parametrize("text", [*BAD_NUMBERS, "0", "257", "9" * 18])
def test_number_of_jobs_is_checked(text, tmp_path, refused):
    command = sweep_to(tmp_path / "out", f"--jobs={text}")
    assert "--jobs は 1 以上 257 未満の整数にしてください" in refused(*command)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("jobs", ["1", "256"])
def test_limits_of_jobs_are_taken(jobs, tmp_path, monkeypatch, trained):
    given = []
    monkeypatch.setattr(
        "rlbook_helpers.experiments.__main__.sweep",
        lambda *_, jobs, dask: given.append(jobs) or [],
    )
    assert main(list(map(str, sweep_to(tmp_path, "--jobs", jobs)))) == 0
    assert given == [int(jobs)]


@pytest.mark.parametrize("text", [*BAD_NUMBERS, "1" + "0" * 18])
def test_seed_of_a_policy_is_checked(text, tmp_path, refused):
    options = [f"--seed={text}", "--at", 1, "--out", tmp_path / "a"]
    command = ["policy", "original", *options]
    assert f"--seed は 0 以上 {10**18} 未満の整数に" in refused(*command)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("text", [*BAD_NUMBERS[1:], "0"])
def test_steps_of_a_policy_are_checked(text, tmp_path, refused):
    command = ["policy", "original", "--seed", 1, "--out", tmp_path / "a"]
    assert "--at は 1 以上の整数に" in refused(*command, "--at", 1, text)
    assert not (tmp_path / "a").exists()


def test_numbers_of_a_policy_are_passed_on(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(policies, "record", lambda *them: given.append(them) or [])
    command = ["policy", "stable", "--seed", "9" * 18, "--at", "1", "20", "--out"]
    assert main([*command, str(tmp_path)]) == 0
    ((preset, *numbers),) = given
    assert preset == plans.PRESETS["stable"]
    assert numbers == [10**18 - 1, [1, 20], tmp_path / "stable"]


def test_full_disk_of_a_policy_is_told(tmp_path, monkeypatch, capsys):
    def record(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(policies, "record", record)
    command = ["policy", "stable", "--seed", "0", "--at", "1", "--out", str(tmp_path)]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'stable'} に書けません" in error and error.count("\n") == 1


# Settings


VALUES = [
    *(
        "None True False 0 -1 1.5 1e400 -1e400 nan x [] [1] {} (1,2) 1j ... {[]}".split()
    ),
    *("'x'", "b'x'", "", "a/b", "1" + "0" * 150, '"', "\0", "-" * 199 + "1"),
    *("(" * 200, "[" * 100 + "]" * 100, "1" * 5_000, "0x" + "f" * 5_000, "(" * 3_000),
    *("-" * 100_000 + "1", "\ud800"),
]


@pytest.mark.parametrize("name", plans.FIELDS)
def test_any_value_of_a_setting_is_taken_or_refused(name):
    for value in VALUES:
        for preset in ("original", "stable"):
            try:
                plans.find_preset(preset, plans.parse_settings([f"{name}={value}"]))
            except ValueError as error:
                assert name in str(error) and re.search("[ぁ-ん]", str(error))
                assert len(str(error)) < 1_500


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("buffer_size=1" + "0" * 100, "original buffer_size=1000"),
        ("epsilon_part=None", "epsilon_part=None"),
        ("env_id=3", "env_id=3"),
        ("env_id=none:Nowhere-v0", "env_id='none:Nowhere-v0' none"),
        ("lr=" + "1" * 201, "lr 200"),
        ("lr", "lr tau"),
        ("x" * 5_000, "lr tau"),
    ],
)
def test_setting_is_named_in_one_sentence(setting, words, tmp_path, refused):
    preset = "stable" if "part" in setting else "original"
    command = ["run", preset, "--seeds", "0", "--out", tmp_path, "--set", setting]
    error = refused(*command)
    assert all(word in error for word in words.split())
    assert not list(tmp_path.iterdir())


def test_longest_value_is_taken():
    value = "1" + "0" * 199
    assert plans.parse_settings([f"lr={value}"]) == {"lr": 10**199}


# Plans


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (PLAN, "", "'settings' がありません"),
        (PLAN, "[", "plan.toml を使えません"),
        (PLAN, "x = " + "[" * 5_000 + "]" * 5_000, "plan.toml を使えません"),
        (PLAN, "x = " + "1" * 5_000, "plan.toml を使えません"),
        *[
            (f'{name} = "{value}"', f"{name} = {wrong}", f"{name} は文字列に")
            for name, value in (
                ("settings", SETTINGS),
                ("seeds", "0-1"),
                ("short", "episodes=2"),
            )
            for wrong in "3 1.5 true [] ['x'] {} {a=1} 2026-01-01".split()
        ],
        *[
            (PLAN[PLAN.index("[arms]") :], text, "[arms] に条件を一つ以上")
            for text in ('arms = "x"', "arms = 3", "arms = ['x']", "[arms]", "[[arms]]")
        ],
        (PLAN[PLAN.index("[arms]") :], "", "'arms' がありません"),
        ('seeds = "0-1"', "", "'seeds' がありません"),
        ("0-1", "0-99999999999", "1,000,000 個"),
        ("0-1", "０", "シードは"),
        ("gamma=0.98 lr=0.0005 ", "", "gamma, lr"),
        ("episodes=2", "episodes", "episodes"),
        ("episodes=2", "env_id=Nowhere-v0", "Nowhere"),
        ("episodes=2", "env_id=3", "short"),
    ],
)
def test_wrong_plan_is_refused(old, new, words, tmp_path, refused):
    plan = tmp_path / "plan.toml"
    assert old in PLAN
    plan.write_text(PLAN.replace(old, new), encoding="utf-8")
    error = refused("plan", plan, "--out", tmp_path / "out")
    assert f"計画 {plan}" in error and words in error
    assert not (tmp_path / "out").exists()


def test_plan_that_is_no_text_is_refused(tmp_path, refused):
    plan = tmp_path / "plan.toml"
    plan.write_bytes(PLAN.replace("batch", "\xe9").encode("latin-1"))
    for path in (plan, tmp_path, tmp_path / "none.toml"):
        error = refused("plan", path, "--out", tmp_path / "out")
        assert f"計画 {path} を使えません" in error


@pytest.fixture
def two(tmp_path):
    """Two plans, and the command that runs them."""
    paths = [tmp_path / "first.toml", tmp_path / "second.toml"]
    for path in paths:
        path.write_text(PLAN, encoding="utf-8")
    return *paths, ["plan", *map(str, paths), "--out", str(tmp_path / "out")]


@pytest.mark.parametrize("wrong", [(0,), (1,), (0, 1)])
def test_every_plan_is_checked_before_any_runs(two, wrong, tmp_path, refused):
    *paths, command = two
    for k in wrong:
        paths[k].write_text("settings = 3", encoding="utf-8")
    error = refused(*command, sentences=len(wrong))
    assert [str(path) in error for path in paths] == [k in wrong for k in (0, 1)]
    assert not (tmp_path / "out").exists()


def test_folder_of_every_plan_is_checked_before_any_runs(two, tmp_path, refused):
    out = tmp_path / "out" / "second"
    out.parent.mkdir()
    out.touch()
    assert f"{out}" in refused(*two[-1])


def test_plans_of_one_name_are_refused(two, tmp_path, refused):
    first, second, command = two
    (tmp_path / "other").mkdir()
    for name in ("first.toml", "First.toml"):
        same = second.rename(tmp_path / "other" / name)
        error = refused("plan", first, same, *command[-2:])
        assert "計画の名前" in error and same.stem in error
        same.rename(second)


@pytest.mark.parametrize("fails", [0, 2, None])
def test_failure_of_any_plan_shows_in_the_status(two, fails, tmp_path, monkeypatch):
    """Of the first or of the second; the others are run nevertheless."""
    calls = []

    def run(preset, seed):
        calls.append(seed)
        if fails is not None and len(calls) - 1 == 2 * fails:
            raise RuntimeError("oh")
        return {"seed": seed, "versions": {}, **NUMBERS}

    monkeypatch.setattr(sweeps, "run_seed", run)
    assert main(two[-1]) == (0 if fails is None else 1)
    assert len(calls) == 8
    assert all(load_records(tmp_path / "out" / name) for name in ("first", "second"))
