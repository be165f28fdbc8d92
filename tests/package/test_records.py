"""Records: nothing is lost by a second writer, a full disk, a killed process, or a damaged line."""

import contextlib
import dataclasses
import io
import json
import subprocess
import sys
import threading
import time

import pytest

from rlbook_helpers.experiments import files, records, sweeps
from rlbook_helpers.experiments.__main__ import main
from rlbook_helpers.experiments.presets import PRESETS, Preset
from rlbook_helpers.experiments.records import append, load, load_records
from rlbook_helpers.experiments.repairs import repair

SETTINGS = dataclasses.asdict(Preset())
OTHER = dataclasses.asdict(Preset(gamma=0.5))


def made_up_run(seed, **changes):
    numbers = {"steps": 1000 + seed, "seconds": 2.0, "evaluation": [seed, 500]}
    more = {"returns": [9, 10], "checkpoints": [], "versions": {"numpy": "1"}}
    return {"seed": seed, **numbers, **more, **changes}


def written(path, *seeds, settings=SETTINGS):
    for seed in seeds:
        append(path, settings, made_up_run(seed))
    return path


def seeds_in(path):
    return [run["seed"] for run in load(path).runs]


def names_in(folder):
    """What is there besides the lock, which stays on some systems."""
    return sorted({path.name for path in folder.iterdir()} - {".lock"})


def change_line(path, number, line):
    """Put bytes in the place of a line, counted from 1; return the bytes that stood there."""
    lines = path.read_bytes().split(b"\n")
    old, lines[number - 1] = lines[number - 1], line
    path.write_bytes(b"\n".join(lines))
    return old


