use firedrill_experiment::export::to_chaostoolkit;

use super::report::write;
use crate::cli::ExportArgs;
use crate::document;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::output::Out;

pub(super) fn execute(args: &ExportArgs, out: &Out) -> Result<Exit, Failure> {
    let experiment = document::experiment(&args.document)?;
    let exported = to_chaostoolkit(&experiment)
        .or_exit(Exit::Refused)
        .or_hint("`firedrill run` does not; or take these out of the document first")?;
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
