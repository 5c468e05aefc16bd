"""A control that refuses its own declaration."""

from chaoslib.exceptions import InvalidActivity


def validate_control(control):
    if not control["provider"].get("arguments", {}).get("allowed"):
        raise InvalidActivity("this control needs `allowed`")
