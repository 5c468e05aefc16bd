mod chaostoolkit;

use super::report::write;
use crate::cli::ExportArgs;
use crate::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(args: &ExportArgs, out: &Out) -> Result<Exit, Failure> {
    let experiment = document::experiment(&args.document)?;
    let losses = chaostoolkit::losses(&experiment);
    if !losses.is_empty() {
        let losses = losses.join("; ");
        return Err(Failure::refused(format!(
            "Chaos Toolkit would run it without what it relies on: {losses}"
        ))
        .hint("run it with `firedrill run`, or take these out of the document first"));
    }
    let (exported, dropped) = chaostoolkit::export(&experiment);
    if !dropped.is_empty() {
        out.warning(format!(
            "left out, since Chaos Toolkit ignores it: {}",
            dropped.join(", ")
        ));
    }
    match &args.file {
        Some(path) => {
            write(
                path,
                format!("{}\n", serde_json::to_string_pretty(&exported)?).as_bytes(),
            )?;
            out.note(format!("{}: for `chaos run`", path.display()));
        }
        None => out.json(&exported)?,
    }
    Ok(Exit::Held)
}
