//! What a ruleset must be before the kernel is asked.

use super::{Action, Chain, ChainKind, Hook, Match, Rule, Ruleset, Transport};

/// What is wrong with a ruleset.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RulesetError {
    #[error("{name:?} is not a name: 1 to 31 letters, digits, '-' and '_'")]
    Name { name: String },
    #[error("two chains are called {name}")]
    SameName { name: String },
    #[error("chain {chain}: a {kind} chain cannot be at this hook")]
    Hook { chain: String, kind: &'static str },
    #[error("chain {chain}, rule {rule}: {problem}")]
    Rule {
        chain: String,
        rule: usize,
        problem: RuleProblem,
    },
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleProblem {
    #[error("the share {share} is not from 0 to 1")]
    Share { share: f64 },
    #[error("the ports {first}-{last} are the wrong way round")]
    Ports { first: u16, last: u16 },
    #[error("{name:?} is not the name of an interface: 1 to 15 bytes without '/' and spaces")]
    Interface { name: String },
    #[error("{what} needs the protocol {protocol} beside it")]
    Protocol {
        what: &'static str,
        protocol: &'static str,
    },
    #[error("{what} has bits outside its mask")]
    OutsideMask { what: &'static str },
    #[error("a set of addresses or states is empty")]
    Empty,
    #[error("a Not of a Not")]
    DoubleNot,
    #[error("redirect is only for nat chains of prerouting and output, to a port above 0")]
    Redirect,
}

impl Ruleset {
    /// Checks everything that can be checked without the kernel.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), RulesetError> {
        name(&self.table)?;
        for (index, chain) in self.chains.iter().enumerate() {
            name(&chain.name)?;
            let before = self.chains.iter().take(index);
            if before.map(|other| &other.name).any(|n| *n == chain.name) {
                return Err(RulesetError::SameName {
                    name: chain.name.clone(),
                });
            }
            check_chain(chain)?;
        }
        Ok(())
    }
}

fn name(name: &str) -> Result<(), RulesetError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 31 || !name.chars().all(allowed) {
        return Err(RulesetError::Name {
            name: name.to_owned(),
        });
    }
    Ok(())
}

fn check_chain(chain: &Chain) -> Result<(), RulesetError> {
    let wrong = |kind| RulesetError::Hook {
        chain: chain.name.clone(),
        kind,
    };
    match (chain.kind, chain.hook) {
        (ChainKind::Nat, Hook::Forward) => return Err(wrong("nat")),
        (ChainKind::Route, hook) if hook != Hook::Output => return Err(wrong("route")),
        _ => {}
    }
    for (index, rule) in chain.rules.iter().enumerate() {
        check_rule(chain, rule).map_err(|problem| RulesetError::Rule {
            chain: chain.name.clone(),
            rule: index,
            problem,
        })?;
    }
    Ok(())
}

fn check_rule(chain: &Chain, rule: &Rule) -> Result<(), RuleProblem> {
    let is = |transport| rule.matches.contains(&Match::Protocol(transport));
    let tcp = is(Transport::Tcp) || is(Transport::Other(Transport::Tcp.number()));
    let udp = is(Transport::Udp) || is(Transport::Other(Transport::Udp.number()));
    for one in &rule.matches {
        let inner = match one {
            Match::Not(inner) => inner,
            other => other,
        };
        check_match(inner)?;
        match inner {
            Match::SourcePort(_) | Match::DestinationPort(_) if !tcp && !udp => {
                return Err(RuleProblem::Protocol {
                    what: "a port",
                    protocol: "tcp or udp",
                });
            }
            Match::TcpFlags { .. } if !tcp => {
                return Err(RuleProblem::Protocol {
                    what: "a TCP flag",
                    protocol: "tcp",
                });
            }
            _ => {}
        }
    }
    match rule.action {
        Action::RejectReset if !tcp => Err(RuleProblem::Protocol {
            what: "a reset",
            protocol: "tcp",
        }),
        Action::Redirect(_) if !tcp && !udp => Err(RuleProblem::Protocol {
            what: "redirect",
            protocol: "tcp or udp",
        }),
        Action::Redirect(port)
            if port == 0
                || chain.kind != ChainKind::Nat
                || !matches!(chain.hook, Hook::Prerouting | Hook::Output) =>
        {
            Err(RuleProblem::Redirect)
        }
        _ => Ok(()),
    }
}

fn check_match(one: &Match) -> Result<(), RuleProblem> {
    match one {
        Match::Random { share } if !(0.0..=1.0).contains(share) => {
            Err(RuleProblem::Share { share: *share })
        }
        Match::SourcePort(range) | Match::DestinationPort(range) if range.first > range.last => {
            Err(RuleProblem::Ports {
                first: range.first,
                last: range.last,
            })
        }
        Match::InInterface(name) | Match::OutInterface(name) if !is_interface(name) => {
            Err(RuleProblem::Interface { name: name.clone() })
        }
        Match::TcpFlags { mask, value } if value & !mask != 0 => {
            Err(RuleProblem::OutsideMask { what: "a TCP flag" })
        }
        Match::Mark { mask, value } if value & !mask != 0 => {
            Err(RuleProblem::OutsideMask { what: "a mark" })
        }
        Match::SourceSet(set) | Match::DestinationSet(set) if set.is_empty() => {
            Err(RuleProblem::Empty)
        }
        Match::ConnectionState(states) if states.is_empty() => Err(RuleProblem::Empty),
        Match::Not(_) => Err(RuleProblem::DoubleNot),
        _ => Ok(()),
    }
}

/// As the kernel's `dev_valid_name`.
fn is_interface(name: &str) -> bool {
    let forbidden = |c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace();
    (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.contains(forbidden)
}
