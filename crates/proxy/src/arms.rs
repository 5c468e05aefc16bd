//! Control and experiment: two small, equal shares of a route's traffic, of which one has the fault.
//!
//! Who is in which follows from a key of the request and the seed, so that the same user is always
//! in the same arm, on every connection and after a restart with the same seed. Routes divide each
//! for itself, unless their splits name the same draw: then who passes several is in the same arm at
//! each.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// A share of the traffic that is looked at by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// As everybody, for comparison.
    Control,
    /// Where the faults are.
    Experiment,
}

/// One of those who are in an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    pub arm: Arm,
    /// The draw of its key, by which it came into the arm: the same for the same user.
    pub user: u64,
}

/// How a route's traffic is divided.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Another name divides anew.
    pub name: Arc<str>,
    /// Of each arm, 0 to 0.5. Raised, it keeps those who are in an arm there.
    pub share: f64,
    pub by: Key,
    /// Routes whose splits name the same draw put the same value of a key into the same arm. Without
    /// one the draw is the route's own.
    pub draw: Option<Arc<str>>,
    /// Where users are counted besides requests ([`crate::users`]): how long an epoch is.
    pub users: Option<Duration>,
}

/// What has the same value for those who belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Each connection by itself.
    Connection,
    /// The client's address.
    Client,
    /// A header of this name; requests without it are in no arm.
    Header(String),
    /// A cookie of this name; requests without it are in no arm.
    Cookie(String),
}

impl Key {
    /// Whether requests of one connection may be in different arms.
    #[must_use]
    pub const fn is_of_requests(&self) -> bool {
        matches!(self, Self::Header(_) | Self::Cookie(_))
    }

    /// Whether the same value comes again with the same user.
    #[must_use]
    pub const fn tells_users(&self) -> bool {
        !matches!(self, Self::Connection)
    }
}

impl Split {
    /// Where its draws come from: of the route's own, or of those that all routes share.
    #[must_use]
    pub fn chance(&self, own: Chance, shared: Chance) -> Chance {
        match &self.draw {
            Some(draw) => shared.named(draw),
            None => own.named(&self.name),
        }
    }

    /// Who has this key, if that is in an arm. `chance` is the split's.
    #[must_use]
    pub fn member(&self, chance: Chance, key: &[u8]) -> Option<Member> {
        let draw = chance.keyed(key);
        let arm = if draw.unit() < self.share {
            Arm::Experiment
        } else if draw.unit() >= 1.0 - self.share {
            Arm::Control
        } else {
            return None;
        };
        let user = draw.bits();
        Some(Member { arm, user })
    }

    /// The arm of what has this key. `chance` is the split's.
    #[must_use]
    pub fn arm(&self, chance: Chance, key: &[u8]) -> Option<Arm> {
        self.member(chance, key).map(|member| member.arm)
    }

    /// The share of the traffic that is in one arm or the other.
    #[must_use]
    pub fn total(&self) -> f64 {
        2.0 * self.share
    }
}

/// The split of a route, for one connection.
#[derive(Debug, Clone)]
pub struct Arms {
    split: Split,
    chance: Chance,
}

impl Arms {
    /// `own` is the route's chance, `shared` that of all routes.
    #[must_use]
    pub fn new(split: Split, own: Chance, shared: Chance) -> Self {
        let chance = split.chance(own, shared);
        Self { split, chance }
    }

    /// Whose a connection is, where it is in an arm as a whole.
    pub(crate) fn of_connection(
        &self,
        number: u64,
        client: impl FnOnce() -> Option<IpAddr>,
    ) -> Option<Member> {
        match self.split.by {
            Key::Connection => self.split.member(self.chance, &number.to_le_bytes()),
            Key::Client => match client()?.to_canonical() {
                IpAddr::V4(address) => self.split.member(self.chance, &address.octets()),
                IpAddr::V6(address) => self.split.member(self.chance, &address.octets()),
            },
            Key::Header(_) | Key::Cookie(_) => None,
        }
    }

    /// Whose a request is by what it says, where that decides on its arm.
    #[must_use]
    pub fn of_request(&self, headers: &[(&[u8], &[u8])]) -> Option<Member> {
        let value = match &self.split.by {
            Key::Connection | Key::Client => return None,
            Key::Header(name) => values(headers, name).next()?,
            // HTTP/2 sends cookies in several headers (RFC 9113, section 8.2.3).
            Key::Cookie(name) => {
                let mut cookies = values(headers, "cookie");
                cookies.find_map(|header| cookie(header, name))?
            }
        };
        self.split.member(self.chance, value)
    }

    /// Whether a request's headers have to be known.
    #[must_use]
    pub const fn is_of_requests(&self) -> bool {
        self.split.by.is_of_requests()
    }
}

fn values<'a>(headers: &[(&[u8], &'a [u8])], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let headers = headers.iter();
    headers
        .filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| *value)
}

