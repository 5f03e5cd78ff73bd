import pytest

from torchdx.record.model import Record
from torchdx.rules import ranking
from torchdx.rules.base import Finding, Rule


def told(monkeypatch, **said):
    """The diagnosis of rules that each find something: code="severity silences ..."."""

    def made(code, severity, silences):
        check = lambda _record: [Finding("", severity=severity)]  # noqa: E731
        return Rule(code, code.lower(), "", check, frozenset(silences))

    rules = tuple(made(c, words.split()[0], words.split()[1:]) for c, words in said.items())
    monkeypatch.setattr(ranking, "all_rules", lambda: rules)
    return ranking.diagnose(Record())


def test_of_two_that_explain_each_other_the_surer_is_the_cause(monkeypatch):
    found = told(monkeypatch, A1="suspicion L1", L1="fault A1")
    assert [f.code for f in found.findings] == ["L1"]
    assert [(f.code, cause) for f, cause in found.silenced] == [("A1", "L1")]
    assert found.chains == {"L1": ("A1",)}


def test_two_that_are_equally_sure_of_each_other_both_stay_and_no_chain_joins_them(monkeypatch):
    found = told(monkeypatch, A1="fault L1", L1="fault A1")
    assert [f.code for f in found.findings] == ["L1", "A1"]
    assert found.chains == {}


@pytest.mark.parametrize("first", ["fault", "suspicion"])
def test_a_circle_of_three_leaves_a_cause(monkeypatch, first):
    found = told(monkeypatch, A1=f"{first} O1", O1="suspicion L1", L1="suspicion A1")
    assert found.findings
    chained = [code for root, chain in found.chains.items() for code in (root, *chain)]
    assert len(chained) == len(set(chained))


def test_a_chain_goes_from_cause_to_symptom_to_its_symptom(monkeypatch):
    found = told(monkeypatch, L1="fault A1", A1="fault O1", O1="suspicion")
    assert [f.code for f in found.findings] == ["L1"]
    assert found.chains == {"L1": ("A1", "O1")}


def test_a_note_explains_nothing(monkeypatch):
    found = told(monkeypatch, L1="note A1", A1="suspicion")
    assert {f.code for f in found.findings} == {"L1", "A1"}