@pytest.fixture
def largest_file():
    """Set the size at which every write of this process fails, like on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    limit(soft)


# Append


def test_append_and_load_are_inverse(tmp_path):
    path = tmp_path / "new" / "x.jsonl"
    preset = PRESETS["stable"]
    settings = dataclasses.asdict(preset)
    other = made_up_run(2, versions={"numpy": "2"})
    for seed in (10_000, 9):
        append(path, settings, made_up_run(seed))
    append(path, settings, other)
    assert load(path) == (preset, [other, made_up_run(9), made_up_run(10_000)])
    assert path.read_text().count("versions") == 2  # once, and where they differ


@pytest.mark.parametrize(
    ("values", "lines"), [([500, 500, 9], [[500, 2], 9]), ([9, 500, 9], [9, 500, 9])]
)
def test_equal_numbers_are_written_once(values, lines, tmp_path):
    path = tmp_path / "x.jsonl"
    append(path, SETTINGS, made_up_run(0, evaluation=values))
    assert json.loads(path.read_text().splitlines()[1])["evaluation"] == lines
    assert load(path).runs[0]["evaluation"] == values


@pytest.mark.parametrize(
    "line",
    [[[500, 0]], [[500, 10**9]], [[500]], [[500, 2, 3]], [[500, True]], [[[9], 2]]],
)
def test_wrong_count_of_equal_numbers_is_refused(line, tmp_path):
    path = written(tmp_path / "x.jsonl", 0)
    run = json.dumps(made_up_run(1, evaluation=line)).encode()
    path.write_bytes(path.read_bytes() + run + b"\n")
    with pytest.raises(ValueError, match=r"x\.jsonl の 3 行目"):
        load(path)


def test_append_leaves_a_recorded_seed_alone(tmp_path):
    path = written(tmp_path / "x.jsonl", 3, 4)
    before = path.read_bytes()
    append(path, SETTINGS, made_up_run(3, steps=7))
    assert path.read_bytes() == before


def test_append_refuses_a_record_of_other_settings(tmp_path):
    path = written(tmp_path / "x.jsonl", 3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"x\.jsonl は違う設定の記録です。.*--out"):
        append(path, OTHER, made_up_run(4))
    assert path.read_bytes() == before


def test_append_compares_settings_as_they_are_read(tmp_path):
    path = tmp_path / "x.jsonl"
    for seed in (1, 2):
        append(path, {"kind": 1}, made_up_run(seed), dict)
    with pytest.raises(ValueError, match="違う設定"):
        append(path, {"kind": 2}, made_up_run(3), dict)
    assert [run["seed"] for run in load(path, dict).runs] == [1, 2]


def test_append_keeps_what_follows_a_damaged_line(tmp_path):
    path = written(tmp_path / "x.jsonl", 1, 2, 3)
    change_line(path, 3, b"{")
    before = path.read_bytes()
    written(path, 3, 4)
    assert path.read_bytes().startswith(before)
    assert records.recorded_seeds(path) == {1, 3, 4}


def test_append_refuses_an_unreadable_first_line(tmp_path):
    path = written(tmp_path / "x.jsonl", 1)
    change_line(path, 1, b"{")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="1 行目を読めません"):
        written(path, 2)
    assert path.read_bytes() == before


def test_seeds_of_a_missing_record_are_none(tmp_path):
    assert records.recorded_seeds(tmp_path / "x.jsonl") == set()


# Full disks


@pytest.mark.parametrize("more", [-1, 0, 10])
def test_failed_append_leaves_no_half_line(tmp_path, largest_file, more):
    path = written(tmp_path / "x.jsonl", 1, 2)
    before = path.read_bytes()
    largest_file(len(before) + more)
    with pytest.raises(OSError, match=r"x\.jsonl に書けません。それまでの結果は"):
        written(path, 3)
    largest_file(10**6)
    assert path.read_bytes() == before
    assert seeds_in(written(path, 3)) == [1, 2, 3]


def test_failed_first_append_leaves_a_record_that_goes_on(tmp_path, largest_file):
    path = tmp_path / "x.jsonl"
    largest_file(100)
    with pytest.raises(OSError, match="書けません"):
        written(path, 1)
    largest_file(10**6)
    assert path.read_bytes() == b""
    assert seeds_in(written(path, 1)) == [1]


class Slow(io.BytesIO):
    """Takes three bytes at a time, and is interrupted at the end of its patience."""

    def write(self, data):
        if len(self.getvalue()) >= 10:
            raise KeyboardInterrupt
        return super().write(data[:3])


def test_extend_writes_all_or_nothing():
    file = Slow(b"ab")
    files.extend(file, b"cdefg")
    assert file.getvalue() == b"abcdefg"
    with pytest.raises(KeyboardInterrupt):
        files.extend(file, b"0123456")
    assert file.getvalue() == b"abcdefg"


def test_sweep_on_a_full_disk_ends_with_one_sentence(
    tmp_path, largest_file, monkeypatch, capsys
):
    path = tmp_path / "original.jsonl"
    done = []

    def fill(preset, seed):
        done.append(seed)
        if seed == 2:
            largest_file(path.stat().st_size + 10)
        return made_up_run(seed)

    monkeypatch.setattr(sweeps, "run_seed", fill)
    command = ["run", "original", "--seeds", "0-4", "--out", str(tmp_path)]
    assert main(command) == 2
    largest_file(10**6)
    error = capsys.readouterr().err
    assert f"{path} に書けません" in error and error.count("\n") == 1
    assert seeds_in(path) == [0, 1] and done == [0, 1, 2]
    assert path.read_bytes().endswith(b"\n")


# Several writers


def in_threads(*functions):
    failed = []

    def call(function):
        try:
            function()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=call, args=[f]) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_threads_append_each_seed_once(tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl"
    scan = records.scan

    def slow_scan(data):  # gives others the time to write
        time.sleep(0.01)
        return scan(data)

    monkeypatch.setattr(records, "scan", slow_scan)
    in_threads(*[lambda: written(path, 1, 2, 3)] * 3)
    assert seeds_in(path) == [1, 2, 3]
    assert path.read_bytes().count(b"\n") == 4


def test_threads_of_two_sweeps_train_one_seed_at_a_time(tmp_path):
    """Their times are recorded."""
    at_work, done = [], []

    def run(setting, seed):
        at_work.append(seed)
        time.sleep(0.02)
        assert at_work == [seed]
        at_work.clear()
        done.append(seed)
        return made_up_run(seed)

    def sweep():
        assert sweeps.sweep({"x": Preset()}, range(4), tmp_path, run=run) == []

    in_threads(sweep, sweep)
    assert seeds_in(tmp_path / "x.jsonl") == [0, 1, 2, 3]
    assert 4 <= len(done) <= 8


@dataclasses.dataclass(frozen=True)
class Kind:
    """Settings of another program."""

    kind: str


def test_sweep_compares_settings_as_they_are_read(tmp_path):
    options = {
        "run": lambda setting, seed: made_up_run(seed),
        "read_settings": lambda settings: Kind(**settings),
    }
    for end in (2, 3):
        assert not sweeps.sweep({"x": Kind("a")}, range(end), tmp_path, **options)
    _, runs = records.read(tmp_path / "x.jsonl")
    assert [run["seed"] for run in runs] == [0, 1, 2]
    with pytest.raises(ValueError, match="違う設定の記録"):
        sweeps.sweep({"x": Kind("b")}, [9], tmp_path, **options)


TOGETHER = """
import sys, time
from pathlib import Path
from rlbook_helpers.experiments.__main__ import main
mine, yours, *command = sys.argv[1:]
Path(mine).touch()
while not Path(yours).exists():
    time.sleep(0.001)
