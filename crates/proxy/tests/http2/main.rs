//! HTTP/2 through a session, between peers that are not ours.

mod calls;
mod fabric;
mod peers;
mod requests;
mod tools;
