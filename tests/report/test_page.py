import json
import re

import pytest

from tests.report.test_view import viewed
from torchdx.record.model import Record
from torchdx.report.page import comparing, page
from torchdx.report.view import view_of
from torchdx.rules.ranking import diagnose

ALL = ["healthy", "summed", "odd", "diverging", "nothing"]


@pytest.mark.parametrize("name", ALL)
def test_a_page_opens_without_a_complaint_and_asks_for_nothing(records, opened, name):
    one = opened(page(viewed(records(name))))
    assert one.complaints == []
    assert [url for url in one.requests if not url.startswith(("file:", "data:"))] == []


def test_the_verdict_comes_first(records, opened):
    shown = opened(page(viewed(records("summed")))).page
    assert shown.locator("h1").inner_text() == "Summed loss"
    assert shown.locator("h1").bounding_box()["y"] < 200
    here = shown.locator("#verdict .row.here").inner_text()
    assert "criterion(model(x), y)" in here
    assert "torchdx try L09" in shown.locator("#verdict").inner_text()
    assert shown.locator("#verdict figure svg").count() == 1


def test_a_healthy_run_is_called_so(records, opened):
    shown = opened(page(viewed(records("healthy")))).page
    assert shown.locator("h1").inner_text() == "Nothing found"
    assert shown.locator("#verdict.healthy").count() == 1


def test_every_chart_is_drawn_and_described(records, opened):
    shown = opened(page(viewed(records("summed")))).page
    figures = shown.locator("figure.chart")
    assert figures.count() >= 7
    for i in range(figures.count()):
        canvas = figures.nth(i).locator(".canvas")
        assert canvas.locator("svg, canvas").count() == 1, figures.nth(i).get_attribute("id")
        assert len(canvas.get_attribute("aria-label")) > 10


def test_pointing_at_a_cell_tells_layer_value_and_line(records, opened):
    shown = opened(page(viewed(records("summed")))).page
    cells = shown.locator("#network .cells canvas")
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    shown.mouse.move(box["x"] + 15, box["y"] + 30)
    told = shown.locator("#vg-tooltip-element.visible")
    told.wait_for()
    text = told.inner_text()
    assert "Linear" in text
    assert re.search(r"conftest\.py:\d+", text)


def test_another_signal_and_another_layer_are_shown_when_chosen(records, opened):
    shown = opened(page(viewed(records("summed")))).page
    shown.locator("#network .chooser label", has_text="spread of outputs").click()
    assert "Standard deviation" in shown.locator("#network .about").inner_text()
    shown.locator("#network .tree li", has_text="2Linear").click()
    assert shown.locator("#network .layer h3").inner_text() == "2"
    assert "weight 3x16" in shown.locator("#network .layer").inner_text()


def test_clicking_a_cell_chooses_its_layer(records, opened):
    shown = opened(page(viewed(records("healthy")))).page
    cells = shown.locator("#network .cells canvas")
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    before = shown.locator("#network .layer h3").inner_text()
    shown.mouse.click(box["x"] + 30, box["y"] + 3 * 20 + 10)
    shown.locator("#network .layer h3", has_text="2").wait_for()
    assert before == "0"


def test_the_tree_is_walked_and_folded_by_keys(records, opened):
    shown = opened(page(viewed(records("healthy")))).page
    rows = shown.locator("#network .tree li")
    assert rows.count() == 4
    shown.locator("#network .tree li[tabindex='0']").focus()
    shown.keyboard.press("Home")
    shown.keyboard.press("ArrowLeft")
    shown.locator("#network .tree li[aria-expanded='false']").wait_for()
    assert rows.count() == 1
    shown.keyboard.press("ArrowRight")
    shown.locator("#network .tree li[aria-expanded='true']").wait_for()
    shown.keyboard.press("End")
    assert shown.locator("#network .layer h3").inner_text() == "2"


@pytest.mark.parametrize("width", [400, 1100])
@pytest.mark.parametrize("name", ["summed", "odd"])
def test_no_page_is_wider_than_its_window(records, opened, width, name):
    shown = opened(page(viewed(records(name))), viewport={"width": width, "height": 800}).page
    assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_follows_the_reader_and_can_be_changed(records, opened):
    shown = opened(page(viewed(records("healthy"))), color_scheme="dark").page
    dark = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.locator("#paper").click()
    light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark, light) == ("rgb(13, 17, 23)", "rgb(255, 255, 255)")


