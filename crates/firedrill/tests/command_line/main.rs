//! The command line as a person meets it: status, standard output, standard error.

mod documents;
mod drills;
mod help;
mod place;
mod refusals;
mod reports;
