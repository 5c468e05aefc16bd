//! For a pull request or a chat.
use firedrill_experiment::journal::Journal;
#[must_use]
pub fn markdown(journals: &[Journal]) -> String {
    format!("{}", journals.len())
}
