//! The command line as a person meets it: status, standard output, standard error.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; one that is skipped says so"
)]

mod apart;
mod canary;
mod documents;
mod drills;
mod guard;
mod help;
mod live;
mod margin;
mod mistakes;
mod newcomers;
mod place;
mod privileges;
mod proxy;
mod refusals;
mod reports;
mod skew;
mod sources;
mod terminal;
mod together;
mod users;
