//! Netlink: messages, attributes, acknowledgements and dumps.
