import json
import math
import typing
from pathlib import Path

import pytest

from tests.support import observed
from torchdx.record.model import Record
from torchdx.record.reader import read
from torchdx.report.charts import figures_of
from torchdx.report.view import SCHEMA, View, view_of
from torchdx.report.view.curvature import curvature_in_words
from torchdx.report.view.network import layers_of
from torchdx.report.view.numbers import NOT_FINITE, evenly, outline, short
from torchdx.report.view.signals import BEST_SEEN, OF_LAYERS
from torchdx.rules.base import all_rules
from torchdx.rules.ranking import diagnose

PAGE = Path(__file__).parents[2] / "docs" / "page-format.md"


def viewed(path: Path, **more) -> View:
    record = read(path)
    return view_of(record, diagnose(record), path, **more)


def test_a_view_is_what_its_document_says(records):
    view = viewed(records("healthy"))
    assert view["schema"] == SCHEMA
    assert set(view) == set(typing.get_type_hints(View))
    documented = PAGE.read_text()
    for part, known in view.items():
        assert f"`{part}`" in documented
        sample = known[0] if isinstance(known, list) and known else known
        for field in sample if isinstance(sample, dict) else ():
            assert f"`{field}`" in documented, (part, field)


@pytest.mark.parametrize("name", ["healthy", "summed", "odd", "diverging", "nothing"])
def test_every_view_is_plain_json_without_nan(records, name):
    text = json.dumps(viewed(records(name)), allow_nan=False)
    assert json.loads(text)["schema"] == SCHEMA


def test_equal_records_give_equal_views(records):
    first, again = (json.dumps(viewed(records("summed"))) for _ in range(2))
    assert first == again


def test_the_tree_is_that_of_the_program(records):
    parts = viewed(records("healthy"))["network"]["parts"]
    assert [(part["path"], part["depth"], part["cls"]) for part in parts] == [
        ("", 0, "Sequential"),
        ("0", 1, "Linear"),
        ("1", 1, "ReLU"),
        ("2", 1, "Linear"),
    ]
    assert parts[1]["shapes"] == [("weight", "16x8"), ("bias", "16")]
    assert parts[1]["own"] == 16 * 8 + 16
    assert parts[1]["made"]["file"].endswith("conftest.py")


def test_a_layer_has_the_length_of_the_gradients_of_its_own_weights(records):
    record = read(records("healthy"))
    both = [dict(record.series("gradient.norm", f"0.{name}")) for name in ("weight", "bias")]
    step = next(iter(both[0]))
    joined = dict(layers_of(record, "gradient.norm")["0"])[step]
    assert joined == pytest.approx(math.hypot(both[0][step], both[1][step]))


def test_pictures_are_as_large_as_their_names(records):
    view = viewed(records("healthy"))
    pictures = view["network"]["pictures"]
    assert {"gradient.norm", "update.ratio", "activation.std"} <= {p["signal"] for p in pictures}
    for picture in pictures:
        assert len(picture["values"]) == len(picture["places"])
        assert {len(row) for row in picture["values"]} == {len(picture["steps"])}
        assert picture["steps"] == sorted(picture["steps"])


def test_layers_stand_in_the_order_in_which_they_answer(tmp_path):
    import torch
    from torch import nn

    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(8, 2), nn.Linear(4, 8)

        def forward(self, x):
            return self.last(torch.relu(self.first(x)))

    def program():
        model = Backwards()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()

    path = tmp_path / "run.dx"
    observed(program, path)
    (flow, *_) = viewed(path)["flow"]
    assert flow["places"] == ["first", "last"]


def test_without_source_no_line_of_the_program_is_told(records):
    view = viewed(records("summed"), source=False)
    root = view["verdict"]["findings"][0]
    assert root["code"] == "L09"
    assert root["source"]["line"] > 0
    assert root["source"]["lines"] == []
    assert "criterion(model(x)" not in json.dumps(view)
    assert "criterion(model(x)" in json.dumps(viewed(records("summed")))


def test_the_line_has_its_neighbours_only_while_the_file_is_the_same(tmp_path, records):
    told = viewed(records("summed"))["verdict"]["findings"][0]["source"]
    numbers = [number for number, _ in told["lines"]]
    assert told["line"] in numbers
    assert len(numbers) > 1


def test_what_is_not_finite_is_said(records):
    loss = viewed(records("diverging"))["learning"]["loss"]
    assert NOT_FINITE in loss["values"]


