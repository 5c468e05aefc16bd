//! Which names a rule means.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name (`shop.example`), all names below one (`*.example`, without `example` itself), or all
/// names (`*`). Case does not count (RFC 4343).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    below: bool,
    /// In lower case, the leftmost first.
    labels: Vec<Vec<u8>>,
}

/// Why a pattern is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no name pattern: {reason}")]
pub struct PatternError {
    pub pattern: String,
    pub reason: &'static str,
}

impl Pattern {
    /// Whether a name (labels in lower case, the leftmost first) is meant.
    #[must_use]
    pub fn matches(&self, name: &[Vec<u8>]) -> bool {
        if !self.below {
            return self.labels == name;
        }
        if self.labels.is_empty() {
            return true;
        }
        name.len() > self.labels.len() && name.ends_with(&self.labels)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let refuse = |reason| PatternError {
            pattern: text.to_owned(),
            reason,
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        let (below, rest) = match name.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None if name == "*" => {
                return Ok(Self {
                    below: true,
                    labels: Vec::new(),
                });
            }
            None => (false, name),
        };
        if rest.len() > 253 {
            return Err(refuse("a name has at most 253 characters"));
        }
        let labels: Vec<Vec<u8>> = rest
            .split('.')
            .map(|label| label.to_ascii_lowercase().into_bytes())
            .collect();
        if labels
            .iter()
            .any(|label| label.is_empty() || label.len() > 63)
        {
            return Err(refuse("a label has 1 to 63 characters"));
        }
        if labels.iter().flatten().any(|byte| *byte == b'*') {
            return Err(refuse(
                "`*` stands only for everything before the first dot",
            ));
        }
        if labels.iter().flatten().any(|byte| !byte.is_ascii_graphic()) {
            return Err(refuse("names are plain ASCII here; write others as xn--…"));
        }
        Ok(Self { below, labels })
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below {
            f.write_str("*")?;
        }
        for (at, label) in self.labels.iter().enumerate() {
            if self.below || at > 0 {
                f.write_str(".")?;
            }
            f.write_str(&String::from_utf8_lossy(label))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let labels: Vec<Vec<u8>> = name.split('.').map(|label| label.into()).collect();
        pattern.parse::<Pattern>().unwrap().matches(&labels)
    }

    #[test]
    fn a_star_means_what_is_below_a_name_and_not_the_name() {
        assert!(matches("*.Example.com.", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", "aexample.com"));
        assert!(matches("EXAMPLE.com", "example.com"));
        assert!(!matches("example.com", "a.example.com"));
        assert!(matches("*", "anything"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", ".", "a..b", "a.*.b", "*x", "bücher.example", "a b"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        assert!("x".repeat(64).parse::<Pattern>().is_err());
    }

    #[test]
    fn a_pattern_is_written_as_it_is_read() {
        for text in ["*", "*.example.com", "example.com"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
    }
}