sys.exit(main(command))
"""


def test_two_processes_share_one_record(tmp_path):
    command = ["run", "original", "--seeds", "0-3", "--out", str(tmp_path / "out")]
    for setting in ("episodes=2", "evaluation_episodes=1"):
        command += ["--set", setting]
    marks = [str(tmp_path / mark) for mark in "ab"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, *names, *command],
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for names in (marks, marks[::-1])
    ]
    for process in processes:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    (path,) = (tmp_path / "out").glob("*.jsonl")
    assert seeds_in(path) == [0, 1, 2, 3]
    assert path.read_bytes().count(b"\n") == 5


HOLDER = """
import sys, time
from pathlib import Path
from rlbook_helpers.experiments.files import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_lock_ends_with_its_process(tmp_path, monkeypatch):
    assert 0 < files.PATIENCE < 600  # no wait without an end
    path = written(tmp_path / "x.jsonl", 1)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline().strip() == b"locked"
        monkeypatch.setattr(files, "PATIENCE", 0.05)
        for write in (lambda: written(path, 2), lambda: repair(path)):
            with pytest.raises(OSError, match=r"x\.jsonl"):
                write()
        with pytest.raises(OSError, match=r"x\.jsonl に書けません"):
            files.probe_file(path)
        holder.kill()
    assert seeds_in(written(path, 2)) == [1, 2]
    assert names_in(tmp_path) == ["x.jsonl"]


def test_seed_recorded_meanwhile_is_not_run(tmp_path, monkeypatch):
    done = []

    def run(preset, seed):
        done.append(seed)
        if seed == 0:  # as if by another process
            written(tmp_path / "original.jsonl", 1)
        return made_up_run(seed)

    monkeypatch.setattr(sweeps, "run_seed", run)
    command = ["run", "original", "--seeds", "0-2", "--out", str(tmp_path)]
    assert main(command) == 0
    assert done == [0, 2]
    assert seeds_in(tmp_path / "original.jsonl") == [0, 1, 2]


def test_bar_counts_seeds_recorded_meanwhile(tmp_path, monkeypatch):
    class Bar(contextlib.nullcontext):
        count = 0

        def update(self):
            Bar.count += 1

        def __enter__(self):
            return self

    monkeypatch.setattr(sweeps, "progress_bar", lambda **_: Bar())

    def run(setting, seed):
        written(tmp_path / "x.jsonl", 1)
        return made_up_run(seed)

    assert not sweeps.sweep({"x": Preset()}, range(3), tmp_path, run=run)
    assert Bar.count == 3


def test_other_settings_recorded_meanwhile_end_the_sweep(tmp_path, monkeypatch, capsys):
    path = tmp_path / "original.jsonl"

    def run(preset, seed):
        written(path, 7, settings=OTHER)
        return made_up_run(seed)

    monkeypatch.setattr(sweeps, "run_seed", run)
    command = ["run", "original", "--seeds", "0-2", "--out", str(tmp_path)]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert f"{path} は違う設定の記録です" in error and error.count("\n") == 1
    assert seeds_in(path) == [7]


# Damage


NO_LINES = [b"", b"{", b"[]", b'{"seed":0}', b"3", b"\xff", b'"settings"', b"[" * 10**5]


