"""What stays of a trial, written and read again; without running any."""

import json
from pathlib import Path

import pytest

from torchdx.record.writer import Writer
from torchdx.rules.base import Prescription
from torchdx.treatments.base import Treatment
from torchdx.trials import kept
from torchdx.trials.edits import Edit
from torchdx.trials.plan import AGAIN, AS_IS, TREATED, Arm, Plan
from torchdx.trials.runner import Run, Trial

EDIT = Edit("/home/me/train.py", 14, "take the mean (train.py:14)", "--- a/train.py\n")
STARTED = 1_700_000_000.25


def plan(started=STARTED, code="L09"):
    change = Prescription("reduction", "take the mean", to="mean")
    arms = Arm(AS_IS), Arm(TREATED, (change,)), Arm("lr / 3", control=True)
    return Plan(
        code=code,
        name="summed-loss",
        prescription=change,
        treatment=Treatment("reduction", lambda *_: None),
        arms=arms,
        argv=("train.py",),
        module=False,
        cwd=".",
        steps=60,
        expected=60,
        seeds=(0, 1, 2, 3, 4),
        started=started,
    )


def run(arm, seed, loss, **facts):
    told = ("L09", "O01") if arm in {AS_IS, AGAIN} else ()
    return Run(arm, seed, {"rows.loss": loss}, told, 2.5, 60, 1, **{"sick": told, **facts})


def trial(run_name="a", *, seeds=5, **about):
    """Five seeds from 2.3 to 0.4, and a control that stays at 2."""
    made = Trial(plan(**about), Path(f".torchdx/trials/{run_name}-{about.get('code', 'L09')}"))
    made.add(run(AS_IS, 0, 2.3, losses="x"))
    made.add(run(AGAIN, 0, 2.3, losses="x", kept=True))
    for seed in range(seeds):
        made.add(run(TREATED, seed, (40 + seed) / 100, elsewhere=("log.txt",)))
        made.add(run("lr / 3", seed, 2.0))
        if seed:
            made.add(run(AS_IS, seed, 2.3 + seed / 100))
    return made


def write(made, edit=EDIT):
    made.folder.mkdir(parents=True, exist_ok=True)
    kept.write(made, edit)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record(".torchdx/a.dx")
    return tmp_path


def record(path, started=STARTED):
    writer = Writer(Path(path))
    writer.append({"e": "meta", "started": started}, now=True)
    writer.close()
    return Path(path)


def test_a_trial_is_kept_with_all_that_its_table_showed(here):
    write(trial())
    (found,) = kept.trials_of(Path(".torchdx/a.dx"))
    assert (found["schema"], found["run"], found["code"], found["name"]) == (
        *(kept.SCHEMA, "a"),
        *("L09", "summed-loss"),
    )
    assert found["prescription"]["text"] == "take the mean"
    assert found["measure"] == {
        "key": "rows.loss",
        "words": "loss of rows trained on, by the final model",
        "unit": "nats",
        "higher": False,
    }
    assert (found["seeds"], found["steps"], found["started"]) == ([0, 1, 2, 3, 4], 60, STARTED)
    assert [(arm["name"], arm["control"]) for arm in found["arms"]] == [
        ("as it is", False),
        ("as it is, again", False),
        ("treated", False),
        ("lr / 3", True),
    ]
    treated = found["arms"][2]
    assert treated["values"] == {"0": 0.4, "1": 0.41, "2": 0.42, "3": 0.43, "4": 0.44}
    assert set(treated["told"].values()) == {False}
    assert set(found["arms"][0]["told"].values()) == {True}
    assert (treated["wall_s"]["0"], treated["steps"]["0"], treated["errors"]) == (2.5, 60, {})
    assert found["means"]["treated"] == pytest.approx(0.42)
    assert found["verdict"] == {"word": "cured", "because": ""}
    assert found["effect"]["against"] == "as it is"
    assert found["effect"]["mean"] == pytest.approx(1.9)
    assert 0 < found["effect"]["low"] <= found["effect"]["mean"] <= found["effect"]["high"]
    assert (found["effect"]["seeds"], found["rivals"][0]["against"]) == (5, "lr / 3")
    assert (found["repeats"], found["noise"]) == (True, 0.0)
    assert (found["went"], found["came"], found["elsewhere"]) == (["O01"], [], ["log.txt"])
    assert found["cost_s"] == pytest.approx(2.5 * 15)
    assert found["edit"] == {
        "file": "/home/me/train.py",
        "line": 14,
        "words": "take the mean (train.py:14)",
        "diff": "--- a/train.py\n",
    }


