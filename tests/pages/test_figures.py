"""The live figures: they compute what Python computes, and every reader can use them."""

import contextlib
import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from built import HTML, PAGES, ROOT, settle, widths
from rlbook_helpers.experiments import policies

pytest.importorskip(
    "bs4", reason="the pages are checked with requirements.txt installed"
)
axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

import gymnasium as gym
from dezerogym.gridworld import GridWorld

from conftest import watched_tab
from figures import weights as figure_weights  # tools/figures

pytestmark = pytest.mark.book

SCRIPTS = ROOT / "book" / "static" / "figures"
FIGURE = "figure[class*='live-']"
LIMITS = np.array([2.4, 3, 0.21, 3])  # of a state; the velocities have none
each_policy = pytest.mark.parametrize("name", figure_weights.RECORDS)


def policy_of(name: str) -> policies.Policy:
    return policies.load(figure_weights.POLICIES / figure_weights.RECORDS[name])


@pytest.fixture(scope="module")
def pages_with_figures(soups):
    pages = [page for page in PAGES if soups[f"{page}.html"].select(FIGURE)]
    assert len(pages) >= 4
    return pages


@pytest.fixture(scope="module")
def visit(browser, server):
    """Opens a page as it is for this kind of reader."""
    with contextlib.ExitStack() as stack:

        def open_page(page, **reader):
            reader = {"viewport": {"width": 1280, "height": 900}, **reader}
            tab = stack.enter_context(watched_tab(browser, **reader))
            tab.asked = []
            tab.on("request", lambda request: tab.asked.append(request.url))
            tab.goto(f"{server}/{page}.html")
            return tab

        yield open_page


@pytest.fixture(scope="module")
def tabs(visit, pages_with_figures):
    """Every page with figures, opened once, where nothing moves before it is told to."""
    return {page: visit(page, reduced_motion="reduce") for page in pages_with_figures}


@pytest.fixture(scope="module")
def pole(tabs):
    """The first page, whose pole is driven by a policy."""
    return tabs["book/index"]


@pytest.fixture(scope="module")
def table(tabs):
    return tabs["chapters/02_before_dqn"]


def ask(tab, name: str, expression: str, *arguments):
    """The value of an expression about a figure."""
    element = f"document.querySelector('figure.live-{name}')"
    return tab.evaluate(
        f"(given) => {{ const figure = {element}.live; return {expression}; }}",
        *arguments,
    )


def wait_for(tab, name: str, expression: str):
    element = f"document.querySelector('figure.live-{name}')"
    tab.wait_for_function(
        f"() => {{ const figure = {element}.live; return {expression}; }}",
        timeout=10_000,
    )


# They compute what Python computes


def test_the_pole_moves_as_in_gymnasium(pole):
    rng = np.random.default_rng(0)
    states = rng.uniform(-1.01, 1.01, (1_000, 4)) * LIMITS
    actions = rng.integers(2, size=1_000)
    env = gym.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    expected, terminated = [], []
    for state, action in zip(states, actions):
        env.state, env.steps_beyond_terminated = tuple(state), None
        next_state, _, ended, _, _ = env.step(int(action))
        expected.append(next_state)
        terminated.append(ended)
    found = pole.evaluate(
        """([states, actions]) => states.map((state, k) => {
            const next = cartpole.step(state, actions[k]);
            return [next, cartpole.terminated(next)];
        })""",
        [states.tolist(), actions.tolist()],
    )
    np.testing.assert_array_equal(np.float32([s for s, _ in found]), expected)
    assert [ended for _, ended in found] == terminated
    assert 50 < sum(terminated) < 950
    assert (
        pole.evaluate("cartpole.maxSteps") == gym.spec("CartPole-v1").max_episode_steps
    )


@each_policy
def test_the_networks_give_the_values_of_the_recorded_policies(tabs, name):
    rng = np.random.default_rng(1)
    states = (rng.uniform(-1, 1, (1_000, 4)) * LIMITS).astype(np.float32)
    expected = policy_of(name).action_values(states)
    found = tabs["chapters/05_stable"].evaluate(
        """async ([name, states]) => {
            const policy = new Policy(await live.load(name));
            return states.map((state) => policy.actionValues(state));
        }""",
        [name, states.tolist()],
    )
    size = np.abs(expected).max()
    assert size > 10
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * size)


