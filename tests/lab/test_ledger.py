import json
import sys

import pytest
from click.testing import CliRunner

from tests.lab.made_up import claim, study_file
from torchdx.cli.lab import command
from torchdx.errors import CallError
from torchdx.lab import ledger, store
from torchdx.lab.study import _from_file, find_study
from torchdx.lab.worker import run_seed
from torchdx.report.page.ledger import page


@pytest.fixture(autouse=True)
def _read_anew():
    _from_file.cache_clear()
    yield
    _from_file.cache_clear()
    sys.modules.pop("toy_study", None)


def kept(tmp_path, trouble="pass", seeds=6):
    """A study whose seeds were run, the last one in vain where the trouble says so."""
    study = find_study(str(study_file(tmp_path, trouble)))
    here = store.place(tmp_path, study, "quick")
    for seed in range(seeds):
        store.keep(here, *run_seed(study, "quick", seed))
    return study


def told(tmp_path, **more):
    return [ledger.as_object(e) for e in ledger.entries([kept(tmp_path, **more)], tmp_path)]


def test_the_ledger_tells_of_claims_published_and_ours(tmp_path):
    (study,) = told(tmp_path)
    better, same = study["claims"]
    assert (better["published"], better["verdict"], better["seeds"]) == ("1", "reproduced", "6")
    assert better["declared"] == "above 0 by more than 0.5 nats"
    assert 0.9 < float(better["ours"]) < 1.1
    assert same["verdict"] == "null"
    assert same["declared"] == "0 nats, within 0.2"
    assert study["doubt"] == ""
    assert study["versions"]["torchdx"]
    json.dumps(study, allow_nan=False)


def test_a_claim_says_on_how_many_seeds_it_rests(tmp_path):
    (study,) = told(tmp_path, trouble="if seed == 5: raise ValueError('too steep')")
    assert [claim["seeds"] for claim in study["claims"]] == ["5 of 6", "5 of 6"]
    assert study["failed"] == [{"seed": 5, "error": "ValueError: too steep (toy_study.py:9)"}]
    assert "Seed 5 failed: ValueError: too steep" in ledger.as_markdown([study], {})


def test_a_study_of_which_all_seeds_failed_stays_in_the_ledger(tmp_path):
    (study,) = told(tmp_path, trouble="raise ValueError", seeds=2)
    assert [claim["verdict"] for claim in study["claims"]] == ["inconclusive"] * 2
    assert study["claims"][0]["seeds"] == "0 of 2"
    json.dumps(study, allow_nan=False)
    assert "0 of 2" in page([study], {}, "")


def test_a_control_that_is_not_null_casts_doubt_on_the_study(tmp_path):
    text = study_file(tmp_path).read_text()
    assert "same" in text
    study = kept(tmp_path)
    path = study.file
    path.write_text(path.read_text().replace('("same", 2.0)', '("same", 3.0)'))
    _from_file.cache_clear()
    other = find_study(str(path))
    here = store.place(tmp_path, other, "quick")
    for seed in range(5):
        store.keep(here, *run_seed(other, "quick", seed))
    (said,) = [ledger.as_object(e) for e in ledger.entries([other], tmp_path)]
    assert said["claims"][1]["verdict"] == "not null"
    assert said["stale"] == 1
    markdown = ledger.as_markdown([said], {})
    assert "A negative control is not null" in markdown
    assert "1 seed of an older version of the study: left out." in markdown
    assert "not to be trusted" in page([said], {}, "")


def test_a_control_on_too_few_seeds_leaves_the_study_provisional(tmp_path):
    (study,) = told(tmp_path, seeds=3)
    assert (
        study["doubt"] == "A negative control is inconclusive: the other verdicts are provisional."
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"direction": "equal", "delta": 0.0, "unit": ""}, "exactly 0"),
        ({"direction": "below", "delta": 0.0, "target": 2.0}, "below 2 nats"),
        ({"direction": "equal", "target": 128.0, "unit": "-fold"}, "128-fold, within 0.5"),
    ],
)
def test_what_was_declared_is_said_in_words(more, said):
    assert ledger.declared(claim(**more)) == said


def test_a_bar_in_a_sentence_does_not_break_the_table(tmp_path):
    markdown = ledger.as_markdown(told(tmp_path), {"toy-quick": "ledger/toy-quick.svg"})
    row = next(line for line in markdown.splitlines() if "A better arm" in line)
    assert row.replace("\\|", "").count("|") == 8
    assert "![What is better is better.](ledger/toy-quick.svg)" in markdown


def test_the_ledger_is_counted_in_a_line(tmp_path):
    said = ledger.counted(told(tmp_path))
    assert said == (
        "1 claims: 1 reproduced, 0 not reproduced, 0 inconclusive; 1 of 1 negative controls null"
    )


def test_the_page_says_all_of_it_and_loads_nothing(tmp_path):
    (entry,) = ledger.entries([kept(tmp_path)], tmp_path)
    study = ledger.as_object(entry) | {"title": "<script>alert(1)</script>"}
    text = page([study], {"toy-quick": entry.figure}, "counted")
    assert "<script>alert" not in text
    assert "A better arm | is better." in text
    assert "connect-src &#39;none&#39;" in text
    assert 'class="chip null"' in text
    assert "Loss by arm." in text


def test_a_figure_that_cannot_be_drawn_says_of_which_study(tmp_path):
    study = kept(tmp_path)
    path = study.file
    path.write_text(path.read_text().replace('rows["loss"].tolist()', 'rows["los"]'))
    _from_file.cache_clear()
    with pytest.raises(CallError, match="figure of toy cannot be drawn: KeyError: 'los'"):
        list(ledger.entries([find_study(str(path))], tmp_path))


def called(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


def test_the_report_is_written_as_a_page_and_as_markdown_with_its_figures(tmp_path):
    study = kept(tmp_path)
    where = ["--folder", tmp_path, "-o", tmp_path / "l.html", "-o", tmp_path / "docs" / "l.md"]
    ended = called("report", study.file, *where)
    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "l.html").read_text().startswith("<!doctype html>")
    assert "](l/toy-quick.svg)" in (tmp_path / "docs" / "l.md").read_text()
    assert (tmp_path / "docs" / "l" / "toy-quick.svg").read_text().startswith("<svg")
    assert "1 claims: 1 reproduced" in ended.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "name studies, or say --all"),
        (["run", "init-moments", "--all"], "name studies, or say --all"),
        (["run", "init"], "there is no study 'init'. There is: init-moments."),
        (["run", "gone.py"], "there is no file"),
        (["report", "-o", "ledger.pdf"], "has to end in .html or .md"),
        (["report", "--folder", "nowhere"], "no rows in nowhere: run a study first"),
    ],
)
def test_a_wrong_call_is_told_with_the_next_step(arguments, said):
    error = called(*arguments).exception
    assert isinstance(error, CallError)
    assert said in str(error)


def test_a_file_without_a_study_says_what_is_missing(tmp_path):
    (tmp_path / "empty.py").write_text("")
    error = called("run", tmp_path / "empty.py").exception
    assert "it has to set STUDY = Study(...)" in str(error)


def test_what_is_missing_to_run_studies_is_one_message(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    error = called("run", "--all").exception
    assert isinstance(error, CallError)
    assert "pip install 'torchdx[lab]'" in str(error)


def test_studies_are_listed_with_their_claims():
    ended = called("list")
    assert ended.exit_code == 0
    assert "loss-reduction" in ended.output
    assert "control: With one row a batch, sum and mean are the same to the bit." in ended.output