def test_what_is_not_known_is_null_and_the_file_is_plain_json(here):
    made = Trial(plan(), Path(".torchdx/trials/a-L09"))
    made.add(run(AS_IS, 0, 2.3))
    made.add(run(TREATED, 0, 0.4))
    made.add(run("lr / 3", 0, float("nan"), error="it ended with status 1"))
    write(made, "by hand: take the mean")
    text = Path(".torchdx/trials/a-L09/trial.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (found["effect"]["low"], found["effect"]["high"]) == (None, None)
    assert (found["edit"], found["no_edit"]) == (None, "by hand: take the mean")
    assert (found["repeats"], found["noise"]) == (None, None)
    control = found["arms"][-1]
    assert (control["values"], control["errors"]) == ({"0": None}, {"0": "it ended with status 1"})
    assert found["verdict"]["word"] == "cannot tell"
    assert "1 seed cannot decide" in found["verdict"]["because"]


def test_a_trial_in_which_nothing_was_measured_is_kept_too(here):
    made = Trial(plan(), Path(".torchdx/trials/a-L09"), ended="the program does not run: no file")
    made.add(Run(AS_IS, 0, {}, (), 1.0, 0, 0, error="no file"))
    write(made)
    (found,) = kept.trials_of(Path(".torchdx/a.dx"))
    assert (found["measure"], found["means"], found["effect"]) == (None, {}, None)
    assert found["verdict"] == {
        "word": "cannot tell",
        "because": "the program does not run: no file",
    }
    assert kept.in_words(found) == "L09: cannot tell: the program does not run: no file"


def test_an_interrupted_trial_is_kept_but_one_without_a_run_leaves_what_was(here):
    made = trial(seeds=2)
    made.interrupted, made.ended = True, "interrupted; the same command goes on from here"
    write(made)
    write(Trial(plan(), made.folder, interrupted=True))
    (found,) = kept.trials_of(Path(".torchdx/a.dx"))
    assert found["interrupted"]
    assert found["verdict"]["because"].endswith("interrupted; the same command goes on from here")
    assert len(found["arms"][2]["values"]) == 2


def test_a_file_that_cannot_be_written_leaves_the_last_one_whole(here, monkeypatch):
    write(trial())
    before = kept.trials_of(Path(".torchdx/a.dx"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write(trial(seeds=1))
    assert kept.trials_of(Path(".torchdx/a.dx")) == before


def test_trials_come_in_the_order_in_which_they_were_made(here, monkeypatch):
    for at, code in ((20.0, "A01"), (10.0, "L09"), (30.0, "D01")):
        monkeypatch.setattr(kept.time, "time", lambda at=at: at)
        write(trial(code=code))
    assert [t["code"] for t in kept.trials_of(Path(".torchdx/a.dx"))] == ["L09", "A01", "D01"]


def test_other_runs_have_their_own(here):
    for name in ("a", "a-b", "[ab]"):
        record(f".torchdx/{name}.dx")
        write(trial(name))
    for name in ("a", "a-b", "[ab]"):
        assert [t["run"] for t in kept.trials_of(Path(f".torchdx/{name}.dx"))] == [name]
    assert kept.trials_of(Path(".torchdx/none.dx")) == []


def test_an_earlier_run_of_the_same_name_has_left_its_trials_to_nobody(here):
    write(trial(started=STARTED - 60))
    assert kept.trials_of(Path(".torchdx/a.dx")) == []
    write(trial(started=None))
    assert len(kept.trials_of(Path(".torchdx/a.dx"))) == 1


def test_a_record_elsewhere_finds_the_trials_that_were_made_here_and_beside_it(here, monkeypatch):
    away = here / "away"
    away.mkdir()
    elsewhere = record(away / "a.dx")
    write(trial())
    assert len(kept.trials_of(elsewhere)) == 1
    monkeypatch.chdir(away)
    assert kept.trials_of(elsewhere) == []
    assert len(kept.trials_of(here / ".torchdx" / "a.dx")) == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": 1}', "\x00\x01", "null"])
def test_damaged_files_are_left_aside(here, content):
    write(trial())
    damaged = Path(".torchdx/trials/a-O01/trial.json")
    damaged.parent.mkdir()
    damaged.write_text(content)
    assert [t["code"] for t in kept.trials_of(Path(".torchdx/a.dx"))] == ["L09"]


def test_other_schemas_are_left_aside(here):
    write(trial())
    path = Path(".torchdx/trials/a-L09/trial.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 2}))
    assert kept.trials_of(Path(".torchdx/a.dx")) == []


def test_a_line_tells_the_verdict_and_both_means(here):
    write(trial())
    (found,) = kept.trials_of(Path(".torchdx/a.dx"))
    words = "loss of rows trained on, by the final model"
    assert kept.in_words(found) == f"L09: cured, 2.32 → 0.42 {words}"


def test_every_field_is_documented(here):
    described = (Path(__file__).parents[2] / "docs" / "findings-schema.md").read_text()
    found = json.loads(json.dumps(kept.as_object(trial(), EDIT)))
    fields = [*found, *found["arms"][0], *found["effect"], *found["edit"], *found["measure"]]
    assert [field for field in fields if f"`{field}`" not in described] == []
