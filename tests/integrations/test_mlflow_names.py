"""The names that MLflow allows."""

from torchdx.integrations.to_mlflow import _Names


def test_what_mlflow_does_not_allow_becomes_an_underscore():
    assert _Names().of("activation.std/<b>ä</b>.0") == "activation.std/_b_ä_/b_.0"
    assert _Names().of("a/../b//.") == "a/_/b/_/_"


def test_different_names_stay_apart_and_a_name_stays_itself():
    names = _Names()
    assert [names.of(name) for name in ("a<", "a>", "a_", "a<")] == ["a_", "a_ 2", "a_ 3", "a_"]


def test_names_are_cut_to_the_length_that_mlflow_allows():
    names = _Names()
    first, second = names.of("x" * 300), names.of("x" * 301)
    assert first != second
    assert max(len(first), len(second)) <= 250
