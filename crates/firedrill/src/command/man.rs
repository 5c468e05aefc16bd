use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

/// One page: the tool, then a section for each command, since people look up one page.
pub(super) fn execute(out: &Out) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        section(sub, &mut page)?;
    }
    man.render_options_section(&mut page)?;
    page.extend_from_slice(&as_written(&man, ".SH EXIT CODES AND FIRST STEPS")?);
    out.raw(&page)?;
    Ok(Exit::Held)
}

/// A command under a heading of its own, its parts as sub-headings, without the options that
/// every command has.
fn section(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let own = command.clone().mut_args(|arg| match arg.is_global_set() {
        true => arg.hide(true),
        false => arg,
    });
    let man = Man::new(own);
    let mut parts = Vec::new();
    man.render_synopsis_section(&mut parts)?;
    man.render_description_section(&mut parts)?;
    man.render_options_section(&mut parts)?;
    parts.extend_from_slice(&as_written(&man, ".SH EXAMPLES")?);
    let heading = format!(".SH FIREDRILL {}\n", command.get_name().to_uppercase());
    page.extend_from_slice(heading.as_bytes());
    page.extend_from_slice(
        String::from_utf8_lossy(&parts)
            .replace(".SH ", ".SS ")
            .as_bytes(),
    );
    Ok(())
}

/// What stands below the options, its lines as they are.
fn as_written(man: &Man, heading: &str) -> io::Result<Vec<u8>> {
    let mut extra = Vec::new();
    man.render_extra_section(&mut extra)?;
    let extra = String::from_utf8_lossy(&extra);
    // Its own heading would turn filling on again.
    let lines = extra
        .split_once(".SH EXTRA\n")
        .map_or(&*extra, |(_, lines)| lines);
    Ok(format!("{heading}\n.nf\n{lines}.fi\n").into_bytes())
}
