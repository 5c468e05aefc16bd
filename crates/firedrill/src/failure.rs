//! Why a command did not do what it was asked: one form for text and JSON.

use std::fmt::Display;

use anyhow::Error;
use serde_json::{Value, json};

use crate::exit::Exit;

/// An error with its exit code and, where there is one, what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    hint: Option<String>,
    error: Error,
}

/// Adds an exit code, a sentence or a hint to whatever went wrong.
pub(crate) trait OrFail<T> {
    /// What was being tried: the message; what went wrong becomes its cause.
    fn doing(self, what: impl Display) -> Result<T, Failure>;
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
    fn or_hint(self, hint: impl Display) -> Result<T, Failure>;
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            hint: None,
            error: Error::msg(message.to_string()),
        }
    }

    /// The person can put it right: a wrong word, a missing file, an invalid document.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    #[must_use]
    pub(crate) fn context(mut self, what: impl Display) -> Self {
        self.error = self.error.context(what.to_string());
        self
    }

    pub(crate) fn exit_code(&self) -> Exit {
        self.exit
    }

    pub(crate) fn message(&self) -> String {
        self.error.to_string()
    }

    /// From the nearest to the first.
    pub(crate) fn causes(&self) -> Vec<String> {
        self.error
            .chain()
            .skip(1)
            .map(ToString::to_string)
            .collect()
    }

    pub(crate) fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// `{"error": {"message", "hint", "causes", "exit"}}`.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "error": {
            "message": self.message(),
            "hint": self.hint,
            "causes": self.causes(),
            "exit": self.exit.code(),
        }})
    }
}

/// Anything without an exit code of its own is our own error.
impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            exit: Exit::Failed,
            hint: None,
            error: error.into(),
        }
    }
}

impl<T, E: Into<Failure>> OrFail<T> for Result<T, E> {
    fn doing(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| error.into().context(what))
    }

    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| error.into().exit(exit))
    }

    fn or_hint(self, hint: impl Display) -> Result<T, Failure> {
        self.map_err(|error| error.into().hint(hint))
    }
}
