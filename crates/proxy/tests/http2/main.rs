//! HTTP/2 through a session, between peers that are not ours.

mod calls;
mod fabric;
mod peers;
mod requests;
#[path = "../shared/nginx.rs"]
mod server;
mod tools;
