"""All live figures: they move, look and are used as they should. Pole and table in detail."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import gymnasium as gym
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from dezerogym.gridworld import GridWorld

from built import PAGES, ROOT, compute, set_scheme, settle, unfold, widths
from figure_models import policy_of
from figures import descent as figure_descent
from figures import spread as figure_spread  # tools/figures
from figures import weights as figure_weights
from rlbook_helpers.dezero_compat import Variable

FIGURES = {  # with the pages that show them
    "pole": ["book/index", "chapters/03_cartpole_replay", "chapters/05_stable"],
    "graph": ["chapters/01_dezero"],
    "descent": ["chapters/01_dezero"],
    "q-learning": ["chapters/02_before_dqn"],
    "spread": ["chapters/02_before_dqn"],
    "ring-buffer": ["chapters/03_cartpole_replay"],
    "staleness": ["chapters/04_dqn"],
    "rewind": ["chapters/04_dqn"],
    "max-bias": ["chapters/05_stable"],
    "seed-lottery": ["chapters/05_stable"],
    "clinic": ["chapters/07_clinic"],
    "training": ["chapters/08_parts"],
    "breakout": ["chapters/09_screen"],
}
WITH_FIGURES = sorted({page for pages in FIGURES.values() for page in pages})
each_figure = pytest.mark.parametrize(
    ("name", "page"), [(name, page) for name in FIGURES for page in FIGURES[name]]
)
each_figure_page = pytest.mark.parametrize("page", WITH_FIGURES)
FIGURE = "figure[class*='live-']"
LIMITS = np.array([2.4, 3, 0.21, 3])  # of a state; the velocities have none


@pytest.fixture(scope="module")
def pole(show):
    return show("pole", "book/index")


@pytest.fixture(scope="module")
def table(show):
    return show("q-learning", "chapters/02_before_dqn")


def test_every_figure_is_tested(soups):
    found = {
        (name, page)
        for page in PAGES
        for figure in soups[f"{page}.html"].select(FIGURE)
        for name in re.findall(r"live-([\w-]+)", " ".join(figure["class"]))
    }
    assert found == {(name, page) for name in FIGURES for page in FIGURES[name]}


# Motion


@each_figure
def test_nothing_moves_with_reduced_motion(show, name, page):
    figure = show(name, page)
    settle(figure.tab)
    assert figure.ask("[figure.frames, figure.running]") == [0, False]


def test_figure_runs_while_near_and_visible(show):
    pole = show("pole", short=False, reduced_motion="no-preference")
    tab = pole.tab
    stay = "new Promise((done) => setTimeout(done, 200))"
    pole.wait_for("figure.running && figure.steps > 0")
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    pole.wait_for("!figure.running")
    frames = pole.ask("figure.frames")
    tab.evaluate(stay)
    assert pole.ask("figure.frames") <= frames + 1
    pole.figure.scroll_into_view_if_needed()
    pole.wait_for(f"figure.running && figure.frames > {frames} + 2")

    hide = (
        "Object.defineProperty(document, 'hidden', { value: %s, configurable: true });"
    )
    notice = "document.dispatchEvent(new Event('visibilitychange'))"
    tab.evaluate(hide % "true" + notice)
    frames = pole.ask("figure.frames")
    tab.evaluate(stay)
    assert pole.ask("figure.frames") == frames
    tab.evaluate(hide % "false" + notice)
    pole.wait_for(f"figure.frames > {frames} + 2")

    pole.button("止める").click()
    assert not pole.ask("figure.running")
    pole.button("動かす").click()
    assert pole.ask("figure.running")
    pole.ask("figure.end('終わり')")
    pole.wait_for("figure.running && !figure.ended && figure.steps > 0")
    pole.ask("figure.play(false)")  # not while other tests run


def test_reader_starts_motion_despite_reduced_motion(pole):
    pole.wait_for("figure.policies.stable")
    pole.button("動かす").click()
    pole.wait_for("figure.steps > 2")
    pole.ask("figure.restart()")
    assert not pole.ask("figure.running")


# Look and use


@each_figure
def test_figure_is_printed_as_a_picture(show, name, page):
    figure = show(name, page)
    picture = figure.figure.locator("img")
    assert figure.live.is_visible() and not picture.is_visible()
    figure.tab.emulate_media(media="print")
    assert picture.is_visible() and not figure.live.is_visible()
    figure.tab.emulate_media(media="screen")


def test_without_scripts_figure_is_a_picture(visit):
    tab = visit("book/index", java_script_enabled=False)
    assert tab.locator(f"{FIGURE} img").is_visible()
    assert tab.locator(".live").count() == 0
    note = tab.locator(f"{FIGURE} ~ details.admonition").first
    assert not note.locator("li").first.is_visible()
    note.locator("summary").click()
    assert note.locator("li").first.is_visible()


@each_figure
def test_hints_below_the_figure_are_folded(show, name, page):
    figure = show(name, page)
    note = figure.tab.locator(f"{figure.selector} ~ details.admonition").first
    assert note.locator("summary").inner_text().strip() == "気づくこと"
    assert not note.locator("li").first.is_visible()


@each_figure
def test_controls_show_the_focus(show, name, page):
    figure = show(name, page)
    controls = figure.live.locator(
        ":is(button:not(:disabled), input, select, [tabindex='0']):visible"
    )
    assert controls.count() >= 3
    figure.tab.keyboard.press("Shift")  # as with the keyboard
    unseen = controls.evaluate_all(
        """(controls) => controls.filter((e) => {
            e.focus({ focusVisible: true });
            return ![e.type === "radio" ? e.nextSibling : e, e.closest("label")].some((part) => {
                const { outlineStyle, outlineWidth } = part ? getComputedStyle(part) : {};
                return outlineStyle === "solid" && parseFloat(outlineWidth) >= 2;
            });
        }).map((e) => e.outerHTML)"""
    )
    assert unseen == []


@each_figure_page
def test_colours_of_drawings_follow_the_page(visit, page):
    tab, seen = visit(page, short=True), {}
    for scheme in ("light", "dark", "light"):
        set_scheme(tab, scheme)
        pictures = tab.locator(f"{FIGURE} canvas").evaluate_all(
            "all => all.map((e) => e.toDataURL())"
        )
        same = seen.setdefault(scheme, pictures) == pictures
        assert same  # alone: the difference of two pictures takes pytest minutes
    assert all(light != dark for light, dark in zip(seen["light"], seen["dark"]))
    painted = page not in ("chapters/02_before_dqn", "chapters/07_clinic")
    assert len(pictures) >= 1 or not painted  # but drawn in SVG, or written


@each_figure_page
def test_figures_fit_every_screen(visit, page):
    tab = visit(page, short=True)
    for width in widths(tab, 1280, 360):
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        outside = tab.locator(f"{FIGURE} .live *").evaluate_all(
            """(parts) => parts.filter((e) => {
                const { left, right } = e.getBoundingClientRect();
                return left < 0 || right > innerWidth;
            }).map((e) => e.outerHTML)"""
        )
        assert outside == []
        heights = tab.locator(".live :is(button, .live-choice label)").evaluate_all(
            "parts => parts.map((e) => e.getBoundingClientRect().height)"
        )
        assert heights and min(heights) >= 28
    assert tab.troubles == []


# Computations


def test_pole_moves_as_in_gymnasium(pole):
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
    found = compute(
        pole.tab,
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
        pole.tab.evaluate("cartpole.maxSteps")
        == gym.spec("CartPole-v1").max_episode_steps
    )


@pytest.mark.parametrize("name", figure_weights.RECORDS)
def test_networks_give_the_values_of_the_records(show, name):
    rng = np.random.default_rng(1)
    states = (rng.uniform(-1, 1, (1_000, 4)) * LIMITS).astype(np.float32)
    expected = policy_of(name).action_values(states)
    found = compute(
        show("pole", "chapters/05_stable").tab,
        """async ([name, states]) => {
            const policy = new Policy(await live.load(name));
            return states.map((state) => policy.actionValues(state));
        }""",
        [name, states.tolist()],
    )
    size = np.abs(expected).max()
    assert size > 10
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * size)


@pytest.mark.parametrize(
    ("start", "rate", "steps", "exact"),
    [
        ((0.0, 2.0), 0.001, 10_000, True),
        ((-1.5, 2.5), 0.0015, 1_000, True),
        ((0.0, 2.0), 0.003, 300, True),
        ((1.8, 0.0), 0.002, 100, False),  # diverges
    ],
)
def test_descent_goes_down_as_in_the_chapter(show, start, rate, steps, exact):
    found = np.array(
        show("descent").ask("rosenbrock.descend(...given)", [start, rate, steps])
    )
    xs = [Variable(np.array(x)) for x in start]
    path = [start]
    while len(path) <= min(steps, 300) and abs(path[-1][0]) < 1_000:
        x0, x1 = xs
        for x in xs:
            x.cleargrad()
        y = 100 * (x1 - x0**2) ** 2 + (x0 - 1) ** 2
        y.backward()
        for x in xs:
            x.data -= rate * x.grad.data
        path.append(tuple(float(x.data) for x in xs))
    assert (len(found) == steps + 1) == exact
    np.testing.assert_allclose(found[: len(path)], path, rtol=1e-9, atol=1e-9)
    formula = figure_descent.descend(start, rate, steps)
    np.testing.assert_allclose(found, formula, rtol=1e-9, atol=1e-9)
    for value in (0.1, 1000):
        contour = np.array(show("descent").ask("rosenbrock.contour(given)", value))
        x, y = contour[np.abs(contour[:, 0]) < 2.1].T
        values = 100 * (y - x**2) ** 2 + (x - 1) ** 2
        np.testing.assert_allclose(values, value, rtol=1e-9)


def test_start_is_dragged_and_moved_by_keys(show):
    descent = show("descent")
    descent.button("はじめから").click()
    last = figure_descent.descend((0.0, 2.0), 0.001, 10_000)[-1]
    told = f"({last[0]:.3f}, {last[1]:.3f})"
    assert told in descent.status
    map_box = descent.figure.locator("canvas").bounding_box()
    knob = descent.figure.locator(".live-handle").bounding_box()
    mouse = descent.tab.mouse
    mouse.move(knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2)
    mouse.down()
    for share in (0.3, 0.25):  # x0 = -1, x1 = 1
        mouse.move(
            map_box["x"] + share * map_box["width"],
            map_box["y"] + 0.5 * map_box["height"],
        )
    mouse.up()
    mouse.move(map_box["x"] + 5, map_box["y"] + map_box["height"] - 5)  # let go
    assert descent.ask("figure.start") == pytest.approx([-1, 1])
    descent.slider("出発点 x₀").focus()
    descent.tab.keyboard.press("ArrowRight")
    assert descent.ask("figure.start") == pytest.approx([-0.95, 1])
    descent.slider("回数").fill("3")
    x, y = figure_descent.descend((-0.95, 1.0), 0.001, 3)[-1]
    told = f"3 回のあとは ({x:.3f}, {y:.3f})".replace("-", "−")
    assert told in descent.status
    descent.ask(
        "figure.set('出発点 x₀=1.80; 出発点 x₁=0.00; 学習率=0.005; 回数=10,000')"
    )
    assert "発散しました" in descent.status


@pytest.fixture(scope="module")
def chapter():
    """What chapter 2 defines to calculate the exact values and to learn a table."""
    text = (ROOT / "chapters/02_before_dqn.md").read_text(encoding="utf-8")
    cells = re.findall(r"^```\{code-cell\}.*?\n(.*?)^```", text, re.S | re.M)
    names = {"np": np, "env": GridWorld()}
    for start in ("gamma = ", "def epsilon_greedy("):
        (cell,) = (cell for cell in cells if cell.startswith(start))
        exec(cell, names)  # noqa: S102
    return names


def test_table_learns_like_that_of_the_chapter(table, chapter):
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
    found, error, moves = table.tab.evaluate(
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
    exact = table.tab.evaluate("exactValues(0.9)")
    np.testing.assert_allclose(
        np.reshape(exact, (3, 4, 4)), chapter["Q_star"], atol=1e-12
    )


@pytest.mark.parametrize("learner", ["fresh", "trained"])
def test_network_of_the_grid_learns_as_in_the_chapter(show, learner):
    figure = show("spread")
    figure.wait_for("figure.weights")
    agent = figure_spread.trained(0)
    weights = figure.ask("[...figure.weights[given]]", learner)
    places = np.split(np.float32(weights), [1200, 1300, 1700])
    layers = (agent.qnet.l1, agent.qnet.l2)
    parts = [part for layer in layers for part in (layer.W, layer.b)]
    for part, numbers in zip(parts, places, strict=True):
        if learner == "fresh":  # 24 bits tell them from their neighbours
            np.testing.assert_allclose(part.data.ravel(), numbers, rtol=0, atol=1e-7)
        part.data = numbers.reshape(part.data.shape)
    env = GridWorld()
    for state, action in ((2, 3), (11, 0), (8, 2), (6, 3)):
        before = figure_spread.table(agent)
        kept = [part.data.copy() for part in parts]
        env.reset()
        env.agent_state = divmod(state, 4)
        (y, x), reward, done = env.step(action)
        one_hot = figure_spread.one_hot
        agent.update(one_hot(state), action, reward, one_hot(4 * y + x), done)
        after = figure_spread.table(agent)
        for part, numbers in zip(parts, kept, strict=True):
            part.data = numbers
        found = figure.ask(
            "Object.assign(Object.create(figure), given).update()",
            {"learner": learner, "state": state, "action": action},
        )
        np.testing.assert_allclose(found["before"], before, atol=2e-6)
        np.testing.assert_allclose(found["after"], after, atol=2e-6)
        assert np.abs(after - before).max() > 1e-4


def test_one_value_of_a_table_moves_and_all_of_a_network(show):
    figure = show("spread")
    figure.wait_for("figure.weights")
    texts = figure.figure.locator("text.value")
    figure.ask("figure.set('学習前のネットワーク; マス=(0, 2); 右')")
    shown = texts.all_text_contents()
    parts = 100 * figure_spread.changes()[figure_spread.ACTING].ravel()
    assert [float(text.replace("−", "-")) for text in shown] == pytest.approx(
        parts, abs=0.51
    )
    assert "動いたのは 40 個です" in figure.status
    figure.figure.get_by_text("表", exact=True).click()
    shown = texts.all_text_contents()
    assert sorted(shown) == ["0"] * 39 + ["100"] and shown[11] == "100"
    assert "動いたのは 1 個です" in figure.status and "その 0 %" in figure.status
    figure.figure.locator("polygon.value").nth(4 * 7 + 2).click(
        position={"x": 22, "y": 50}
    )  # on the number
    assert figure.status.startswith("(2, 1) の「左」は")
    assert figure.slider("マス").get_attribute("aria-valuetext") == "(2, 1)"
    figure.slider("マス").focus()
    figure.tab.keyboard.press("ArrowRight")
    assert figure.status.startswith("(2, 2) の「左」は")


def test_agent_of_the_table_explores_with_epsilon(table):
    best, ties = table.tab.evaluate(
        """() => {
            const share = (values) => Array.from({ length: 20000 },
                () => epsilonGreedy(values, 0.4)).filter((a) => a === 2).length / 20000;
            return [share([0, 0, 1, 0]), share([1, 0, 1, 0])];
        }"""
    )
    assert best == pytest.approx(0.7, abs=0.02)  # six standard deviations
    assert ties == pytest.approx(0.1, abs=0.02)


def test_formulas_show_the_last_update(table):
    table.ask("figure.restart()")
    table.ask("(figure.epsilon = 1, figure.many(5), figure.once())")
    u = table.ask("figure.last")
    texts = table.figure.locator(".live-formulas dd").all_inner_texts()
    transition, target, update = (
        [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]
        for text in texts
    )
    assert transition[:2] == [u["state"] // 4, u["state"] % 4]
    assert transition[2:5] == [u["reward"], u["next"] // 4, u["next"] % 4]
    assert target[-1] == pytest.approx(u["target"], abs=6e-4)
    assert update[0] == pytest.approx(u["before"], abs=6e-4)
    assert update[-1] == pytest.approx(u["after"], abs=6e-4)


def test_claims_below_the_table_hold(table):
    one, bombs = table.tab.evaluate(
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
        return table.tab.evaluate(
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
    assert "打ち切りました" in table.ask("figure.ended")


# Links in the text

LINKS = "a[data-live][href^='#']"
SEEN = """(control) => control.querySelector("output")?.textContent
    ?? (control.querySelector("input")?.checked ? "あり" : "なし")"""


@each_figure_page
def test_links_set_the_figures(visit, page):
    tab = visit(page, short=True)
    unfold(tab)
    assert tab.locator("a[data-live]").count() == tab.locator(LINKS).count()
    for link in tab.locator(LINKS).all():
        figure = tab.locator(link.get_attribute("href"))
        figure.scroll_into_view_if_needed()
        tab.wait_for_function("(e) => e.live?.begun", arg=figure.element_handle())
        link.click()
        for wish in link.get_attribute("data-live").split("; "):
            name, _, value = wish.partition("=")
            control = figure.locator("label, button").filter(has_text=name).first
            if value:
                assert control.evaluate(SEEN) == value, wish
            elif name == "学ぶ":
                assert figure.evaluate("(e) => e.live.playing")
        figure.evaluate("(e) => e.live.play(false)")
    assert tab.troubles == []


def test_link_sets_boxes_as_it_says(show):
    figure = show("training")
    for wish in ("なし", "なし", "あり", "あり"):
        figure.ask("figure.set(given)", f"層正規化={wish}; シード=7")
        assert figure.ask("figure.parts.norm") == (wish == "あり")
        assert figure.ask("[figure.seed, figure.playing]") == [7, False]


def test_some_figures_are_set_by_the_text(soups):
    linked = {
        (page, link["href"])
        for page in WITH_FIGURES
        for link in soups[f"{page}.html"].select("a[data-live]")
    }
    assert len({page for page, _ in linked}) >= 3


# Pole and table


def test_pole_is_pushed_by_keys_and_buttons(pole):
    pole.ask("figure.restart()")
    stage = pole.figure.locator(".live-stage")
    velocity = "figure.state[3]"
    before = pole.ask(velocity)
    stage.focus()
    pole.tab.keyboard.press("ArrowRight")
    assert pole.ask(velocity) == pytest.approx(before + 1)
    assert "棒を右へ押しました" in pole.status
    pole.slider("押す強さ").fill("2")
    pole.button("← 棒を左へ").click()
    assert pole.ask(velocity) == pytest.approx(before - 1)
    assert "棒を左へ押しました" in pole.status
    stage.focus()
    pole.tab.keyboard.press("Space")
    pole.wait_for("figure.steps > 0")
    pole.ask("figure.play(false)")


def test_every_driver_drives(show):
    pole = show("pole", "chapters/05_stable")
    figure = pole.figure
    for driver in ("ランダム", "第 4 章", "stable"):
        figure.get_by_text(driver, exact=True).click()
        pole.button("動かす").click()
        pole.wait_for("figure.steps > 5 || figure.ended")
        pole.ask("(figure.play(false), figure.draw())")
        with_values = driver != "ランダム"
        assert figure.locator(".live-bars").is_visible() == with_values
        if with_values:
            best = figure.locator(".live-bar").evaluate_all(
                "bars => bars.findIndex((bar) => bar.classList.contains('best'))"
            )
            state = np.float32(pole.ask("figure.state"))
            policy = policy_of({"第 4 章": "chapter4"}.get(driver, driver))
            assert best == policy(state)
            assert "上限" in figure.locator(".live-bars + .live-note").inner_text()
            values = pole.ask("figure.actionValues()")
            shown = figure.locator(".live-bars > span").last.inner_text()
            assert float(shown.replace("−", "-")) == pytest.approx(
                values[1] - values[0], abs=0.006
            )


def test_numbers_of_a_paused_pole_belong_to_its_picture(show):
    pole = show("pole", "chapters/05_stable")
    pole.button("はじめから").click()
    pole.button("動かす").click()
    pole.wait_for("figure.steps > 3 && figure.part % 1 > 0")
    pole.button("止める").click()
    between = pole.ask("figure.ended ? 1 : figure.part")
    assert between == 1, "the picture is that of the state, not of a time before it"
    assert float(pole.readings[0].replace("−", "-")) == pytest.approx(
        pole.ask("figure.state[0]"), abs=0.006
    )


def test_table_is_operated_by_keys(table):
    figure = table.figure
    for name, value in (("探索 ε", "1"), ("割引率 γ", "0.5"), ("学習率 α", "1")):
        table.slider(name).fill(value)
    for name, text in (
        ("はじめから", "一歩"),
        ("一歩", "(2, 0) で"),
        ("1 エピソード", "エピソード 1："),
        ("100 エピソード", "101 エピソード"),
    ):
        table.button(name).focus()
        table.tab.keyboard.press("Enter")
        assert text in table.status
    label = figure.locator(".live-board text:not(.corner, .name)").first
    before = label.text_content()
    figure.get_by_label("正しい値を重ねる").focus()
    table.tab.keyboard.press("Space")
    assert table.ask("figure.exact[8][0]") == pytest.approx(0.5**4)
    assert label.text_content() == before.strip("↑↓←→")  # learnt exactly by now
    table.tab.keyboard.press("Space")


# Pages


def test_pages_load_little_data_and_only_for_their_figures(show, visit):
    data = {}
    for page in WITH_FIGURES:
        tab = visit(page, short=True)
        for name, pages in FIGURES.items():
            if page in pages:
                show(name, page)
        tab.locator(".live-choice input").evaluate_all(
            "all => all.forEach((e) => e.click())"
        )
        settle(tab)
        scripts = tab.evaluate("[...document.scripts].map((e) => e.src)")
        files = {  # Firefox does not tell what it asks of files
            Path(unquote(urlsplit(url).path))
            for url in {*tab.asked, *scripts}
            if "/figures/data/" in url
        }
        assert sum(path.stat().st_size for path in files) <= 150_000, page
        data[page] = {path.stem for path in files}
        assert tab.troubles == []
    assert data["book/index"] == {"stable"}
    assert data["chapters/03_cartpole_replay"].isdisjoint(figure_weights.RECORDS)
    assert data["chapters/05_stable"] >= {"chapter4", "stable"}


@each_figure_page
def test_figures_are_accessible(visit, page):
    """The last test, because it leaves nothing but the figures; test_every_page.py has the pages."""
    tab = visit(page, short=True)
    labels = tab.locator(".live, .live-stage, .live-board").evaluate_all(
        "parts => parts.map((e) => e.getAttribute('aria-label'))"
    )
    assert labels and all(re.search("[ぁ-ん]", label) for label in labels)
    tab.evaluate(
        """(figures) => document.querySelector("article").replaceChildren(
            ...document.querySelectorAll(figures))""",
        FIGURE,
    )
    for scheme, width, options in (
        ("light", 360, {}),
        ("dark", 1280, {"runOnly": ["color-contrast"]}),
    ):
        tab.set_viewport_size({"width": width, "height": 800})
        set_scheme(tab, scheme)
        options |= {"resultTypes": ["violations"], "preload": False}
        found = Axe().run(tab, context=FIGURE, options=options).response["violations"]
        assert [(v["id"], v["nodes"]) for v in found] == []
