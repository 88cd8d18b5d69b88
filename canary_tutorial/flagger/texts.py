"""The text of every event, to the letter as Flagger writes it: some name the Canary, some its target."""

from __future__ import annotations

from canary_tutorial.flagger.spec import Canary

SUSPENDED = "skipping canary run as object is suspended"
PROVIDERS_AVAILABLE = "all the metrics providers are available!"
TO_PRIMARY = "Routing all traffic to primary"
TO_CANARY = "Routing all traffic to canary"
TO_CANARY_FROM_MIRROR = "Stop traffic mirroring and route all traffic to canary"
NO_METRIC = "Metric query failed for no usable metrics template and query were configured"


def _canary(c: Canary) -> str:
    return f"{c.name}.{c.namespace}"


def _target(c: Canary) -> str:
    return f"{c.target}.{c.namespace}"


def _primary(c: Canary) -> str:
    return f"{c.primary}.{c.namespace}"


def providers_unavailable(why: str) -> str:
    return f"Error checking metric providers: {why}"


def initialized(c: Canary) -> str:
    return f"Initialization done! {_canary(c)}"


def new_revision(c: Canary) -> str:
    return f"New revision detected! Scaling up {_target(c)}"


def restarting(c: Canary) -> str:
    return f"New revision detected! Restarting analysis for {_target(c)}"


def starting(c: Canary) -> str:
    return f"Starting canary analysis for {_target(c)}"


def canary_weight(c: Canary, weight: int) -> str:
    return f"Advance {_canary(c)} canary weight {weight}"


def primary_weight(c: Canary, weight: int) -> str:
    return f"Advance {_canary(c)} primary weight {weight}"


def iteration(c: Canary, number: int) -> str:
    return f"Advance {_canary(c)} canary iteration {number}/{c.iterations}"


def copying(c: Canary) -> str:
    return f"Copying {_target(c)} template spec to {_primary(c)}"


def promoted(c: Canary) -> str:
    return f"Promotion completed! Scaling down {_target(c)}"


def skipped(c: Canary) -> str:
    return f"Promotion completed! Canary analysis was skipped for {_target(c)}"


def threshold_reached(c: Canary, failed: int) -> str:
    return f"Rolling back {_canary(c)} failed checks threshold reached {failed}"


def rollback_asked(c: Canary) -> str:
    return f"Rolling back {_canary(c)} manual webhook invoked"


def failed(c: Canary) -> str:
    return f"Canary failed! Scaling down {_canary(c)}"


def promotion_failed(c: Canary, why: str) -> str:
    return f"Promotion of {_target(c)} failed, primary not ready: {why}"


def unreadable(c: Canary, why: str) -> str:
    return f"Canary {_canary(c)} cannot be read: {why}"


def unreadable_object(c: Canary, error: Exception) -> str:
    return f"an object that Canary {_canary(c)} needs cannot be read: {error!r}"


def no_target(c: Canary) -> str:
    return f"Canary {_canary(c)} has no spec.targetRef.name"


def not_built_in(what: str, given: str, known: str) -> str:
    return f"the {what} {given} is not built in here, only {known} is"


def canary_not_scaled_down(c: Canary) -> str:
    return f"scaling down canary {c.kind} {_target(c)} failed"


def terminating(c: Canary) -> str:
    return f"Terminating canary {_canary(c)}"


def terminated(c: Canary) -> str:
    return f"Terminated canary {_canary(c)}"


def primary_not_ready(c: Canary, why: str) -> str:
    return f"{_primary(c)} not ready: {why}"


def target_not_ready(c: Canary, why: str) -> str:
    return f"canary deployment {_target(c)} not ready: {why}"


# -- gates and hooks


def passed(what: str, hook: str) -> str:
    return f"{what} check {hook} passed"


def waiting(c: Canary, approval: str, hook: str) -> str:
    return f"Halt {_canary(c)} advancement waiting for {approval} {hook}"


def hook_failed(c: Canary, what: str, hook: str, why: str) -> str:
    return f"Halt {_canary(c)} advancement {what} check {hook} failed {why}"


def no_rollback(hook: str) -> str:
    return f"Rollback hook {hook} not signaling a rollback"


def post_rollout_failed(hook: str, why: str) -> str:
    return f"Post-rollout hook {hook} failed {why}"


# -- metrics


def halt(c: Canary, what: str) -> str:
    return f"Halt {_canary(c)} advancement {what}"


def no_client(server: str, why: str) -> str:
    """What follows on "Error" in an analysis, on "error" while a Canary initializes."""
    return f"building Prometheus client for {server} {why}"


def no_traffic(c: Canary, provider: str, metric: str, suffix: str = "") -> str:
    text = f"Halt advancement no values found for {provider} metric {metric}"
    return f"{text} probably {_target(c)} is not receiving traffic{suffix}"


def no_values(metric: str) -> str:
    return f"Halt advancement no values found for metric: {metric}"


def no_custom_values(metric: str) -> str:
    return f"Halt advancement no values found for custom metric: {metric}: no values found"
