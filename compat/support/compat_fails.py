"""A control each of whose hooks fails; the drill goes on."""


def before_activity_control(context, **kwargs):
    raise RuntimeError("before failed")


def after_activity_control(context, state, **kwargs):
    state["touched"] = "before the failure"
    raise RuntimeError("after failed")


def before_method_control(context):
    raise RuntimeError("method failed")


def before_experiment_control(context, absent_argument):
    return None
