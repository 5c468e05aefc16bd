use crate::target::TargetKind;

/// What is wrong with a fault as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("there is no fault {name:?}{}", did_you_mean(near.as_deref()))]
    UnknownFault { name: String, near: Option<String> },
    #[error("{owner} has no parameter {name:?}{}", did_you_mean(near.as_deref()))]
    UnknownParameter {
        owner: &'static str,
        name: String,
        near: Option<String>,
    },
    #[error("{owner} needs {name}: {what}")]
    Missing {
        owner: &'static str,
        name: &'static str,
        what: &'static str,
    },
    #[error("{name} of {owner} is {found}, but must be {expected}")]
    Value {
        owner: &'static str,
        name: String,
        found: String,
        expected: String,
    },
    #[error("{owner} takes one of {first} and {second}, not both")]
    Exclusive {
        owner: &'static str,
        first: &'static str,
        second: &'static str,
    },
    #[error("{fault} cannot hit a {kind}; it hits a {}", either(hits))]
    Target {
        fault: &'static str,
        kind: TargetKind,
        hits: Vec<TargetKind>,
    },
    #[error("{}", several(all))]
    Several { all: Vec<FaultError> },
}

impl FaultError {
    /// All mistakes as one error; `Ok` when there are none.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.swap_remove(0)),
            _ => Err(Self::Several { all: errors }),
        }
    }

    /// Each mistake apart.
    #[must_use]
    pub fn each(&self) -> Vec<&Self> {
        match self {
            Self::Several { all } => all.iter().collect(),
            one => vec![one],
        }
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnknownFault { .. } => Some("`firedrill faults` lists them"),
            Self::UnknownParameter { .. }
            | Self::Missing { .. }
            | Self::Value { .. }
            | Self::Target { .. } => Some(
                "`firedrill faults NAME` shows what it hits, and the parameters with their bounds",
            ),
            Self::Exclusive { .. } | Self::Several { .. } => None,
        }
    }
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default()
}

fn either(kinds: &[TargetKind]) -> String {
    let words: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    words.join(" or a ")
}

fn several(all: &[FaultError]) -> String {
    let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
