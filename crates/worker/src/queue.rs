//! The packet queue: a netfilter queue whose packets are held, dropped, changed or sent twice.