def test_moments_are_told_in_order(records):
    moments = viewed(records("summed"))["learning"]["moments"]
    assert {"epoch", "validation", "mode", "finding"} == {m["kind"] for m in moments}
    assert [m["step"] for m in moments] == sorted(m["step"] for m in moments)


def test_shares_of_time_are_of_one_whole(records):
    splits = {split["title"]: split for split in viewed(records("healthy"))["time"]}
    thread = splits["the training thread"]
    assert sum(size for _, size in thread["parts"]) == pytest.approx(1, abs=0.02)
    assert "a step" in splits


def test_labels_are_counted(records):
    labels = viewed(records("healthy"))["data"]["labels"]
    assert len(labels["shares"]) == 3
    assert sum(labels["shares"]) == pytest.approx(1, abs=0.01)


def test_an_empty_record_has_a_view(tmp_path):
    view = view_of(Record(), diagnose(Record()), tmp_path / "none.dx")
    assert view["network"] == {"parts": [], "pictures": []}
    assert view["learning"]["loss"] == {"steps": [], "values": []}
    assert view["head"]["ended"] == "killed"


def test_every_signal_that_a_finding_is_seen_in_can_be_drawn():
    assert set(BEST_SEEN.values()) <= set(OF_LAYERS)
    assert set(BEST_SEEN) <= {rule.code for rule in all_rules()}


def test_a_long_curve_keeps_its_extremes_and_its_ends():
    values = [(step, float(step % 7)) for step in range(10_000)]
    values[5003] = (5003, 99.0)
    values[7001] = (7001, math.nan)
    kept = outline(values, 100)
    assert len(kept) <= 103
    assert kept[0] == values[0]
    assert kept[-1] == values[-1]
    assert (5003, 99.0) in kept
    assert 7001 in {step for step, _ in kept}


def test_positions_are_spread_evenly_with_both_ends():
    assert evenly(3, 10) == [0, 1, 2]
    assert evenly(101, 3) == [0, 50, 100]


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.123456, 0.1235), (3.0, 3), (1e12, 1e12), (math.inf, NOT_FINITE), (None, None)],
)
def test_numbers_are_short(value, told):
    assert short(value) == told


def test_curvature_is_told_with_its_bounds_against_the_limit_of_steps(records):
    known = viewed(records("summed"))["curvature"]
    assert known
    for one in known:
        assert one["low"] <= one["ratio"] <= one["high"]
        assert one["lr"] == 0.5


def test_eigenvalues_are_told_with_what_steps_bear_and_how_many_stand_apart(records):
    view = viewed(records("summed"))
    assert view["spectra"]
    for one, sharpness in zip(view["spectra"], view["curvature"], strict=True):
        assert one["nodes"] == sorted(one["nodes"])
        assert sum(one["weights"]) == pytest.approx(1, abs=1e-3)
        assert one["nodes"][-1] == pytest.approx(sharpness["curvature"], rel=1e-3)
        assert one["stable"] == pytest.approx(2 / 0.5)
        assert 0 <= sum(one["apart"]) < len(one["nodes"])
        assert (one["training"], one["rows"]) == (True, 16)


def test_the_parabola_touches_the_loss_where_the_weights_are(records):
    (cut,) = viewed(records("healthy"))["slices"]
    assert [line["name"] for line in cut["lines"]] == ["update", "sharpest"]
    for line in cut["lines"]:
        here = line["places"].index(0)
        assert line["losses"][here] == pytest.approx(line["parabola"][here], rel=1e-5)
        assert len(line["losses"]) == len(line["parabola"]) == len(line["places"])


def test_a_hole_in_the_loss_is_a_gap_in_the_figure(records):
    view = viewed(records("healthy"))
    view["slices"][-1]["lines"][0]["losses"][-1] = NOT_FINITE
    figure = figures_of(view)["slice-update"]
    losses = figure.chart["data"]["columns"]["loss"]
    assert losses[12] is None
    assert "not finite at 1 place" in figure.says


def test_records_from_before_spectra_and_slices_have_none(records):
    record = read(records("healthy"))
    record.events = [e for e in record.events if e.facts.get("kind") not in {"spectrum", "slice"}]
    view = view_of(record, diagnose(record), records("healthy"))
    assert view["spectra"] == view["slices"] == []
    assert "spectrum" not in figures_of(view)
    assert view["curvature"]


def test_curvature_is_said_in_two_lines(records):
    said = list(curvature_in_words(read(records("summed"))))
    assert len(said) == 2
    assert "learning rate at" in said[0]
    assert "eigenvalues from" in said[1]
    assert list(curvature_in_words(read(records("nothing")))) == []
