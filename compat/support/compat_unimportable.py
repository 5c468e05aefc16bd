"""Fails on import with something other than ImportError."""

raise RuntimeError("this module cannot be imported")
