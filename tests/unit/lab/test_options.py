"""Options of lists and watches that contradict each other are refused in Kubernetes' words."""

from functools import partial

import pytest
from multidict import MultiDict

from canary_tutorial.lab.api.options import ListOptions, dry_run, flag
from canary_tutorial.lab.errors import Invalid

LIST, WATCH = partial(ListOptions.read, watch=False), partial(ListOptions.read, watch=True)
FINE = {
    "a plain list": (LIST, {}),
    "a list as of a version": (LIST, {"resourceVersion": "7", "resourceVersionMatch": "Exact"}),
    "a list from the cache": (LIST, {"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"}),
    "a plain watch": (WATCH, {"resourceVersion": "7"}),
    "a watch that lists": (WATCH, {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}),
}
REFUSED = {
    "a match without a version": (LIST, {"resourceVersionMatch": "Exact"},
                                  "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
    "a match and a next page": (LIST,
                                {"resourceVersion": "7", "resourceVersionMatch": "Exact", "continue": "x"},
                                "Forbidden: resourceVersionMatch is forbidden when continue is provided"),
    "an unknown match": (LIST, {"resourceVersion": "7", "resourceVersionMatch": "Newer"},
                         'Unsupported value: "Newer": supported values: "Exact", "NotOlderThan", ""'),
    "exactly anything": (LIST, {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
                         'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    "a list with initial events": (LIST, {"sendInitialEvents": "true"},
                                   "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
    "initial events without a match": (WATCH, {"sendInitialEvents": "true"},
                                       "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    "a watch with a match": (WATCH, {"resourceVersionMatch": "NotOlderThan"},
                             "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
    "two faults": (WATCH, {"resourceVersionMatch": "Exact", "sendInitialEvents": "true"},
                   'is invalid: [resourceVersionMatch: Forbidden: sendInitialEvents requires'),
}  # fmt: skip


@pytest.mark.parametrize("case", FINE)
def test_options_that_go_together_are_taken(case: str) -> None:
    check, query = FINE[case]
    check(query)


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_do_not_go_together_are_refused(case: str) -> None:
    check, query, text = REFUSED[case]
    with pytest.raises(Invalid) as refused:
        check(query)
    assert text in refused.value.message
    assert refused.value.message.startswith('ListOptions.meta.k8s.io "" is invalid: ')


@pytest.mark.parametrize(
    ("text", "is_true"), [("", True), ("1", True), ("True", True), ("x", True), ("0", False), ("False", False)]
)
def test_a_boolean_is_read_as_go_reads_it(text: str, is_true: bool) -> None:
    assert flag({"watch": text}, "watch") is is_true
    assert not flag({}, "watch")


@pytest.mark.parametrize("of", ["CreateOptions", "DeleteOptions"])
def test_a_dry_run_of_another_kind_is_refused_with_what_was_asked(of: str) -> None:
    with pytest.raises(Invalid) as refused:
        dry_run(MultiDict(dryRun="Some"), of)
    assert refused.value.message == (
        f'{of}.meta.k8s.io "" is invalid: dryRun: Unsupported value: "Some": supported values: "All"'
    )
