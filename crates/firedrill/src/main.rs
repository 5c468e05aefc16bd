//! `firedrill`: the command line. The only place of the workspace that prints or ends the process.
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`] | the words: help, completions and the man page come from them |
//! | [`command`] | one module per command |
//! | [`early`] | what must happen before anything else: being the guardian, being the shop |
//! | [`document`] | documents read from files and URLs |
//! | [`recovery`] | what a dead drill left is undone before a command begins |
//! | [`output`], [`failure`], [`exit`] | data, diagnostics, and what the exit code says |
//! | [`drill`], [`verdict`] | one drill, held and put into words |
//! | [`host`], [`words`], [`nearest`] | people, processes and numbers by name; "did you mean" |
//!
//! Deliberately absent: a runtime that every command waits for (only those that need tokio start
//! it), and any judgement: what a verdict is, is decided below.

mod cli;
mod command;
mod document;
mod drill;
mod early;
mod exit;
mod failure;
mod host;
mod nearest;
mod output;
mod recovery;
mod verdict;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = early::dispatch() {
        return code;
    }
    match cli::parse() {
        Ok(cli) => command::execute(&cli),
        Err(code) => code,
    }
}