@pytest.mark.parametrize("text", [*NO_LINES, b'{"settings":3,"versions":{}}'], ids=len)
@pytest.mark.parametrize("number", [1, 2])
def test_damaged_line_is_named_and_nothing_is_changed(text, number, tmp_path, capsys):
    path = written(tmp_path / "original.jsonl", 0, 1)
    change_line(path, number, text)
    before = path.read_bytes()
    for status, *command in (
        (2, "run", "original", "--seeds", "0-1", "--out", str(tmp_path)),
        (1, "summary", str(tmp_path)),
    ):
        assert main(command) == status
        out, error = capsys.readouterr()
        assert f"{path} の {number} 行目を読めません" in error and not out
        assert ("repair" in error) == (number == 2)
        assert ("バージョン管理" in error) == ("--out" in error) == (number == 1)
        assert "消し" not in error and error.count("\n") == 1
    with pytest.raises(ValueError, match=f"の {number} 行目"):
        records.read(path)
    assert path.read_bytes() == before


def test_setting_of_a_newer_version_is_named(tmp_path, capsys):
    path = written(tmp_path / "original.jsonl", 0)
    header = json.loads(path.read_bytes().split(b"\n")[0])
    header["settings"]["courage"] = 1
    change_line(path, 1, json.dumps(header).encode())
    for read in (load, lambda path: written(path, 1)):
        with pytest.raises(ValueError, match=r"1 行目.*'courage'.*新しい版") as caught:
            read(path)
        assert "消し" not in str(caught.value)


def test_settings_may_all_be_defaults(tmp_path):
    path = written(tmp_path / "x.jsonl", 3, settings={})
    assert load(path).preset == Preset(separate_streams=False)
    assert records.read(path) == ({}, [made_up_run(3)])


def test_summary_shows_the_other_records(tmp_path, capsys):
    written(tmp_path / "good.jsonl", 0, 1)
    bad = written(tmp_path / "bad.jsonl", 0, 1)
    change_line(bad, 3, b"{")
    (tmp_path / "folder.jsonl").mkdir()
    strange = written(tmp_path / "strange.jsonl", 0, settings={"env_id": "Nowhere-v0"})
    numeral = written(tmp_path / "numeral.jsonl", 0, settings={"env_id": 3})
    for options in ([], ["--json"]):
        assert main(["summary", str(tmp_path), *options]) == 1
        out, error = capsys.readouterr()
        assert "good" in out and "bad" not in out and "strange" not in out
        assert f"{bad} の 3 行目" in error and f'repair "{bad}"' in error
        assert "folder.jsonl を読めません" in error
        assert "strange の環境 'Nowhere-v0'" in error and "numeral の環境 3" in error
        assert error.count("\n") == 4
    for other in (strange, numeral, tmp_path / "good.jsonl"):
        other.unlink()
    with pytest.raises(ValueError, match=r"bad\.jsonl の 3 行目"):
        load_records(tmp_path)
    bad.unlink()
    with pytest.raises(OSError, match=r"folder\.jsonl を読めません"):
        load_records(tmp_path)


# Repair


@pytest.fixture
def damaged(tmp_path):
    """A record with four readable seeds, and the lines that are not."""
    path = written(tmp_path / "x.jsonl", 0, 1, 2, 3, 4, 5)
    change_line(path, 3, b"\xff\r{")
    twice = change_line(path, 4, json.dumps(made_up_run(0, steps=7)).encode())
    with path.open("ab") as file:
        file.write(twice + b"\n" + twice[:-1])
    lines = path.read_bytes().split(b"\n")
    moved = [lines[2], lines[3], twice[:-1]]
    kept = [lines[0], lines[1], *lines[4:8]]
    assert len(lines) == 9
    return path, *(b"".join(line + b"\n" for line in part) for part in (kept, moved))


def test_repair_moves_damaged_lines_aside(damaged, capsys):
    path, kept, moved = damaged
    aside = path.with_name("x.jsonl.damaged")
    assert main(["repair", str(path)]) == 0
    out, error = capsys.readouterr()
    assert path.read_bytes() == kept and aside.read_bytes() == moved
    assert {run["seed"]: run["steps"] for run in load(path).runs} == {
        seed: 1000 + seed for seed in (0, 2, 3, 4, 5)
    }
    assert out == (
        f"{path} の壊れた 3 行を {aside} に移しました。"
        "5 個のシードの結果が残っています。\n"
    )
    assert not error
    assert names_in(path.parent) == ["x.jsonl", "x.jsonl.damaged"]


def test_repair_adds_to_what_it_moved_before(damaged):
    path, _, moved = damaged
    repair(path)
    second = change_line(path, 2, b"oh")
    assert "1 行" in repair(path)
    aside = path.with_name("x.jsonl.damaged")
    assert aside.read_bytes() == moved + b"oh\n"
    with path.open("ab") as file:
        file.write(second + b"\n")
    assert seeds_in(path) == [0, 2, 3, 4, 5]