/// The value of a cookie, of a header `a=1; b=2` (RFC 6265, section 4.2.1).
fn cookie<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let pairs = header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs
        .filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(share: f64) -> Split {
        Split {
            name: Arc::from("one"),
            share,
            by: Key::Cookie("user".into()),
            draw: None,
            users: None,
        }
    }

    /// Of all routes of a proxy.
    fn shared(seed: u64) -> Chance {
        Chance::new(seed).of(0)
    }

    fn arms(share: f64, seed: u64) -> Vec<Option<Arm>> {
        let arms = Arms::new(split(share), Chance::new(seed), shared(seed));
        let of = |user: u64| {
            let cookie = format!("theme=dark; user={user}; x=y");
            let member = arms.of_request(&[(b"Cookie", cookie.as_bytes())]);
            member.map(|member| member.arm)
        };
        (0..100_000).map(of).collect()
    }

    #[test]
    fn the_arms_are_as_large_as_asked_and_apart() {
        let arms = arms(0.05, 7);
        for arm in [Arm::Control, Arm::Experiment] {
            let count = arms.iter().filter(|one| **one == Some(arm)).count();
            // Six deviations of a binomial of 100,000 at 5 %: 68.9 each.
            assert!(count.abs_diff(5000) < 414, "{arm:?}: {count}");
        }
    }

    #[test]
    fn a_share_that_is_raised_keeps_who_is_in_an_arm() {
        let (small, large) = (arms(0.02, 7), arms(0.3, 7));
        let kept = small.iter().zip(&large);
        assert!(
            kept.filter(|(before, _)| before.is_some())
                .all(|(before, after)| before == after)
        );
    }

    #[test]
    fn another_seed_or_name_divides_anew() {
        assert_ne!(arms(0.5, 7), arms(0.5, 8));
        let other = Split {
            name: Arc::from("two"),
            ..split(0.5)
        };
        let chance = |split: &Split| split.chance(Chance::new(7), shared(7));
        let (one, two) = (chance(&split(0.5)), chance(&other));
        let differs = |key: u64| {
            let key = key.to_le_bytes();
            other.arm(two, &key) != split(0.5).arm(one, &key)
        };
        assert!((0..100).any(differs));
    }

    #[test]
    fn who_says_nothing_of_itself_is_in_no_arm() {
        let arms = Arms::new(split(0.5), Chance::new(1), shared(1));
        let cookies: [&[u8]; 3] = [b"", b"users=1", b"theme=user=1"];
        for cookie in cookies {
            assert_eq!(arms.of_request(&[(b"cookie", cookie)]), None);
        }
        assert_eq!(arms.of_request(&[]), None);
    }
    /// The arms of 20,000 users at a route of this name, of a proxy with the seed 7.
    fn at(route: &str, split: &Split) -> Vec<Option<Arm>> {
        let own = Chance::new(7).named(route);
        let arms = Arms::new(split.clone(), own, shared(7));
        let of = |user: u64| {
            let user = user.to_string();
            let cookie = format!("user={user}");
            let member =
                arms.of_request(&[(b"cookie", cookie.as_bytes()), (b"x-user", user.as_bytes())]);
            member.map(|member| member.arm)
        };
        (0..20_000).map(of).collect()
    }

    #[test]
    fn routes_of_one_draw_have_the_same_users_in_the_same_arms() {
        let front = Split {
            draw: Some(Arc::from("both")),
            ..split(0.2)
        };
        // What comes in as a cookie is passed on as a header, and its split has another name.
        let behind = Split {
            name: Arc::from("two"),
            by: Key::Header("X-User".into()),
            ..front.clone()
        };
        let (web, payments) = (at("web", &front), at("payments", &behind));
        assert_eq!(web, payments);
        assert!(web.contains(&Some(Arm::Experiment)) && web.contains(&None));
        let fewer = Split {
            share: 0.05,
            ..behind
        };
        let kept = at("payments", &fewer).into_iter().zip(web);
        assert!(kept.clone().any(|(fewer, _)| fewer.is_some()));
        for (fewer, arm) in kept {
            assert!(fewer.is_none() || fewer == arm);
        }
    }

    #[test]
    fn routes_without_a_draw_or_with_others_divide_independently() {
        let drawn = |draw: Option<&str>| Split {
            draw: draw.map(Arc::from),
            ..split(0.5)
        };
        for (one, two) in [
            (None, None),
            (Some("a"), Some("b")),
            (Some("web"), None),
            (None, Some("payments")),
        ] {
            let (web, payments) = (at("web", &drawn(one)), at("payments", &drawn(two)));
            let same = web.iter().zip(&payments).filter(|(a, b)| a == b).count();
            // Six deviations of a binomial of 20,000 at a half: 70.7 each.
            assert!(same.abs_diff(10_000) < 425, "{one:?} {two:?}: {same}");
        }
    }
}
