"""Options of lists and watches that contradict each other are refused in Kubernetes' words."""

import pytest

from canary_tutorial.lab.api import options
from canary_tutorial.lab.errors import Invalid

FINE = {
    "a plain list": (options.check_list, {}),
    "a list as of a version": (options.check_list, {"resourceVersion": "7", "resourceVersionMatch": "Exact"}),
    "a list from the cache": (options.check_list, {"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"}),
    "a plain watch": (options.check_watch, {"resourceVersion": "7"}),
    "a watch that lists": (options.check_watch, {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}),
}
REFUSED = {
    "a match without a version": (options.check_list, {"resourceVersionMatch": "Exact"},
                                  "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
    "a match and a next page": (options.check_list,
                                {"resourceVersion": "7", "resourceVersionMatch": "Exact", "continue": "x"},
                                "Forbidden: resourceVersionMatch is forbidden when continue is provided"),
    "an unknown match": (options.check_list, {"resourceVersion": "7", "resourceVersionMatch": "Newer"},
                         'Unsupported value: "Newer": supported values: "Exact", "NotOlderThan", ""'),
    "exactly anything": (options.check_list, {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
                         'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    "a list with initial events": (options.check_list, {"sendInitialEvents": "true"},
                                   "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
    "initial events without a match": (options.check_watch, {"sendInitialEvents": "true"},
                                       "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    "a watch with a match": (options.check_watch, {"resourceVersionMatch": "NotOlderThan"},
                             "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
    "two faults": (options.check_watch, {"resourceVersionMatch": "Exact", "sendInitialEvents": "true"},
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
