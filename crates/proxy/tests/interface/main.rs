//! Toxiproxy's HTTP interface, asked over real sockets as its clients ask it.

mod bed;
mod endpoints;
mod errors;
mod http;
mod proxies;
mod tls;
mod toxics;
mod users;
