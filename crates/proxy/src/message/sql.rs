//! What faults on databases have in common: which statements, what becomes of them, and what an
//! error is called.

use std::fmt::{self, Debug};
use std::str::FromStr;

use super::wire::{Does, WireFault};
use super::{Kind, Pattern};
use crate::stream::Latency;

/// A fault on some of the statements of a route, or on its connections.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlFault<E> {
    pub matching: StatementMatch,
    pub action: SqlAction<E>,
}

/// What becomes of a statement. `E` is an error as the server gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlAction<E> {
    /// It goes on later, and what comes behind it too.
    Delay(Latency),
    /// It does not go on: this error is its answer.
    Error(E),
    /// The connection ends with this, when the client has said who it is.
    Refuse(E),
}

/// An error of one protocol.
pub(super) trait SqlError: Clone + Debug + Send + 'static {
    /// The fault, if it is on this protocol.
    fn fault(kind: &Kind) -> Option<&SqlFault<Self>>;
}

impl<E: SqlError> WireFault for SqlFault<E> {
    type Error = E;

    fn of(kind: &Kind) -> Option<&Self> {
        E::fault(kind)
    }

    fn does(&self) -> Does<'_, E> {
        match &self.action {
            SqlAction::Delay(latency) => Does::Delay(*latency),
            SqlAction::Error(error) => Does::Error(error),
            SqlAction::Refuse(error) => Does::Refuse(error),
        }
    }
}

/// Which statements a fault is meant for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatementMatch {
    /// What the text is like, in any case; all if nothing is said.
    statement: Option<Pattern>,
}

impl StatementMatch {
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Those whose text is like this, upper or lower case alike.
    #[must_use]
    pub fn like(statement: &Pattern) -> Self {
        Self {
            statement: Some(statement.clone()),
        }
    }

    /// No text: it is not known, and only a fault for all statements is for this one.
    pub(super) fn fits(&self, text: Option<&[u8]>) -> bool {
        let Some(pattern) = &self.statement else {
            return true;
        };
        text.is_some_and(|text| pattern.matches_in_any_case(text.trim_ascii()))
    }
}

/// What kind of error it is: five digits and capitals (`40001`, `57P03`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlState([u8; 5]);

/// This is no SQLSTATE.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an SQLSTATE is five digits or capital letters (40001, 57P03), not {0:?}")]
pub struct NoSqlState(String);

impl SqlState {
    pub(super) const fn of(state: [u8; 5]) -> Self {
        Self(state)
    }

    pub(super) const fn bytes(&self) -> &[u8; 5] {
        &self.0
    }
}

impl FromStr for SqlState {
    type Err = NoSqlState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_one = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        let state: Option<[u8; 5]> = text.as_bytes().try_into().ok();
        let state = state.filter(|state| state.iter().all(is_one));
        state.map(Self).ok_or_else(|| NoSqlState(text.into()))
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_five_digits_or_capitals() {
        assert_eq!(
            "57P03".parse::<SqlState>().expect("one").to_string(),
            "57P03"
        );
        for text in ["", "57p03", "57P0", "57P033", "57P0é"] {
            assert!(text.parse::<SqlState>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_statement_is_like_its_pattern_in_any_case() {
        let orders = StatementMatch::like(&Pattern::new("UPDATE Orders *"));
        assert!(orders.fits(Some(b"\n update orders SET x = 1")));
        assert!(!orders.fits(Some(b"update users set x = 1")) && !orders.fits(None));
        assert!(StatementMatch::all().fits(None));
    }
}
