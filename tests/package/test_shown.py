"""How chapters show plans and comparisons."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgba

from rlbook_helpers.display import GREEN, GREY, INK, RED
from rlbook_helpers.experiments.shown import plot_differences, show_plan
from rlbook_helpers.experiments.statistics import Comparison


def test_show_plan_breaks_lines_between_sentences_only():
    plan = {
        "question": "\nはじめの行は、\n続きます。\n割合は 39 個と\n100 個で、CartPole\nAcrobot は\n別。\n",
        "seeds": "0-39",
    }
    assert show_plan(plan, "question", "seeds").data == (
        "- **問い**: はじめの行は、続きます。\\\n"
        "  割合は 39 個と 100 個で、CartPole Acrobot は別。\n"
        "- **シード**: 0-39"
    )


@pytest.mark.parametrize("name", ["arms", "test"])
def test_show_plan_refuses_missing_and_unknown_names(name):
    with pytest.raises(ValueError, match=f"names.*{name}"):
        show_plan({"question": "。", "arms": {}}, name)


def test_plot_differences_draws_point_interval_and_verdict():
    arms = {
        "b": (0.25, (0.1, 0.5), 0.001, GREEN),
        "a": (-0.5, (-0.75, -0.25), 0.049, RED),
        "c": (0.5, (-0.25, 0.75), 0.05, GREY),
    }
    results = {
        arm: Comparison(0, 40, difference, interval, p, p)
        for arm, (difference, interval, p, _) in arms.items()
    }
    results["not shown"] = results["a"]
    ax = plot_differences(results, {"b": "いち", "a": "に", "c": "さん"})
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["b: いち", "a: に", "c: さん"] and ax.yaxis_inverted()
    *drawn, zero = ax.lines
    lines = zip("bac", drawn[::2], drawn[1::2], strict=True)
    for k, (arm, bar, point) in enumerate(lines):
        difference, (low, high), _, colour = arms[arm]
        assert bar.get_xydata().tolist() == [[100 * low, k], [100 * high, k]]
        assert point.get_xydata().tolist() == [[100 * difference, k]]
        assert to_rgba(bar.get_color()) == to_rgba(point.get_color()) == to_rgba(colour)
    assert zero.get_xdata() == [0, 0] and to_rgba(zero.get_color()) == to_rgba(INK)
    plt.close()
