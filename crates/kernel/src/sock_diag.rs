//! Sockets by sock_diag: listing and destroying.
