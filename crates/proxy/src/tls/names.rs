//! Upstreams by the name that a client asks for.

use std::collections::BTreeMap;

use crate::route::Upstream;

/// Where connections go by their name. A pattern is a name, or `*.` and a name: one label before it,
/// as in certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    by_pattern: BTreeMap<String, Upstream>,
}

impl Names {
    /// Leads this pattern there; false when it is none.
    pub fn add(&mut self, pattern: &str, upstream: Upstream) -> bool {
        let pattern = pattern.to_ascii_lowercase();
        let name = pattern.strip_prefix("*.").unwrap_or(&pattern);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = !name.is_empty() && !name.starts_with('.') && name.bytes().all(fits);
        if is_name {
            self.by_pattern.insert(pattern, upstream);
        }
        is_name
    }

    /// Where this name leads; a whole name before a pattern.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Upstream> {
        let wild = || {
            let (_, parent) = name.split_once('.')?;
            self.by_pattern.get(&format!("*.{parent}"))
        };
        self.by_pattern.get(name).or_else(wild)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> Upstream {
        Upstream::Addresses(vec![([127, 0, 0, 1], port).into()])
    }

    #[test]
    fn a_name_comes_before_a_pattern_and_a_pattern_stands_for_one_label() {
        let mut names = Names::default();
        assert!(names.add("Shop.example.org", to(1)));
        assert!(names.add("*.example.org", to(2)));
        assert_eq!(names.find("shop.example.org"), Some(&to(1)));
        assert_eq!(names.find("cart.example.org"), Some(&to(2)));
        for other in [
            "example.org",
            "a.cart.example.org",
            "example.com",
            "org",
            "",
        ] {
            assert_eq!(names.find(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_name_is_not_taken() {
        for wrong in ["", "*", "*.", "a*.example.org", "..", "a b", "*.*.org"] {
            assert!(!Names::default().add(wrong, to(1)), "{wrong}");
        }
    }
}
