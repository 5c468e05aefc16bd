"""A control that interrupts the drill at the hook its argument names."""

from chaoslib.exceptions import InterruptExecution


def stop_at(hook):
    def control(context, at, name=None, **kwargs):
        if at == hook and (name is None or context.get("name") == name):
            raise InterruptExecution("stopped at " + hook)

    return control


before_experiment_control = stop_at("before experiment")
before_hypothesis_control = stop_at("before hypothesis")
after_hypothesis_control = stop_at("after hypothesis")
before_method_control = stop_at("before method")
after_method_control = stop_at("after method")
before_activity_control = stop_at("before activity")
after_activity_control = stop_at("after activity")
before_rollback_control = stop_at("before rollback")
