"""A reader's own certificate: what is run, what is refused, what the page says."""

import hashlib
import html
import json
import re
import sys

import gymnasium as gym
import numpy as np
import pytest
import scipy

from rlbook_helpers import DQNAgent, evaluate, train
from rlbook_helpers.experiments import certificate
from rlbook_helpers.experiments.__main__ import main
from rlbook_helpers.experiments.certificate import Setting, run
from rlbook_helpers.experiments.certificate_page import Results, _ranges, render

# An episode is one step and pays the number of the action. The greedy policy follows a plan: after k
# updates it chooses the k-th number, so that every point of a curve is known.
CHOICE = """
import gymnasium as gym
import numpy as np
from rlbook_helpers.clinic import Program

class Choice(gym.Env):
    action_space = gym.spaces.Discrete(501)
    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), float(action), True, False, {}

if "Choice-v0" not in gym.registry:
    gym.register("Choice-v0", Choice, reward_threshold=475)

PLAN = [0, 10, 480, 20, 475]

class Agent:
    def __init__(self, seed):
        self.updates = 0

    def get_action(self, state):
        return 0

    def greedy_action(self, state):
        return PLAN[self.updates]

    def update(self, state, action, reward, next_state, done):
        self.updates += 1

program = Program(Agent, sync_interval=None)
"""
VERSIONS = {"numpy": "1", "processor": "p<1>"}


