//! nftables over netlink: tables owned by a descriptor, chains, timed sets, rules and counters.