@each_policy
def test_the_weights_come_from_the_record(name):
    written = (SCRIPTS / "data" / f"{name}.js").read_text(encoding="utf-8")
    assert written == figure_weights.script(name, policy_of(name)), (
        "python tools/figures/weights.py"
    )


@pytest.fixture(scope="module")
def chapter():
    """What chapter 2 defines to calculate the exact values and to learn a table."""
    text = (ROOT / "chapters/02_before_dqn.md").read_text(encoding="utf-8")
    cells = re.findall(r"^```\{code-cell\}.*?\n(.*?)^```", text, re.S | re.M)
    names = {"np": np, "env": GridWorld(), "gamma": 0.9}
    for start in ("squares = [", "def epsilon_greedy("):
        (cell,) = (cell for cell in cells if cell.startswith(start))
        exec(cell, names)  # noqa: S102
    return names


def test_the_table_learns_as_the_one_of_the_chapter(table, chapter):
    class Recorded(GridWorld):
        def step(self, action):
            y, x = self.agent_state
            (next_y, next_x), reward, done = super().step(action)
            transitions.append(
                [4 * y + x, int(action), float(reward), 4 * next_y + next_x, done]
            )
            return (next_y, next_x), reward, done

    transitions = []
    chapter["env"] = Recorded()
    Q, _, errors = chapter["q_learning"](epsilon=0.5, episodes=40, alpha=0.3)
    found, error, moves = table.evaluate(
        """(transitions) => {
            const Q = zeros();
            const moves = transitions.map(([s, a]) => gridworld.step(s, a));
            moves.forEach((move) => qUpdate(Q, move, 0.9, 0.3));
            const order = ["state", "action", "reward", "next", "done"];
            return [Q, greatestDifference(Q, exactValues(0.9)),
                    moves.map((move) => order.map((name) => move[name]))];
        }""",
        transitions,
    )
    assert moves == transitions
    assert len({tuple(move) for move in moves}) > 30
    np.testing.assert_allclose(np.reshape(found, (3, 4, 4)), Q, atol=1e-12)
    assert error == pytest.approx(errors[-1], abs=1e-12)
    exact = table.evaluate("exactValues(0.9)")
    np.testing.assert_allclose(
        np.reshape(exact, (3, 4, 4)), chapter["Q_star"], atol=1e-12
    )


def test_the_agent_of_the_table_explores_as_often_as_it_should(table):
    best, ties = table.evaluate(
        """() => {
            const share = (values) => Array.from({ length: 20000 },
                () => epsilonGreedy(values, 0.4)).filter((a) => a === 2).length / 20000;
            return [share([0, 0, 1, 0]), share([1, 0, 1, 0])];
        }"""
    )
    assert best == pytest.approx(0.7, abs=0.02)  # six standard deviations
    assert ties == pytest.approx(0.1, abs=0.02)


