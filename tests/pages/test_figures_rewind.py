"""The live figure 学習をさかのぼる: its data are of the training that it names, and are shown as they are."""

import base64
import gzip
import itertools
import json

import numpy as np
import pytest

from built import ROOT, address, settle

pytest.importorskip(
    "bs4", reason="the pages are checked with requirements.txt installed"
)

from conftest import watched_tab
from figures import rewind as figure_rewind  # tools/figures

pytestmark = pytest.mark.book

PAGE = "chapters/04_dqn"
FIGURE = "figure.live-rewind"
REMEDY = "python tools/figures/rewind.py"


def signed(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.int8)


@pytest.fixture(scope="module")
def data():
    text = figure_rewind.DATA.read_text("utf-8")
    return json.loads(text.removeprefix('live.keep("rewind", ').removesuffix(");\n"))


@pytest.fixture(scope="module")
def points(data):
    side = figure_rewind.SIDE
    return [
        figure_rewind.Checkpoint(
            point["episode"],
            signed(point["map"]).reshape(side, side),
            signed(point["path"]).reshape(-1, 3),
            point["mean"],
        )
        for point in data["checkpoints"]
    ]


def actions(path: np.ndarray) -> list[int]:
    """Those of an episode: a push of the cart to the right turns the pole to the left."""
    return (np.diff(path[:, 2].astype(int)) < 0).astype(int).tolist()


def end(path: np.ndarray) -> str:
    if len(path) > 500:
        return "打ち切りまで支えました"
    position = abs(int(path[-1, 0])) / 127 * figure_rewind.POSITION
    return "カートが端を越えました" if position > 2.39 else "棒が倒れました"


# Where its data come from


def test_a_training_begins_as_the_recorded_one(data, points):
    """Its first 20 episodes; float32 on another machine moved nothing of it in 60 trials."""
    for (returns, new), old in itertools.islice(
        zip(figure_rewind.checkpoints(), points), 2
    ):
        assert new.episode == old.episode
        assert returns in ([], data["returns"][: len(returns)])
        assert new.mean == old.mean
        for ours, theirs in [(new.map, old.map), (new.path, old.path)]:
            np.testing.assert_allclose(ours.astype(int), theirs, rtol=0, atol=1)
    assert len(returns) == figure_rewind.EVERY


def test_data_are_small_and_whole(data, points):
    assert figure_rewind.DATA.stat().st_size <= 60_000
    script = figure_rewind.DATA.parents[1] / "rewind.js"
    assert len(gzip.compress(script.read_bytes(), 6)) <= 4_096
    assert [point.episode for point in points] == list(range(0, 301, 20))
    assert len(data["returns"]) == 300
    assert all(1 <= total <= 500 for total in data["returns"])
    assert all((point.map != 0).all() for point in points)
    assert len({point.map.tobytes() for point in points}) == len(points)


def test_the_picture_is_made_of_the_data(data, points):
    wanted = figure_rewind.picture(data["returns"], points)
    assert figure_rewind.PICTURE.read_text("utf-8") == wanted, REMEDY


def test_gymnasium_goes_the_recorded_way(points):
    """The actions tell the whole episode: nothing in it, and not its end, is made up."""
    for point in points:
        pushes = iter(actions(point.path))
        env = figure_rewind.ORIGINAL.make_env()
        path = figure_rewind.one_episode(env, lambda state, a=pushes: next(a))
        assert next(pushes, None) is None
        np.testing.assert_allclose(path.astype(int), point.path, rtol=0, atol=1)


def test_the_policies_mostly_agree_with_their_maps(points):
    """Not always: the maps show them at rest in the middle. A mirrored map would seldom agree."""
    half = figure_rewind.SIDE // 2
    agreed = []
    for point in points:
        states = point.path[:-1] / 127
        angle = states[:, 1] * figure_rewind.ANGLE / figure_rewind.MAX_ANGLE
        speed = states[:, 2] * figure_rewind.SPEED / figure_rewind.MAX_SPEED
        shown = (abs(angle) <= 1) & (abs(speed) <= 1)
        row, column = (np.rint(half + half * k).astype(int) for k in (-speed, angle))
        levels = point.map[row[shown], column[shown]].astype(int)
        clear = abs(levels) > 30
        pushes = np.array(actions(point.path))[shown]
        agreed += ((levels > 0) == pushes)[clear].tolist()
    assert len(agreed) > 300 and 0.75 < np.mean(agreed) < 1


