//! Real servers behind the proxy, and their real clients in front of it: errors and delays arrive,
//! and what is not touched passes.

#![expect(clippy::print_stdout, reason = "what was skipped, and why")]

mod bed;
mod mariadb;
mod postgres;
mod redis;
