//! Control groups of both versions: finding the one that works, limits, members.