def write(folder, text, name="mine.py"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def command(path, *more, seeds="3-4", steps=4, env="Choice-v0"):
    out = ["--out", str(path.parent / "out")]
    options = ["--seeds", seeds, "--steps", str(steps), "--env", env, *out]
    return main(["certificate", str(path), *options, *more])


def page_of(path):
    return (path.parent / "out" / f"{path.stem}.html").read_text(encoding="utf-8")


def lines_of(path):
    record = (path.parent / "out" / f"{path.stem}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in record.splitlines()]


# Runs

OWN_LOOP = """
def train_agent(env, agent):
    while True:
        try:
            state, _ = env.reset(seed=0)  # the first episode has another
            ended = False
            while not ended:
                action = agent.get_action(state)
                next_state, reward, terminated, truncated, _ = env.step(action)
                agent.update(state, action, reward, next_state, terminated)
                state, ended = next_state, terminated or truncated
        except Exception:
            raise RuntimeError("an end is no error")
"""


@pytest.mark.parametrize("own", [False, True])
def test_run_is_the_training_of_the_book_with_four_seeds(own, tmp_path):
    """One seed makes those of environment and agent; evaluation has others, far away."""
    text = "from rlbook_helpers import DQNAgent\nmake_agent = DQNAgent\n"
    loop = OWN_LOOP.replace("seed=0", "seed=None")
    path = write(tmp_path, text + (loop if own else ""))
    steps, sha256 = 240, hashlib.sha256(path.read_bytes()).hexdigest()
    found = run(Setting("mine.py", sha256, "CartPole-v1", steps), 3, path=path)

    env_seed, agent_seed = np.random.SeedSequence(3).generate_state(2).tolist()
    agent, test_env = DQNAgent(seed=agent_seed), gym.make("CartPole-v1")
    points = []

    def measure(step, ended):
        if step % 9 == 0 or step == 240:  # 240 // 25, and at the end
            totals = evaluate(
                test_env, agent.greedy_action, episodes=20, seed=2_000_003
            )
            points.append([step, round(float(totals.mean()), 2)])

    env = gym.make("CartPole-v1")
    sync = None if own else 20
    options = {"seed": env_seed, "sync_interval": sync, "on_step": measure}
    train(env, agent, steps=steps, **options)
    last = evaluate(test_env, agent.greedy_action, episodes=100, seed=1_000_003)
    assert found["checkpoints"] == points and len(points) == 27
    assert found["evaluation"] == last.tolist()
    assert (found["seed"], found["steps"]) == (3, steps)
    assert {"python", "rlbook-helpers", "gymnasium", "processor"} < {*found["versions"]}


def test_agent_has_the_sizes_of_the_environment(tmp_path):
    path = write(tmp_path, "from rlbook_helpers import DQNAgent as make_agent\n")
    loaded = certificate.load(path, "Acrobot-v1")
    agent = certificate.new_agent(loaded.program, 0)
    assert (agent.action_size, agent.state_size) == (3, 6)


SYNCED = """
class Synced(Agent):
    greedy_action = Agent.get_action

    def sync_qnet(self):
        with open(__file__ + ".log", "a") as log:
            print(self.updates, file=log)

make_agent, program = Synced, None
"""


def test_target_network_is_synchronised_as_in_chapter_4(tmp_path):
    path = write(tmp_path, CHOICE + SYNCED)
    assert command(path, seeds="3", steps=45) == 0
    assert (tmp_path / "mine.py.log").read_text().split() == ["1", "21", "41"]


def test_own_loop_has_all_steps_and_no_more(tmp_path):
    """It sees the end as no error, and synchronises by itself."""
    plan = CHOICE.replace("480, 20, 475", "480, 20, 475, 1")
    own = "\nmake_agent, program = Agent, None\n" + OWN_LOOP
    path = write(tmp_path, plan + own)
    assert command(path) == 0
    for line in lines_of(path)[1:]:
        assert line["steps"] == 4
        assert line["checkpoints"] == [[1, 10], [2, 480], [3, 20], [4, 475]]
        assert line["evaluation"] == [[475, 100]]
    assert "mine.py の train_agent" in page_of(path)


def test_own_loop_may_end_early_and_must_begin(tmp_path, capsys):
    once = "\ndef train_agent(env, agent):\n"
    path = write(tmp_path, CHOICE + once + "    env.reset(); env.step(0)\n")
    assert command(path, steps=60) == 0
    assert [line["steps"] for line in lines_of(path)[1:]] == [1, 1]
    assert lines_of(path)[1]["checkpoints"] == [[1, 0]]
    assert "2 個は、早く終わり、最短で 1" in page_of(path)
    path = write(tmp_path, CHOICE + once + "    pass\n", "idle.py")
    assert command(path) == 1
    assert capsys.readouterr().err.count("一度も動かしません") == 2


def test_first_reset_has_the_seed_of_the_run_whatever_the_loop_says():
    seen = []

    class Seen(gym.Wrapper):
        def reset(self, **options):
            seen.append(options["seed"])
            return self.env.reset(**options)

    env = certificate.Watched(Seen(gym.make("CartPole-v1")), 5, 9, np.zeros(1))
    for seed in (0, 0, None):
        env.reset(seed=seed)
    assert seen == [5, 0, None]


def test_time_of_measuring_is_not_counted(tmp_path, monkeypatch):
    clock = [0.0]

    def slow(*args, **options):
        clock[0] += 100
        return evaluate(*args, **options)

    monkeypatch.setattr(certificate, "evaluate", slow)
    monkeypatch.setattr(certificate.time, "perf_counter", lambda: clock[0])
    assert command(write(tmp_path, CHOICE)) == 0
    lines = lines_of(tmp_path / "mine.py")[1:]
    assert [line["seconds"] for line in lines] == [0, 0]
    assert clock[0] == 2 * 5 * 100


def test_workers_give_the_same_results(tmp_path):
    pytest.importorskip("distributed")
    path = write(tmp_path, "from rlbook_helpers import DQNAgent as make_agent\n")
    results = []
    for jobs in "12":
        out = ["--out", str(path.parent / jobs)]
        assert command(path, *out, "--jobs", jobs, steps=50, env="CartPole-v1") == 0
        lines = (tmp_path / jobs / "mine.jsonl").read_text().splitlines()[1:]
        runs = [{**json.loads(line), "seconds": None} for line in lines]
        results.append(sorted(runs, key=lambda run: run["seed"]))
    assert results[0] == results[1] and len(results[0]) == 2


# From the command to the page


def test_certificate_names_the_file_that_was_run(tmp_path, capsys):
    write(tmp_path, CHOICE.replace("475]", "0]"), "other.py")
    path = write(tmp_path, CHOICE)
    assert command(path) == 0
    assert "2 個のうち 2 個のシードで解けました" in capsys.readouterr().out
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    settings = {"file": "mine.py", "sha256": sha256, "env_id": "Choice-v0", "steps": 4}
    assert lines_of(path)[0]["settings"] == settings
    text = page_of(path)
    assert sha256 in text and "mine.py" in text and "Choice-v0" in text
    assert "certificate mine.py --seeds 3-4 --env Choice-v0 --steps 4" in text
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *("mine.jsonl", "mine.html", ".lock")
    }


def test_interrupted_run_goes_on_and_leaves_no_page(tmp_path, monkeypatch, capsys):
    path, done = write(tmp_path, CHOICE), []

    def interrupted(setting, seed, *, path):
        if seed == 5 and len(done) == 2:
            raise KeyboardInterrupt
        done.append(seed)
        return run(setting, seed, path=path)

    monkeypatch.setattr(certificate, "run", interrupted)
    assert command(path, seeds="3-6") == 130
    assert "同じコマンドで続けられます" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*.html*"))
    done.append("again")
    assert command(path, seeds="3-6") == 0
    assert done == [3, 4, "again", 5, 6]
    assert "<strong>4 / 4</strong>" in page_of(path)


def test_page_has_every_seed_that_was_recorded(tmp_path):
    """Who is not pleased with the first ones cannot leave them out."""
    path = write(tmp_path, CHOICE)
    assert command(path, seeds="3-4") == 0
    assert command(path, seeds="9") == 0
    assert "<strong>3 / 3</strong>" in page_of(path)
    assert "3-4,9 (3 個)" in page_of(path)


def test_changed_file_is_not_mixed_with_its_record(tmp_path, capsys):
    path = write(tmp_path, CHOICE)
    assert command(path) == 0
    before = lines_of(path), page_of(path)
    write(tmp_path, CHOICE + "\n")
    assert command(path, seeds="3-9") == 2
    error = capsys.readouterr().err
    assert "変える前の記録" in error and "新しいシード" in error
    assert (lines_of(path), page_of(path)) == before
    path = write(tmp_path, CHOICE)
    assert command(path, steps=5) == 2
    assert "違う設定の記録" in capsys.readouterr().err


def test_file_that_changes_meanwhile_fails(tmp_path):
    path = write(tmp_path, CHOICE)
    changes = "import pathlib\npathlib.Path(__file__).open('a').write('#')\n"
    path.write_text(CHOICE + changes)
    assert command(path) == 1
    assert page_of(path).count("走らせているあいだに mine.py が変わりました") == 2


FRAGILE = """
class Fragile(Agent):
    def __init__(self, seed):
        super().__init__(seed)
        self.ill = seed == {ill}

    def update(self, *transition):
        super().update(*transition)
        if self.ill and self.updates == 3:
            raise KeyError("<b>")

program = Program(Fragile, sync_interval=None)
"""


def test_seed_that_raises_is_listed_and_counted_and_run_again(tmp_path, capsys):
    ill = np.random.SeedSequence(4).generate_state(2)[1]
    path = write(tmp_path, CHOICE + FRAGILE.format(ill=ill))
    assert command(path, seeds="3-5") == 1
    lines = path.read_text().splitlines()
    line = lines.index('            raise KeyError("<b>")') + 1
    message = f"mine.py の {line} 行目: KeyError: '<b>' (3 ステップ目)"
    assert f"mine シード 4: RuntimeError: {message}" in capsys.readouterr().err
    text = page_of(path)
    assert "<strong>2 / 3</strong>" in text and html.escape(message) in text
    assert "<b>'" not in text
    assert [line["seed"] for line in lines_of(path)[1:]] == [3, 5]
    assert command(path, seeds="3-5") == 1


def test_page_is_written_if_every_seed_fails(tmp_path):
    text = CHOICE.replace("return 0\n", "return 501\n")
    path = write(tmp_path, text)
    assert command(path) == 1
    assert "<strong>0 / 2</strong>" in page_of(path)
    assert page_of(path).count("行動は Discrete(501) のものにしてください: 501") == 2


AGENT = "from rlbook_helpers import DQNAgent\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "mine.py を読めません"),
        ("x = 1", "make_agent program = Program(...)"),
        ("program = 1", "make_agent program = Program(...)"),
        ("make_agent = 1", "エージェントそのものではなく"),
        ("def make_agent(): pass", "make_agent seed"),
        ("make_agent = lambda seed: object()", "get_action update adapt"),
        (AGENT + "\nx = 1 / 0\nmake_agent = DQNAgent", "3 行目 ZeroDivisionError"),
        ("import sys\nsys.exit('bye')", "2 行目 SystemExit bye"),
        ("def make_agent(seed) pass", "line 1"),
        (
            AGENT + "make_agent = lambda seed: DQNAgent(action_size=3, seed=seed)",
            "agent.action_size は 2 Discrete(2)",
        ),
        (
            AGENT + "class A:\n  get_action = update = sync_qnet = print\n"
            "make_agent = lambda seed: A()",
            "greedy_action policy=lambda",
        ),
        (
            AGENT + "class A:\n  get_action = update = sync_qnet = print\n"
            "  greedy_action = lambda self, state: 2\nmake_agent = lambda seed: A()",
            "行動は Discrete(2) のものに",
        ),
        (
            AGENT + "class A:\n  get_action = update = print\n"
            "make_agent = lambda seed: A()",
            "sync_qnet sync_interval=None",
        ),
    ],
)
def test_unusable_file_is_refused_in_one_line(text, words, tmp_path, capsys):
    path = tmp_path / "mine.py"
    if text is not None:
        write(tmp_path, text)
    assert command(path, env="CartPole-v1") == 2
    error = capsys.readouterr().err
    assert "mine.py で CartPole-v1 の証明書を作れません" in error
    assert all(word in error for word in words.split(" ")), error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mine.ipynb", {}, "%%writefile my_dqn.py"),
        ("mine.py", {"env": "CartPole-v9"}, "CartPole-v9"),
        ("mine.py", {"env": "Nowhere-v0"}, "Nowhere-v0"),
        ("mine.py", {"env": "MountainCarContinuous-v0"}, "action_space Discrete"),
        ("mine.py", {"env": "Pendulum-v1"}, "reward_threshold"),
        ("mine.py", {"steps": 0}, "--steps 1"),
        ("mine.py", {"steps": "x"}, "--steps x"),
        ("mine.py", {"seeds": "5-3"}, "シード 5-3"),
    ],
)
def test_unusable_option_is_refused(name, options, words, tmp_path, capsys):
    path = write(tmp_path, AGENT + "make_agent = DQNAgent", name)
    assert command(path, **{"env": "CartPole-v1", **options}) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words.split()), error
    assert not (tmp_path / "out").exists()