def test_the_text_says_what_the_data_say(points):
    means = {point.episode: point.mean for point in points}
    assert max(mean for episode, mean in means.items() if episode <= 120) < 40
    assert round(means[140]) == 186
    assert max(means, key=means.get) == 260 and round(means[260]) == 286
    assert round(means[300]) == 168
    ends = [end(point.path) for point in points if point.episode >= 160]
    assert len(ends) == 8 and ends.count("カートが端を越えました") == 7
    text = (ROOT / f"{PAGE}.md").read_text("utf-8")
    for words in (
        "186 になります",
        "260 エピソードの 286",
        "168 に下がり",
        "のうち、7 個",
    ):
        assert words in text


# How it is shown


def open_figure(tab):
    tab.goto(address(PAGE))
    tab.locator(FIGURE).scroll_into_view_if_needed()
    tab.wait_for_function(f"document.querySelector('{FIGURE}').live.point")
    return tab.locator(FIGURE)


def ask(tab, expression: str, argument=None):
    return tab.evaluate(
        f"(a) => {{ const figure = document.querySelector('{FIGURE}').live; return {expression}; }}",
        argument,
    )


@pytest.fixture(scope="module")
def shown(browser):
    with watched_tab(
        browser, viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    ) as tab:
        open_figure(tab)
        yield tab


def test_the_page_reads_the_data(shown, points):
    found = ask(
        shown,
        "figure.points.map((p) => [p.episode, p.mean, [...p.levels], p.states])",
    )
    largest = [figure_rewind.POSITION, figure_rewind.ANGLE, figure_rewind.SPEED]
    for (episode, mean, levels, states), point in zip(found, points, strict=True):
        assert (episode, mean) == (point.episode, point.mean)
        assert levels == point.map.ravel().tolist()
        np.testing.assert_allclose(states, point.path / 127 * largest, atol=1e-12)


def test_the_page_tells_the_actions_and_the_end(shown, points):
    for k, point in enumerate(points):
        figure = shown.locator(FIGURE)
        figure.get_by_role("slider").fill(str(k))
        steps = len(point.path) - 1
        told = figure.locator(".live-status").inner_text()
        assert f"{steps} ステップで{end(point.path)}。" in told
        found = ask(
            shown,
            f"[...Array({steps}).keys()].map((t) => (figure.time = t, figure.action))",
        )
        assert found == actions(point.path)


def test_the_map_is_blue_where_the_policy_pushes_to_the_right(shown, points):
    """In the middle of each sixteenth of the map, where its four sides agree."""
    shown.locator(FIGURE).get_by_role("slider").fill("7")
    settle(shown)
    levels = points[7].map.astype(int)
    seen = 0
    for row, column in itertools.product((5, 15, 25, 35), repeat=2):
        near = np.sign(levels[row - 1 : row + 2, column - 1 : column + 2])
        if abs(near.sum()) < 9:
            continue
        red, _, blue, _ = ask(
            shown,
            """(([x, y], canvas) => {
                const ratio = canvas.width / canvas.clientWidth;
                const [wide, tall] = [canvas.clientWidth - 56, canvas.clientHeight - 64];
                return [...canvas.getContext("2d").getImageData(
                    (40 + wide * x) * ratio, (24 + tall * y) * ratio, 1, 1).data];
            })(a, figure.map)""",
            [(column + 0.5) / 41, (row + 0.5) / 41],
        )
        assert (blue > red) == (near[0, 0] > 0), (row, column)
        seen += 1
    assert seen >= 10


def test_nothing_moves_by_itself_where_motion_is_unwanted(shown):
    assert not ask(shown, "figure.playing") and ask(shown, "figure.frames") == 0
    shown.locator(FIGURE).get_by_role("button", name="動かす").click()
    shown.wait_for_function(f"document.querySelector('{FIGURE}').live.time > 1")
    shown.locator(FIGURE).get_by_role("button", name="止める").click()
    assert not ask(shown, "figure.playing")


def test_it_is_used_with_the_keyboard_and_with_a_finger(browser):
    with watched_tab(
        browser, viewport={"width": 360, "height": 800}, has_touch=True
    ) as tab:
        figure = open_figure(tab)
        tab.wait_for_function(f"document.querySelector('{FIGURE}').live.time > 0")
        slider = figure.get_by_role("slider", name="ここまでの学習")
        assert slider.get_attribute("aria-valuetext") == "300 エピソード"
        slider.focus()
        tab.keyboard.press("ArrowLeft")
        status = figure.locator(".live-status")
        assert status.inner_text().startswith("280 エピソード学習したあと：")
        tab.keyboard.press("Home")
        assert status.inner_text().startswith("学習の前：")
        curve = figure.locator("canvas").first
        box = curve.bounding_box()
        curve.tap(position={"x": box["width"] / 2 + 10, "y": box["height"] / 2})
        assert slider.get_attribute("aria-valuetext") == "140 エピソード"
        assert status.inner_text().startswith("140 エピソード学習したあと：")
        settle(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") == 360
        assert tab.troubles == []
