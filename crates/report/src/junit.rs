//! For continuous integration.
use firedrill_experiment::journal::Journal;
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    #[error("x")]
    X,
}
/// # Errors
/// x
pub fn junit(journals: &[Journal]) -> Result<String, JunitError> {
    let _ = journals;
    Err(JunitError::X)
}
