//! JSONPath in jsonpath2's dialect, the one Chaos Toolkit's tolerances are written in.
//!
//! It differs from RFC 9535 where documents notice: a filter tests the value it is applied to and
//! not its children (so `$.a[*][?(@.b > 1)]`), equality is `=`, `and` binds looser than `or`,
//! strings are double-quoted without unescaping, and there are functions:
//! `length() keys() values() entries() charAt(n) substring(a[, b])`.
//! Grammar: <https://github.com/pacifica/python-jsonpath2>.

mod lexer;
mod parser;
mod select;

use serde_json::Value;
use thiserror::Error;

/// The longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 4_096;
/// The most values looked at for one answer.
pub const STEPS_MAX: usize = 1_000_000;

/// A path that parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonPathError {
    #[error("column {column}: {message}")]
    Syntax { column: usize, message: String },
    #[error("longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    #[error("more than {STEPS_MAX} values to look at")]
    TooManySteps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// As jsonpath2 takes it.
    Strict,
    /// Ours also takes `-` in bare names and single quotes.
    Ours,
}

/// `.name`, `[…]`, or either after `..`.
#[derive(Debug, Clone, PartialEq)]
struct Segment {
    descend: bool,
    subscripts: Vec<Subscript>,
}

#[derive(Debug, Clone, PartialEq)]
enum Subscript {
    Name(String),
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: Option<i64>,
    },
    Wildcard,
    Filter(Expression),
    /// The value of another path is the key or index.
    Path(Relative),
    Call(Function, Vec<Operand>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    CharAt,
    Entries,
    Keys,
    Length,
    Substring,
    Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Exists(Operand),
    Compare(Operand, Comparison, Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Literal(Value),
    Path(Relative),
}

/// A path from the root (`$`) or from the current value (`@`).
#[derive(Debug, Clone, PartialEq)]
struct Relative {
    from_root: bool,
    segments: Vec<Segment>,
}

impl JsonPath {
    /// As jsonpath2 parses it.
    ///
    /// # Errors
    /// Where jsonpath2 raises `ValueError`, and over the limits.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        parser::parse(text, Dialect::Strict)
    }

    /// As [`Self::parse`], and bare names may hold `-` and strings may have single quotes: for
    /// paths in keys of our own.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_ours(text: &str) -> Result<Self, JsonPathError> {
        parser::parse(text, Dialect::Ours)
    }

    /// Every value the path matches, in jsonpath2's order.
    ///
    /// # Errors
    /// [`JsonPathError::TooManySteps`].
    pub fn select(&self, root: &Value) -> Result<Vec<Value>, JsonPathError> {
        select::select(&self.segments, root)
    }
}

#[cfg(test)]
mod tests;
