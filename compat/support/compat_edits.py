"""A control that edits what it is given; the edits show in the journal."""


def before_activity_control(context, configuration, to=None, **kwargs):
    if to is not None:
        context["provider"].setdefault("arguments", {})["value"] = to
    configuration["seen"] = context["name"]


def after_activity_control(context, state, mark="edited", **kwargs):
    state["mark"] = mark


def after_hypothesis_control(context, state, **kwargs):
    state["mark"] = "hypothesis"


def after_experiment_control(context, state, **kwargs):
    state["mark"] = "journal"
