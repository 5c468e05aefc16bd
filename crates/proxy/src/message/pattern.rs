//! Which texts a fault is meant for: a pattern with `*` for any characters, none included.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `/cart/*`, `GET *`, `session-??` is none: only `*` means something else than itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the whole text is like this. Takes at most (length of the pattern) × (length of the
    /// text) steps.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        self.is_like(text, |one, other| one == other)
    }

    /// The same, where a letter is the same in upper and lower case.
    #[must_use]
    pub fn matches_in_any_case(&self, text: &[u8]) -> bool {
        self.is_like(text, |one, other| one.eq_ignore_ascii_case(other))
    }

    fn is_like(&self, text: &[u8], same: impl Fn(&u8, &u8) -> bool) -> bool {
        let pattern = self.0.as_bytes();
        let (mut at, mut next) = (0, 0);
        // The last star, and how much of the text it has taken.
        let mut star: Option<(usize, usize)> = None;
        while next < text.len() {
            if pattern.get(at) == Some(&b'*') {
                star = Some((at, next));
                at += 1;
            } else if pattern.get(at).is_some_and(|one| same(one, &text[next])) {
                at += 1;
                next += 1;
            } else if let Some((place, taken)) = star {
                star = Some((place, taken + 1));
                at = place + 1;
                next = taken + 1;
            } else {
                return false;
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_is_any_text_and_the_rest_is_itself() {
        let cases = [
            ("/cart", "/cart", true),
            ("/cart", "/cart/1", false),
            ("/cart/*", "/cart/1", true),
            ("/cart/*", "/cart/", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*.css", "/a.css.css", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
        ];
        for (pattern, text, like) in cases {
            let found = Pattern::new(pattern).matches(text.as_bytes());
            assert_eq!(found, like, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn it_says_what_a_recursive_one_says(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
                    Some((byte, rest)) => {
                        text.split_first().is_some_and(|(first, text)| first == byte && slow(rest, text))
                    }
                }
            }
            let quick = Pattern::new(pattern.clone()).matches(text.as_bytes());
            prop_assert_eq!(quick, slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