def test_what_is_written_out_is_the_update(table):
    ask(table, "q-learning", "figure.restart()")
    ask(table, "q-learning", "(figure.epsilon = 1, figure.many(5), figure.once())")
    u = ask(table, "q-learning", "figure.last")
    texts = table.locator(".live-formulas dd").all_inner_texts()
    transition, target, update = (
        [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]
        for text in texts
    )
    assert transition[:2] == [u["state"] // 4, u["state"] % 4]
    assert transition[2:5] == [u["reward"], u["next"] // 4, u["next"] % 4]
    assert target[-1] == pytest.approx(u["target"], abs=6e-4)
    assert update[0] == pytest.approx(u["before"], abs=6e-4)
    assert update[-1] == pytest.approx(u["after"], abs=6e-4)


# What stands below them is true


def test_what_stands_below_the_table_is_true(table):
    one, bombs = table.evaluate(
        """() => {
            const figure = document.querySelector("figure.live-q-learning").live;
            figure.epsilon = 0.8;
            const moved = [];
            for (let k = 0; k < 100; k++) {
                figure.restart();
                let bombed = false;
                for (let on = true; on;) {
                    on = figure.step();
                    bombed ||= figure.last.next === gridworld.bomb;
                }
                moved.push([bombed, figure.Q.flat().filter((q) => q !== 0).length]);
            }
            return [moved.filter(([bombed]) => !bombed), moved.filter(([bombed]) => bombed)];
        }"""
    )
    assert {count for _, count in one} == {1}
    assert bombs and min(count for _, count in bombs) > 1

    def error(epsilon, alpha, episodes):
        return table.evaluate(
            """([epsilon, alpha, episodes]) => {
                const figure = document.querySelector("figure.live-q-learning").live;
                figure.restart();
                Object.assign(figure, { epsilon, alpha });
                figure.many(episodes);
                return figure.error;
            }""",
            [epsilon, alpha, episodes],
        )

    assert error(1, 0.1, 500) < 0.05
    assert error(0.1, 0.1, 100) > 0.1
    assert error(1, 1, 100) < 1e-9
    error(0, 0.1, 1)
    assert "打ち切りました" in ask(table, "q-learning", "figure.ended")


class Episode:
    """A pole and the policy that drives it."""

    def __init__(self, policy, seed):
        self.env, self.policy = gym.make("CartPole-v1"), policy
        self.state, _ = self.env.reset(seed=seed)
        self.fallen, self.actions = False, []

    def run(self, steps: int) -> bool:
        """Whether it stands so long."""
        for _ in range(steps):
            if not self.fallen:
                self.actions.append(self.policy(self.state))
                self.state, _, self.fallen, _, _ = self.env.step(self.actions[-1])
        return not self.fallen

    def knock(self, size: float) -> None:
        pole = self.env.unwrapped
        pole.state = pole.state + np.array([0, 0, 0, size])
        self.state = pole.state.astype(np.float32)


def test_what_stands_below_the_poles_is_true():
    for action in (0, 1):
        for seed in range(20):
            episode = Episode(lambda state, action=action: action, seed)
            assert not episode.run(500)
            assert np.sign(episode.state[2]) == (-1 if action else 1), "the other way"
    stable, chapter4 = policy_of("stable"), policy_of("chapter4")
    for seed in range(20):
        assert not Episode(chapter4, seed).run(500), "falls without a knock"
        for side in (-1, 1):
            episode = Episode(stable, seed)
            assert episode.run(100)
            x = episode.state[0]
            episode.knock(side * 1.0)
            assert episode.run(20)
            assert side * (episode.state[0] - x) > 0, "the cart runs to the same side"
            assert episode.run(100), "recovers"


# They weigh little


def compressed(*paths: Path) -> int:
    return sum(len(gzip.compress(path.read_bytes(), 6)) for path in paths)


def test_the_scripts_are_small():
    assert compressed(*SCRIPTS.glob("*.js")) <= 40_000


def test_no_script_declares_the_name_of_another():
    """They share one scope; a page whose scripts clash would show none of them."""
    declaration = re.compile(r"^(?:const|let|class|(?:async )?function) (\w+)", re.M)
    names = [
        name
        for path in SCRIPTS.glob("*.js")
        for name in declaration.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(names) > 10
    assert sorted(names) == sorted(set(names))


def test_pages_load_the_scripts_of_their_own_figures_only(soups, pages_with_figures):
    for page in PAGES:
        soup = soups[f"{page}.html"]
        figures = " ".join(str(f["class"]) for f in soup.select(FIGURE))
        names = dict.fromkeys(re.findall(r"'live-([\w-]+)'", figures))
        scripts = [
            Path(tag["src"]).name.split(".")[0]
            for tag in soup.select("script[src*='figures/']")
        ]
        assert scripts == (["live", *names] if page in pages_with_figures else [])


def test_a_page_loads_little_data_and_only_for_its_figures(tabs, server):
    data = {}
    for page, tab in tabs.items():
        for figure in tab.locator(FIGURE).all():
            figure.scroll_into_view_if_needed()
            tab.wait_for_function("e => e.live.begun", arg=figure.element_handle())
        for choice in tab.locator(".live-choice input").all():
            choice.evaluate("e => e.click()")
        settle(tab)
        files = [
            HTML / url.removeprefix(f"{server}/")
            for url in dict.fromkeys(tab.asked)
            if "/figures/data/" in url
        ]
        assert sum(path.stat().st_size for path in files) <= 150_000, page
        data[page] = {path.stem for path in files}
        assert all(url.startswith((server, "data:", "blob:")) for url in tab.asked)
    assert data["book/index"] == {"stable"}
    assert data["chapters/03_cartpole_replay"].isdisjoint(figure_weights.RECORDS)
    assert data["chapters/05_stable"] >= {"chapter4", "stable"}


# Where nothing can move, the printed figure stands


def test_without_scripts_and_on_paper_the_printed_figure_stands(visit, pole):
    plain = visit("book/index", java_script_enabled=False)
    assert plain.locator(f"{FIGURE} img").is_visible()
    assert plain.locator(".live").count() == 0
    note = plain.locator(f"{FIGURE} ~ details.admonition").first
    assert not note.locator("li").first.is_visible()
    note.locator("summary").click()
    assert note.locator("li").first.is_visible()

    assert not pole.locator(f"{FIGURE} img").is_visible()
    pole.emulate_media(media="print")
    picture = pole.locator(f"{FIGURE} img")
    assert picture.is_visible() and not pole.locator(".live").is_visible()
    pole.emulate_media(media="screen")


# Everybody can use them


def test_they_run_while_they_are_near_and_seen(visit):
    tab = visit("book/index")
    stay = "new Promise((done) => setTimeout(done, 200))"
    wait_for(tab, "pole", "figure.running && figure.steps > 0")
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    wait_for(tab, "pole", "!figure.running")
    frames = ask(tab, "pole", "figure.frames")
    tab.evaluate(stay)
    assert ask(tab, "pole", "figure.frames") <= frames + 1
    tab.locator("figure.live-pole").scroll_into_view_if_needed()
    wait_for(tab, "pole", f"figure.running && figure.frames > {frames} + 2")

    hide = (
        "Object.defineProperty(document, 'hidden', { value: %s, configurable: true });"
    )
    notice = "document.dispatchEvent(new Event('visibilitychange'))"
    tab.evaluate(hide % "true" + notice)
    frames = ask(tab, "pole", "figure.frames")
    tab.evaluate(stay)
    assert ask(tab, "pole", "figure.frames") == frames
    tab.evaluate(hide % "false" + notice)
    wait_for(tab, "pole", f"figure.frames > {frames} + 2")

    tab.get_by_role("button", name="止める").click()
    assert not ask(tab, "pole", "figure.running")
    tab.get_by_role("button", name="動かす").click()
    assert ask(tab, "pole", "figure.running")
    ask(tab, "pole", "figure.end('終わり')")
    wait_for(tab, "pole", "figure.running && !figure.ended && figure.steps > 0")


def test_nothing_moves_for_those_who_asked_for_calm(pole):
    wait_for(pole, "pole", "figure.begun && figure.policies.stable")
    assert ask(pole, "pole", "[figure.frames, figure.running]") == [0, False]
    pole.get_by_role("button", name="動かす").click()
    wait_for(pole, "pole", "figure.steps > 2")
    ask(pole, "pole", "figure.restart()")
    assert not ask(pole, "pole", "figure.running")


def test_a_pole_can_be_knocked_by_keys_buttons_and_touch(pole, visit):
    ask(pole, "pole", "figure.restart()")
    stage, status = pole.locator(".live-stage"), pole.locator(".live-status")
    velocity = "figure.state[3]"
    before = ask(pole, "pole", velocity)
    stage.focus()
    pole.keyboard.press("ArrowRight")
    assert ask(pole, "pole", velocity) == pytest.approx(before + 1)
    assert "棒を右へ押しました" in status.inner_text()
    pole.get_by_role("slider", name="押す強さ").fill("2")
    pole.get_by_role("button", name="棒を左へ").click()
    assert ask(pole, "pole", velocity) == pytest.approx(before - 1)
    assert "棒を左へ押しました" in status.inner_text()
    stage.focus()
    pole.keyboard.press("Space")
    wait_for(pole, "pole", "figure.steps > 0")
    ask(pole, "pole", "figure.play(false)")

    phone = visit(
        "chapters/03_cartpole_replay",
        viewport={"width": 360, "height": 740},
        has_touch=True,
    )
    figure = phone.locator("figure.live-pole")
    assert not ask(phone, "pole", "figure.running")
    figure.locator(".live-stage").tap(position={"x": 300, "y": 60})
    wait_for(phone, "pole", "figure.running && figure.action === 1")
    figure.locator(".live-stage").tap(position={"x": 20, "y": 60})
    assert ask(phone, "pole", "figure.action") == 0
    wait_for(phone, "pole", "figure.ended !== ''")
    steps = ask(phone, "pole", "figure.steps")
    assert f"{steps} ステップ" in figure.locator(".live-status").inner_text()
    assert figure.locator(".live-counter").inner_text() == f"{steps} ステップ"


def test_every_driver_drives(tabs):
    tab = tabs["chapters/05_stable"]
    figure = tab.locator("figure.live-pole")
    for driver in ("ランダム", "第 4 章", "stable"):
        figure.get_by_text(driver, exact=True).click()
        figure.get_by_role("button", name="動かす").click()
        wait_for(tab, "pole", "figure.steps > 5 || figure.ended")
        ask(tab, "pole", "(figure.play(false), figure.draw())")
        with_values = driver != "ランダム"
        assert figure.locator(".live-bars").is_visible() == with_values
        if with_values:
            best = figure.locator(".live-bar").evaluate_all(
                "bars => bars.findIndex((bar) => bar.classList.contains('best'))"
            )
            state = np.float32(ask(tab, "pole", "figure.state"))
            policy = policy_of({"第 4 章": "chapter4"}.get(driver, driver))
            assert best == policy(state)
            assert "上限" in figure.locator(".live-bars + .live-note").inner_text()


def test_the_table_is_worked_by_keys(table):
    figure = table.locator("figure.live-q-learning")
    for name, value in (("探索 ε", "1"), ("割引率 γ", "0.5"), ("学習率 α", "1")):
        figure.get_by_role("slider", name=name).fill(value)
    status = figure.locator(".live-status")
    for name, text in (
        ("はじめから", "一歩"),
        ("一歩", "(2, 0) で"),
        ("1 エピソード", "エピソード 1："),
        ("100 エピソード", "101 エピソード"),
    ):
        figure.get_by_role("button", name=name, exact=True).focus()
        table.keyboard.press("Enter")
        assert text in status.inner_text()
    label = figure.locator(".live-board text:not(.corner, .name)").first
    before = label.text_content()
    figure.get_by_label("正しい値を重ねる").focus()
    table.keyboard.press("Space")
    assert ask(table, "q-learning", "figure.exact[8][0]") == pytest.approx(0.5**4)
    assert label.text_content() == before.strip("↑↓←→")  # learnt exactly by now
    table.keyboard.press("Space")


def test_the_focus_is_seen_on_every_control(tabs):
    for tab in tabs.values():
        controls = tab.locator(
            ".live :is(button:not(:disabled), input, [tabindex='0']):visible"
        )
        assert controls.count() >= 5
        for control in controls.all():
            control.focus()
            tab.keyboard.press("Shift")  # as with the keyboard
            style, width = control.evaluate(
                """(e) => {
                    const seen = getComputedStyle(e.type === "radio" ? e.nextSibling : e);
                    return [seen.outlineStyle, parseFloat(seen.outlineWidth)];
                }"""
            )
            assert style == "solid" and width >= 2


def test_colours_follow_the_page(pole):
    ask(pole, "pole", "figure.restart()")
    seen = {}
    for scheme in ("light", "dark", "light"):
        pole.emulate_media(color_scheme=scheme)
        pole.wait_for_selector(f"html[data-theme={scheme}]")
        settle(pole)
        picture = pole.locator("canvas").evaluate("e => e.toDataURL()")
        same = seen.setdefault(scheme, picture) == picture
        assert same  # alone: the difference of two pictures takes pytest minutes
    assert len(set(seen.values())) == 2


def test_they_fit_every_screen(tabs, server):
    for tab in tabs.values():
        for width in widths(tab, 1280, 360):
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            parts = tab.locator(f"{FIGURE} .live *")
            outside = parts.evaluate_all(
                """(parts) => parts.filter((e) => {
                    const { left, right } = e.getBoundingClientRect();
                    return left < 0 || right > innerWidth;
                }).map((e) => e.outerHTML)"""
            )
            assert outside == []
            controls = tab.locator(".live :is(button, .live-choice label)")
            heights = controls.evaluate_all(
                "parts => parts.map((e) => e.getBoundingClientRect().height)"
            )
            assert heights and min(heights) >= 28
        foreign = [t for t in tab.troubles if not t.startswith(f"asks for {server}")]
        assert foreign == []


def test_axe_finds_nothing_in_them(tabs):
    """The last test: it leaves the figures alone on their pages."""
    for page, tab in tabs.items():
        labels = tab.locator(".live, .live-stage, .live-board").evaluate_all(
            "parts => parts.map((e) => e.getAttribute('aria-label'))"
        )
        assert labels and all(re.search("[ぁ-ん]", label) for label in labels)
        # Whole pages are for test_accessibility.py; here the rest only costs time.
        tab.evaluate(
            """(figures) => document.querySelector("article").replaceChildren(
                ...document.querySelectorAll(figures))""",
            FIGURE,
        )
        found = axe.run(tab, context=FIGURE).response["violations"]
        assert [(v["id"], v["nodes"]) for v in found] == [], page
