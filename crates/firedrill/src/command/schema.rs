use firedrill_experiment::schema::schema;

use super::report::write;
use crate::cli::SchemaArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(args: &SchemaArgs, out: &Out) -> Result<Exit, Failure> {
    let schema = schema();
    match &args.file {
        Some(path) => {
            write(
                path,
                format!("{}\n", serde_json::to_string_pretty(&schema)?).as_bytes(),
            )?;
            out.note(format!("{}: JSON Schema of experiments", path.display()));
        }
        None => out.json(&schema)?,
    }
    Ok(Exit::Held)
}
