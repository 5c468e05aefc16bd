//! A first experiment, from what runs here.

mod services;
mod written;

use std::io::{self, IsTerminal as _};

use firedrill_experiment::document::Strictness;
use firedrill_experiment::{Experiment, Format, Source};
use serde_json::json;

use super::report::write;
use crate::cli::InitArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::host::pid_name;
use crate::output::{BOLD, DIM, NAME, Out};
use services::{Service, services};
use written::Answers;

pub(super) fn execute(args: &InitArgs, out: &Out) -> Result<Exit, Failure> {
    if args.file.exists() && !args.force {
        return Err(Failure::usage(format!("{} exists", args.file.display()))
            .hint("--force replaces it, -o writes another"));
    }
    let answers = match (&args.url, args.yes || !io::stdin().is_terminal()) {
        (Some(url), _) => answer(url, args.process.as_deref())?,
        (None, true) => {
            return Err(Failure::usage(
                "nobody can be asked, and --url does not say what to drill",
            )
            .hint("firedrill init --url http://127.0.0.1:8080/ --process name=NAME"));
        }
        (None, false) => ask(args, out)?,
    };
    let text = written::document(&answers);
    check(&text)?;
    write(&args.file, text.as_bytes())?;
    let file = args.file.display();
    if out.is_json() {
        out.json(&json!({ "document": args.file, "url": answers.url, "target": answers.target }))?;
        return Ok(Exit::Held);
    }
    out.line(format!(
        "{BOLD}{file}{BOLD:#}: pauses {} while {} must keep answering\n\nNext:\n  \
         {NAME}firedrill plan {file}{NAME:#}   what it would hit, and how long it takes\n  \
         {NAME}firedrill run {file}{NAME:#}    the drill",
        answers.target, answers.url
    ))?;
    Ok(Exit::Held)
}

/// What is written must run; a slip here is ours.
fn check(text: &str) -> Result<(), Failure> {
    let source = Source::new("experiment.yaml", text);
    let reading = Experiment::read(&source, Format::Yaml, Strictness::Strict);
    match reading.diagnostics.has_errors() {
        false => Ok(()),
        true => Err(
            Failure::new(Exit::Usage, reading.diagnostics.lines().join("; "))
                .context("with these answers there is no valid experiment"),
        ),
    }
}

/// From the options alone.
fn answer(url: &str, process: Option<&str>) -> Result<Answers, Failure> {
    let port = services::port_of(url).ok_or_else(|| {
        Failure::usage(format!("{url} is not an http(s) URL")).hint("http://127.0.0.1:8080/")
    })?;
    let target = match process {
        Some(selector) => selector.parse().map_err(Failure::usage)?,
        None => {
            let found = services().into_iter().find(|service| service.port == port);
            let pid = found.and_then(|service| service.pid).ok_or_else(|| {
                Failure::usage(format!("no process of yours listens on port {port}"))
                    .hint("--process pid=N, name=NAME or command=PATTERN says what to pause")
            })?;
            services::selector(pid)
        }
    };
    Ok(Answers {
        url: url.to_owned(),
        target,
    })
}

fn ask(args: &InitArgs, out: &Out) -> Result<Answers, Failure> {
    let found = services();
    if found.is_empty() {
        out.note("Nothing that listens on this machine can be seen.");
    } else {
        out.note(format!("{BOLD}What listens on this machine{BOLD:#}"));
    }
    for (at, service) in found.iter().enumerate() {
        let who = service
            .pid
            .map_or_else(|| "another user's".to_owned(), pid_name);
        let speaks = if service.speaks_http {
            ""
        } else {
            "  (does not answer HTTP)"
        };
        out.note(format!(
            "  {:>2}  {:<24} {who}{DIM}{speaks}{DIM:#}",
            at + 1,
            service.url()
        ));
    }
    let url = loop {
        out.ask("Which address must keep answering? (number or URL) ");
        let said = line()?;
        match choose(&said, &found) {
            Some(url) => break url,
            None => {
                out.note(format!(
                    "`{said}` is neither a number of the list nor an http(s) URL"
                ));
            }
        }
    };
    if let Some(selector) = &args.process {
        return answer(&url, Some(selector));
    }
    let suggested = services::port_of(&url)
        .and_then(|port| found.iter().find(|service| service.port == port))
        .and_then(|service| service.pid)
        .map(services::selector);
    loop {
        let choices = match &suggested {
            Some(target) => format!("[{target}]"),
            None => "(pid=N, name=NAME, command=PATTERN)".to_owned(),
        };
        out.ask(format!("Which process is paused for 10 s? {choices} "));
        let said = line()?;
        match (&suggested, said.is_empty()) {
            (Some(target), true) => {
                return Ok(Answers {
                    url,
                    target: target.clone(),
                });
            }
            (None, true) => {}
            (_, false) => match said.parse() {
                Ok(target) => return Ok(Answers { url, target }),
                Err(why) => out.note(why),
            },
        }
    }
}

fn choose(said: &str, found: &[Service]) -> Option<String> {
    match said.parse::<usize>() {
        Ok(number) => found.get(number.checked_sub(1)?).map(Service::url),
        Err(_) => services::port_of(said).map(|_| said.to_owned()),
    }
}

/// One answer; the end of input is a no.
fn line() -> Result<String, Failure> {
    let mut said = String::new();
    if io::stdin().read_line(&mut said)? == 0 {
        return Err(Failure::new(
            Exit::Halted,
            "the questions were not answered; nothing was written",
        ));
    }
    Ok(said.trim().to_owned())
}
