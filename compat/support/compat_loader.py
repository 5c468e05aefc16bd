"""A global control of loading: marks the experiment that was loaded."""


def before_loading_experiment_control(context, **kwargs):
    assert isinstance(context, str)


def after_loading_experiment_control(context, state, **kwargs):
    state.setdefault("tags", []).append("loaded")