def test_neighbour_can_be_imported_and_dataclasses_work(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    write(tmp_path, "SIZE = 2\n", "neighbour_of_mine.py")
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    text += "from rlbook_helpers import DQNAgent\nfrom neighbour_of_mine import SIZE\n"
    text += "@dataclass\nclass Options:\n    lr: float = 0.001\n"
    text += "def make_agent(seed):\n"
    text += "    return DQNAgent(lr=Options().lr, action_size=SIZE, seed=seed)\n"
    loaded = certificate.load(write(tmp_path, text), "CartPole-v1")
    assert certificate.new_agent(loaded.program, 0).lr == 0.001


# The page

SETTING = Setting("<mine>.py", "ab" * 32, "CartPole-v1", 4)


def made_up(seed, score, checkpoints=(), **more):
    points = [[k + 1, value] for k, value in enumerate(checkpoints or [score])]
    evaluation = [score - 1, score + 1]
    common = {"versions": VERSIONS, "date": "2026-12-01", "steps": 4, "seconds": 3.0}
    return {
        "seed": seed,
        "evaluation": evaluation,
        "checkpoints": points,
        **common,
        **more,
    }


def shown(runs, failed=None, threshold=475.0, own_loop=False):
    results = Results(runs, failed or {}, threshold)
    return render(SETTING, results, own_loop=own_loop)


def fact(text, name):
    return re.search(f"<dt>{name}</dt><dd>(.*?)</dd>", text)[1]


@pytest.mark.parametrize("solved", [0, 13, 20])
def test_page_counts_and_has_the_exact_interval(solved):
    runs = [made_up(k, 475 if k < solved else 474.99) for k in range(18 + solved // 20)]
    failed = {k: "oh" for k in range(len(runs), 20)}
    solved = min(solved, len(runs))
    text = shown(runs, failed)
    assert f"<strong>{solved} / 20</strong>" in text
    beta = scipy.stats.beta.ppf
    low = beta(0.025, solved, 21 - solved) if solved else 0
    high = beta(0.975, solved + 1, 20 - solved) if solved < 20 else 1
    assert f"{100 * low:.0f} % から {100 * high:.0f} %" in text
    assert "20 個すべてで解けても、区間の下限は 83 %" in text
    assert text.count("✓") == solved and text.count("✗") == 20 - solved
    assert text.count('<polyline class="solved"') == solved


def test_page_has_the_interquartile_mean_of_those_that_ended():
    """It is neither mean nor median."""
    scores = [0, 100, 200, 500, 500, 500, 500, 500]
    text = shown([made_up(k, score) for k, score in enumerate(scores)], {9: "oh"})
    assert fact(text, "四分位平均").startswith("425.0 (95 % 区間 ")
    assert "失敗したシードは除く" in fact(text, "四分位平均")
    low, high = map(float, re.findall(r"[\d.]+ から [\d.]+", text)[0].split(" から "))
    assert 100 <= low < 425 < high <= 500


def test_page_tells_what_happened_after_the_first_reach():
    runs = [
        made_up(1, 500, [10, 475, 475, 500]),  # stays
        made_up(2, 500, [480, 474.5, 100, 500]),  # falls and comes back
        made_up(3, 300, [10, 480, 300, 200]),  # falls
        made_up(4, 100, [1, 2, 3, 474]),  # never reaches
        made_up(5, 500, [1, 2, 3, 480]),  # at the end, nothing follows
        made_up(6, 500, [480, 10, 500, 500]),
    ]
    text = shown(runs)
    assert "5 個のシードが一度は届き、そのうち 3 個は" in text
    assert "解けなかったのは 1 個です" in text
    assert "中央値で 100.0、最低で 10.0" in text
    rows = re.findall(r'scope="row">(\d)<.*?</svg></td><td>(.*?)</td><td>(.*?)<', text)
    assert rows == [
        ("1", "2", "475.00"),
        ("2", "1", "100.00"),
        ("3", "2", "200.00"),
        ("4", "なし", "なし"),
        ("5", "4", "なし"),
        ("6", "1", "10.00"),
    ]
    assert "下回ったシード" not in shown(runs[:1])


def test_curves_pass_through_the_measured_points():
    text = shown([made_up(7, 500, [0, 250, 500, 500])])
    points = re.search(r'points="(.*?)"><title>シード 7<', text)[1]
    x, y = np.array([p.split(",") for p in points.split()], float).T
    assert np.allclose(np.diff(x), x[1] - x[0], atol=0.11) and x[-1] == 720 - 44
    assert y[2] == y[3] == 12 and y[0] == 320 - 38 and abs(y[1] - 147) < 0.11
    (level,) = re.findall(r'class="threshold" x1="68.0".*? y1="(.*?)"', text)
    assert float(level) == round(282 - 475 / 500 * 270, 1)


def test_page_says_how_and_when_and_escapes():
    other = {**VERSIONS, "numpy": "2"}
    runs = [
        made_up(3, 500, seconds=10.0),
        made_up(10, 500, seconds=20.0, date="2026-12-03", versions=other),
        made_up(4, 500, seconds=90.0, steps=2),
    ]
    text = shown(runs, own_loop=True)
    assert fact(text, "シード") == "3-4,10 (3 個)"
    assert fact(text, "日付") == "2026-12-01、2026-12-03"
    assert "中央値 20 秒、合計 120 秒" in text
    assert "numpy 1, processor p&lt;1&gt; / numpy 2" in fact(text, "計算機")
    assert fact(text, "ループ") == "&lt;mine&gt;.py の train_agent"
    assert "1 個は、早く終わり、最短で 2" in fact(text, "学習")
    assert "<mine>" not in text and "p<1>" not in text
    rows = re.findall(r'scope="row">(\d+)<', text)
    assert rows == ["3", "4", "10"]
    assert "早く" not in shown(runs[:1]) and "四分位平均" not in shown(runs[:1])


def test_page_of_negative_scores_and_alone():
    """It needs nothing from elsewhere."""
    text = shown([made_up(0, -90), made_up(1, -500)], threshold=-100.0)
    assert "<strong>1 / 2</strong>" in text and "が、-100 以上になること" in text
    assert not re.search(r"https?:|<script|<link|src=|url\(", text)
    assert "$" not in text


def test_ranges_are_what_the_command_reads():
    assert _ranges([7, 0, 1, 2, 9]) == "0-2,7,9"
    assert _ranges([5, 6]) == "5-6"
