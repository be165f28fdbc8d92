"""How chapters show plans and comparisons."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgba

from rlbook_helpers.display import GREEN, GREY, INK, RED
from rlbook_helpers.experiments.shown import PLAN_HEADINGS, plot_differences, show_plan
from rlbook_helpers.experiments.statistics import Comparison


def test_show_plan_breaks_lines_between_sentences_only():
    plan = {
        "question": "\n行は、\n続き\n（A\n）。\n39 個と\n100 個の CartPole\nAcrobot は\n別。\n",
        "report": "「x」\ny\n、z",
    }
    assert show_plan(plan, "question", "report").data == (
        f"- **{PLAN_HEADINGS['question']}**: 行は、続き（A）。\\\n"
        "  39 個と 100 個の CartPole Acrobot は別。\n"
        f"- **{PLAN_HEADINGS['report']}**: 「x」y、z"
    )


@pytest.mark.parametrize("name", ["arms", "test"])
def test_show_plan_refuses_missing_and_unknown_names(name):
    with pytest.raises(ValueError, match=f"names.*{name}"):
        show_plan({"question": "。", "arms": {}}, name)


def test_plot_differences_draws_point_interval_and_verdict():
    arms = {
        "b": (0.0625, (-0.125, 0.5), 0.001, GREEN),
        "a": (-0.5, (-0.75, -0.25), 0.049, RED),
        "c": (0.5, (-0.25, 0.75), 0.05, GREY),
    }
    results = {
        arm: Comparison(0, 40, difference, interval, p / 2, p)
        for arm, (difference, interval, p, _) in arms.items()
    }
    results["not shown"] = results["a"]
    ax = plot_differences(results, {"b": "いち", "a": "に", "c": "さん"})
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["b: いち", "a: に", "c: さん"] and ax.yaxis_inverted()
    assert ax.get_yticks().tolist() == [0, 1, 2] and "%" in ax.get_xlabel()
    *drawn, zero = ax.lines
    lines = zip("bac", drawn[::2], drawn[1::2], strict=True)
    for k, (arm, bar, point) in enumerate(lines):
        difference, (low, high), _, colour = arms[arm]
        assert bar.get_xydata().tolist() == [[100 * low, k], [100 * high, k]]
        assert point.get_xydata().tolist() == [[100 * difference, k]]
        assert to_rgba(bar.get_color()) == to_rgba(point.get_color()) == to_rgba(colour)
    assert zero.get_xdata() == [0, 0] and to_rgba(zero.get_color()) == to_rgba(INK)
    taller = plot_differences(results, dict.fromkeys(results, "")).figure
    assert taller.get_figheight() > ax.figure.get_figheight()
    plt.close("all")