def test_names_that_look_like_markup_are_only_odd(records, opened):
    one = opened(page(viewed(records("odd"))))
    assert one.page.locator("img").count() == 0
    assert "</script><img src=x onerror=alert(1)>" in one.page.locator("#network").inner_text()


def test_without_a_script_all_findings_can_be_read(records, browser, tmp_path):
    place = tmp_path / "plain.html"
    place.write_text(page(viewed(records("summed"))))
    context = browser.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(place.as_uri())
    assert "Summed loss" in shown.locator("main").inner_text()
    assert "Charts need JavaScript" in shown.locator("noscript").inner_text()
    context.close()


def test_equal_records_make_equal_bytes(records):
    assert page(viewed(records("summed"))) == page(viewed(records("summed")))


def test_without_source_the_page_has_no_line_of_the_program(records):
    assert "criterion(model(x), y)" in page(viewed(records("summed")))
    assert "criterion(model(x), y)" not in page(viewed(records("summed"), source=False))


def test_an_empty_record_has_a_page(tmp_path, opened):
    view = view_of(Record(), diagnose(Record()), tmp_path / "none.dx")
    shown = opened(page(view)).page
    assert "little was seen" in shown.locator("h1").inner_text()


TRIAL = {
    "code": "L09",
    "name": "summed-loss",
    "verdict": {"word": "cured", "because": ""},
    "measure": {"key": "rows.loss", "words": "loss of rows trained on"},
    "arms": [
        {"name": "as it is", "control": False, "values": {"0": 2.3, "1": 2.4}},
        {"name": "treated", "control": False, "values": {"0": 0.4, "1": None}},
        {"name": "lr / 3", "control": True, "values": {"0": 2.2, "1": 2.3}},
    ],
    "effect": {"against": "as it is", "mean": 1.9, "low": 1.8, "high": 2.0, "level": 0.95},
    "rivals": [{"against": "lr / 3", "mean": 1.8, "low": None, "high": None, "level": 0.95}],
    "edit": {"diff": "-criterion = Loss('sum')\n+criterion = Loss('mean')\n"},
}


def test_a_trial_is_told_with_its_arms_its_intervals_and_the_edit(records, opened):
    shown = opened(page(viewed(records("summed"), trials=[TRIAL]))).page
    told = shown.locator("#trial-L09")
    assert told.locator(".chip.cured").inner_text().lower() == "cured"
    assert "better than as it is by 1.9 (95% interval 1.8 .. 2)" in told.inner_text()
    assert told.locator("figure svg").count() == 1
    assert told.locator(".diff .plus").inner_text().strip() == "+criterion = Loss('mean')"
    assert "torchdx try" not in shown.locator("#verdict").inner_text()


def test_without_source_no_edit_is_told(records):
    text = page(viewed(records("summed"), trials=[TRIAL], source=False))
    assert "Loss(" not in text


def test_a_run_that_waits_for_data_shows_first_where_its_time_goes(records, opened):
    view = viewed(records("summed"))
    view["verdict"]["findings"][0]["code"] = "P02"
    shown = opened(page(view)).page
    places = [shown.locator(f"#{part}").bounding_box()["y"] for part in ("time", "network")]
    assert places == sorted(places)


def test_several_runs_stand_beside_one_another(records, opened):
    one = opened(comparing([viewed(records("healthy")), viewed(records("summed"))]))
    text = one.page.locator("main").inner_text()
    assert one.complaints == []
    assert "L09 summed-loss" in text
    assert "nothing found" in text
    assert "lr 0.1" in text
    assert "lr 0.5" in text
    assert one.page.locator("figure.chart svg").count() >= 3


def test_the_charts_are_what_vega_lite_takes(records):
    convert = pytest.importorskip("vl_convert")
    from torchdx.report.charts import figures_of
    from torchdx.report.charts.base import expanded

    for name in ("summed", "diverging"):
        for figure in figures_of(viewed(records(name))).values():
            json.dumps(figure.chart, allow_nan=False)
            assert convert.vegalite_to_svg(expanded(figure.chart, 480)).startswith("<svg")
