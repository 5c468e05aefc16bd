use firedrill_faults::{
    Entry, Parameter, ParameterKind, UndoClass, Usability, catalogue, faults_here,
};
use serde_json::{Value, json};

use crate::cli::FaultsArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::nearest::nearest;
use crate::output::{BAD, BOLD, DIM, NAME, Out};

pub(super) fn execute(args: &FaultsArgs, out: &Out) -> Result<Exit, Failure> {
    let entries = catalogue();
    match &args.name {
        Some(name) => show(find(&entries, name)?, out)?,
        None => list(&entries, out)?,
    }
    Ok(Exit::Held)
}

/// By the full name, or by what follows the layer when only one fault is called that.
fn find<'a>(entries: &'a [Entry], name: &str) -> Result<&'a Entry, Failure> {
    let short = |entry: &&Entry| {
        entry
            .name
            .split_once('.')
            .is_some_and(|(_, own)| own == name)
    };
    let mut matching = entries
        .iter()
        .filter(|entry| entry.name == name || short(entry));
    if let (Some(entry), None) = (matching.next(), matching.next()) {
        return Ok(entry);
    }
    let failure = Failure::usage(format!("there is no fault `{name}`"));
    let full = || entries.iter().map(|entry| entry.name);
    let own = full().filter_map(|name| Some(name.split_once('.')?.1));
    Err(match nearest(name, full().chain(own)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`firedrill faults` lists them all"),
    })
}

fn list(entries: &[Entry], out: &Out) -> Result<(), Failure> {
    let here = faults_here();
    if out.is_json() {
        return out.json(&json!({ "faults": entries, "here": here }));
    }
    let wide = entries
        .iter()
        .map(|entry| entry.name.len())
        .max()
        .unwrap_or(0);
    let mut layer = "";
    for entry in entries {
        if entry.layer != layer {
            layer = entry.layer;
            out.line(format!("{BOLD}{layer}{BOLD:#}"))?;
        }
        let undo = undo_word(entry.undo);
        out.line(format!(
            "  {NAME}{:<wide$}{NAME:#}  {undo:<12}  {}",
            entry.name, entry.summary
        ))?;
        if let Some(why) = why_not(&here, entry) {
            let gap = "";
            out.line(format!("  {gap:<wide$}  {BAD}not here{BAD:#}      {why}"))?;
        }
    }
    out.note("\n`firedrill faults NAME` shows parameters, limits, needs and how it is undone");
    Ok(())
}

/// Why a fault cannot work on this host, where that is known.
fn why_not<'a>(here: &'a [Usability], entry: &Entry) -> Option<&'a str> {
    let found = here.iter().find(|found| found.fault == entry.name)?;
    (!found.usable).then_some(found.why.as_str())
}

fn show(entry: &Entry, out: &Out) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(entry);
    }
    out.line(format!("{BOLD}{}{BOLD:#}\n{}\n", entry.name, entry.summary))?;
    out.line(format!("{BOLD}Parameters{BOLD:#}"))?;
    if entry.parameters.is_empty() {
        out.line("  none")?;
    }
    for parameter in &entry.parameters {
        out.line(parameter_in_words(parameter))?;
    }
    let row = |name: &str, text: &str| out.line(format!("  {DIM}{name:<10}{DIM:#} {text}"));
    out.line("")?;
    let targets: Vec<String> = entry.targets.iter().map(ToString::to_string).collect();
    row("targets", &targets.join(", "))?;
    row("needs", &or_nothing(&entry.needs))?;
    row("mechanism", &entry.mechanisms.join(", else "))?;
    row(
        "undo",
        &format!("{}: {}", undo_word(entry.undo), undo_meaning(entry.undo)),
    )?;
    row("recovery", entry.recovery_path)?;
    row("observed", entry.observed_effect)?;
    if let Some(why) = why_not(&faults_here(), entry) {
        row("here", &format!("{BAD}cannot work{BAD:#}: {why}"))?;
    }
    let target = entry.targets.first().map_or("", |kind| kind.example());
    let words = ["firedrill inject", entry.name, entry.example];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let command = words.join(" ");
    out.line(format!(
        "\n{BOLD}Try it{BOLD:#}\n  {command} --target {target} --for 10s"
    ))
}

fn parameter_in_words(parameter: &Parameter) -> String {
    let kind = match parameter.kind {
        ParameterKind::Choice => "one of",
        ParameterKind::Boolean => "true or false",
        ParameterKind::Command => "a command",
        ParameterKind::Number => "a number",
        ParameterKind::Duration => "a time such as 250ms",
        ParameterKind::Size => "a size such as 64MiB",
        ParameterKind::Text => "words",
        ParameterKind::Object | ParameterKind::List => "",
    };
    let mut facts = vec![match parameter.bounds {
        Some(bounds) => match parameter.kind {
            ParameterKind::Choice | ParameterKind::Command => format!("{kind} {bounds}"),
            ParameterKind::Object | ParameterKind::List => bounds.to_owned(),
            // A sentence of its own says the kind, too.
            _ if bounds.starts_with("a ") || bounds.starts_with("an ") => bounds.to_owned(),
            _ => format!("{kind}, {bounds}"),
        },
        None => kind.to_owned(),
    }];
    facts.extend(parameter.unit.map(|unit| format!("in {unit}")));
    facts.extend(
        parameter
            .default
            .as_ref()
            .map(|value| format!("default {}", bare(value))),
    );
    facts.extend(parameter.required.then(|| "required".to_owned()));
    format!(
        "  {NAME}{}{NAME:#}  {}\n      {DIM}{}{DIM:#}",
        parameter.name,
        parameter.summary,
        facts.join(", ")
    )
}

fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn or_nothing(needs: &[&str]) -> String {
    if needs.is_empty() {
        "nothing".to_owned()
    } else {
        needs.join("; ")
    }
}

fn undo_word(class: UndoClass) -> &'static str {
    match class {
        UndoClass::Reversible => "reversible",
        UndoClass::Replaced => "replaced",
        UndoClass::Irreversible => "irreversible",
    }
}

fn undo_meaning(class: UndoClass) -> &'static str {
    match class {
        UndoClass::Reversible => "taken back by the guardian",
        UndoClass::Replaced => "started again, by its restart command or its supervisor",
        UndoClass::Irreversible => "nothing is known to bring it back",
    }
}
