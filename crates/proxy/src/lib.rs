//! The fault proxy: live traffic passes through, untouched unless a fault is on it.
//!
//! Map:
//! - [`chance`]: decisions that can be repeated; pure;
//! - [`stream`]: what faults do to one direction of a connection; pure;
//! - [`message`]: protocols, and what faults do to one request; pure;
//! - [`arms`]: control and experiment, two shares of the traffic; pure;
//! - [`users`]: users of both arms, each counted once; pure;
//! - [`datagram`]: what faults do to datagrams; pure;
//! - [`tls`]: TLS ended, begun, or led by its name; certificates with a flaw;
//! - [`group`]: endpoints behind a route: balance, health, drain;
//! - [`fabric`]: routes that are opened, changed and closed while connections run;
//! - [`interception`]: connections that rules of the kernel lead here;
//! - [`handover`]: one proxy takes over from another;
//! - [`toxiproxy`]: Toxiproxy's HTTP interface to them;
//! - `reactor`: threads, sockets and timers behind it.
//!
//! Deliberately absent: changing where an application's traffic goes (`faults`), judging what
//! comes of a fault (`judge`), and undo: a proxy that ends takes its faults with it.

pub mod arms;
pub mod chance;
mod counters;
pub mod datagram;
pub mod fabric;
pub mod group;
pub mod handover;
mod histogram;
pub mod interception;
pub mod message;
mod reactor;
mod route;
pub mod stream;
pub mod tls;
pub mod toxiproxy;
pub mod users;

pub use counters::{Bytes, Passed, Requests};
pub use fabric::{ARMS_MOST, Drained, Fabric, Options, RouteConfig, RouteError};
pub use histogram::Times;
pub use route::{Faults, FlowLimits, Upstream};
