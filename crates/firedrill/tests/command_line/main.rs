//! The command line as a person meets it: status, standard output, standard error.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod documents;
mod drills;
mod help;
mod place;
mod privileges;
mod refusals;
mod reports;
mod skew;
