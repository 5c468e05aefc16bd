//! Faults of the application: answers that come late, wrong or not at all, from a fault proxy that
//! its requests pass anyway.

pub mod http_error;
pub mod latency;
pub mod reset;
mod route;

pub use route::proxy_at;