@pytest.mark.parametrize("text", [None, b"", b'{"settings"'])
def test_repair_leaves_a_good_record_byte_for_byte(tmp_path, capsys, text):
    """Also an empty one, and one whose first line was never finished."""
    path = written(tmp_path / "x.jsonl", 0, 1)
    if text is not None:
        path.write_bytes(text)
    before, stat = path.read_bytes(), path.stat()
    assert main(["repair", str(path)]) == 0
    assert f"{path} に壊れた行はありません" in capsys.readouterr().out
    assert path.read_bytes() == before
    now = path.stat()
    assert (now.st_mtime_ns, now.st_ino) == (stat.st_mtime_ns, stat.st_ino)
    assert names_in(tmp_path) == ["x.jsonl"]


def test_repair_ends_a_whole_last_line(tmp_path):
    path = written(tmp_path / "x.jsonl", 0, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "改行" in repair(path)
    assert path.read_bytes() == whole
    assert not path.with_name("x.jsonl.damaged").exists()


def test_repair_keeps_the_permissions(damaged):
    path, *_ = damaged
    path.chmod(0o640)
    mode = path.stat().st_mode
    repair(path)
    assert path.stat().st_mode == mode


@pytest.mark.parametrize("change", [{}, {"settings": OTHER}, {"versions": {}}])
def test_repair_does_not_mix_two_records(tmp_path, change):
    path = written(tmp_path / "x.jsonl", 0, 1)
    other = written(tmp_path / "y.jsonl", 1, 2)
    header = json.loads(other.read_bytes().split(b"\n")[0]) | {"date": "2026-01-01"}
    change_line(other, 1, json.dumps(header | change).encode())
    both = path.read_bytes() + other.read_bytes()
    path.write_bytes(both)
    again = both.split(b"\n")[0]
    path.write_bytes(both + again + b"\n" + json.dumps(made_up_run(9)).encode() + b"\n")
    with pytest.raises(ValueError, match=r"4 行目.*設定の行が二度"):
        load(path)
    repair(path)
    assert seeds_in(path) == ([0, 1, 9] if change else [0, 1, 2, 9])
    moved = path.with_name("x.jsonl.damaged").read_bytes()
    assert moved.count(b"\n") == (4 if change else 3)


def test_repair_does_not_guess_settings(damaged, tmp_path, capsys):
    path, kept, _ = damaged
    lost = written(tmp_path / "lost.jsonl", 0, 1)
    change_line(lost, 1, b"{")
    change_line(lost, 3, b"{")
    before = lost.read_bytes()
    assert main(["repair", str(lost), str(path)]) == 1
    out, error = capsys.readouterr()
    assert f"{lost} の 1 行目を読めません" in error and error.count("\n") == 1
    assert "バージョン管理" in error and "--out" in error
    assert lost.read_bytes() == before
    assert path.read_bytes() == kept and "移しました" in out
    assert not (tmp_path / "lost.jsonl.damaged").exists()


@pytest.mark.parametrize("size", [100, 1_500])
def test_failed_repair_changes_nothing(tmp_path, largest_file, size, capsys):
    """Neither if the record, nor if what is moved finds no place."""
    path = written(tmp_path / "x.jsonl", 0, 1, 2)
    change_line(path, 3, b"-" * 2_000)
    assert len(path.read_bytes()) - 2_001 < 1_500
    before = path.read_bytes()
    largest_file(size)
    assert main(["repair", str(path)]) == 1
    largest_file(10**6)
    error = capsys.readouterr().err
    assert f"{path} を直せません" in error and error.count("\n") == 1
    assert path.read_bytes() == before
    assert not (tmp_path / "x.jsonl.tmp").exists()
    repair(path)
    assert seeds_in(path) == [0, 2]
    aside = tmp_path / "x.jsonl.damaged"
    assert aside.read_bytes() == b"-" * 2_000 + b"\n"


def test_repair_names_a_missing_file(tmp_path, capsys):
    assert main(["repair", str(tmp_path / "x.jsonl"), str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "x.jsonl を直せません" in error and error.count("\n") == 2
    assert not list(tmp_path.iterdir())
