import pytest

from rlbook_helpers.experiments.shown import show_plan


def test_a_plan_breaks_its_lines_only_between_sentences():
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
def test_a_plan_shows_only_the_texts_that_it_has(name):
    with pytest.raises(ValueError, match=f"names.*{name}"):
        show_plan({"question": "。", "arms": {}}, name)
