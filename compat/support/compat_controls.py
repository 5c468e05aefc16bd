"""Controls for the compatibility documents. Each hook appends its name to the
journal's `experiment.extensions`, so that order and arguments show in the journal."""

from chaoslib.exceptions import InterruptExecution
from chaoslib.extension import get_extension, merge_extension


def note(experiment, text):
    if experiment is None:
        return
    trace = get_extension(experiment, "trace")
    if trace is None:
        merge_extension(experiment, {"name": "trace", "hooks": []})
        trace = get_extension(experiment, "trace")
    trace["hooks"].append(text)


def configure_control(experiment, configuration=None, secrets=None, settings=None, label="c", **kwargs):
    note(experiment, "%s configure" % label)


def before_experiment_control(context, experiment, label="c", **kwargs):
    note(experiment, "%s before experiment" % label)


def after_experiment_control(context, experiment, state, label="c", **kwargs):
    note(experiment, "%s after experiment %s" % (label, state["status"]))


def before_hypothesis_control(context, experiment, label="c", **kwargs):
    note(experiment, "%s before hypothesis %s" % (label, context["title"]))


def after_hypothesis_control(context, experiment, state, label="c", **kwargs):
    note(experiment, "%s after hypothesis %s" % (label, state["steady_state_met"]))


def before_method_control(context, experiment, label="c", **kwargs):
    note(experiment, "%s before method" % label)


def after_method_control(context, experiment, state, label="c", **kwargs):
    note(experiment, "%s after method %d" % (label, len(state)))


def before_rollback_control(context, experiment, label="c", **kwargs):
    note(experiment, "%s before rollback" % label)


def after_rollback_control(context, experiment, state, label="c", **kwargs):
    note(experiment, "%s after rollback %d" % (label, len(state)))


def before_activity_control(context, experiment, label="c", **kwargs):
    note(experiment, "%s before %s" % (label, context["name"]))


def after_activity_control(context, experiment, state, label="c", **kwargs):
    note(experiment, "%s after %s %s" % (label, context["name"], (state or {}).get("status")))
