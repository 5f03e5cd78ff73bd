import pytest

from tests.lab.made_up import claim
from torchdx.errors import CallError
from torchdx.lab.study import Study, find_study, study_names
from torchdx.report.charts.base import Figure


def made(**more):
    plain = {
        "name": "a-study",
        "title": "T.",
        "source": "s",
        "run": lambda *_: [],
        "figure": lambda _: Figure("a", "A", "a", {}),
        "claims": (claim(), claim(name="null", control=True)),
    }
    return Study(**(plain | more))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": "A study"}, "no name in kebab-case"),
        ({"claims": (claim(), claim(control=True))}, "two claims of one name"),
        ({"claims": (claim(),)}, "needs a claim and a negative control"),
        ({"claims": (claim(control=True),)}, "needs a claim and a negative control"),
    ],
)
def test_a_study_that_lacks_something_is_refused(more, said):
    with pytest.raises(CallError, match=said):
        made(**more)


@pytest.mark.parametrize("name", study_names())
def test_every_study_is_found_by_its_name_and_says_where_it_is_from(name):
    study = find_study(name)
    assert study.name == name
    assert study.source
    assert study.setting
    assert study.title.endswith((".", "?"))
    assert study.seeds["quick"] >= 5
    for each in study.claims:
        assert each.sentence.endswith((".", ")"))
        assert each.delta >= 0
