mod met;

use std::time::Duration;

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::haproxy::{Administrative, Balanced, Haproxy, HaproxyError, RuntimeSocket, Server};
use crate::primitive::{BalancerBefore, Primitive, ServerBefore, ServersOut};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;
use met::Baseline;

/// Servers that their load balancer was told to leave out.
#[derive(Debug)]
pub(crate) struct DrainedServers {
    out: ServersOut,
    before: BalancerBefore,
    /// Whether any may have been told.
    begun: bool,
    baseline: Option<Baseline>,
}

/// For everything that is asked of it at once: less than a lease, which other faults in force
/// depend on. It takes some milliseconds; one that takes longer is stopped or hangs.
const PATIENCE: Duration = Duration::from_secs(2);

impl DrainedServers {
    pub(super) fn prepare(out: ServersOut) -> Result<Prepared, EffectError> {
        let socket = RuntimeSocket::at(&out.socket, PATIENCE)?;
        socket.require_admin()?;
        let haproxy = socket.haproxy()?;
        let present = socket.servers()?;
        socket.require_remaining(&present, &out.servers, out.remaining_min)?;
        let state = Administrative::from(out.state);
        let mut servers = Vec::new();
        let mut before = Vec::new();
        for server in &out.servers {
            let Some(found) = find(&present, server) else {
                let server = server.clone();
                return Err(HaproxyError::NoServer { server }.into());
            };
            // What is out of use already has nothing to be taken back.
            if found.told != state && found.told != Administrative::Maint {
                servers.push(server.clone());
                before.push(ServerBefore {
                    told: found.told,
                    weight: found.weight,
                });
            }
        }
        if servers.is_empty() {
            let servers = in_words(&out.servers);
            return Err(HaproxyError::OutOfUse { servers }.into());
        }
        Ok(Prepared::ready(Self {
            out: ServersOut { servers, ..out },
            before: BalancerBefore {
                haproxy,
                servers: before,
            },
            begun: false,
            baseline: None,
        }))
    }

    /// Without the state before there is nothing to go back to; the log never holds such an entry.
    pub(super) fn resume(out: ServersOut) -> Option<Self> {
        let before = out.before.clone()?;
        Some(Self {
            out,
            before,
            begun: true,
            baseline: None,
        })
    }

    fn each(&self) -> impl Iterator<Item = (&Server, &ServerBefore)> {
        self.out.servers.iter().zip(&self.before.servers)
    }

    fn state(&self) -> Administrative {
        self.out.state.into()
    }

    /// Tells every one, and looks whether it is so.
    fn take_out(&mut self, socket: &RuntimeSocket) -> Result<(), EffectError> {
        let present = socket.servers()?;
        for (server, before) in self.each() {
            if find(&present, server).map(|one| one.told) != Some(before.told) {
                let what = format!("server {server} of {socket}");
                return Err(EffectError::Changed { what });
            }
        }
        self.begun = true;
        let state = self.state();
        let orders: Vec<_> = self.each().map(|(one, _)| (one.clone(), state)).collect();
        let said = socket.set(&orders)?;
        let present = socket.servers()?;
        for (server, _) in self.each() {
            let found = find(&present, server).map(|one| one.told);
            if found != Some(state) {
                return Err(EffectError::from(HaproxyError::NotSet {
                    server: server.clone(),
                    wanted: state,
                    found: found.map_or_else(|| "gone".into(), |found| found.to_string()),
                    said,
                }));
            }
        }
        Ok(())
    }

    /// Tells those that are as we left them what they were told before.
    fn put_back(
        &self,
        socket: &RuntimeSocket,
        reverted: &mut Reverted,
    ) -> Result<(), HaproxyError> {
        let haproxy = socket.haproxy()?;
        let restarted = haproxy.is_other_than(&self.before.haproxy);
        let present = socket.servers()?;
        let mut orders = Vec::new();
        for (server, before) in self.each() {
            let what = || format!("server {server} of {socket}");
            match find(&present, server) {
                // A file of states may have brought our order into another process.
                Some(found) if found.told == self.state() => {
                    orders.push((server.clone(), before.told));
                }
                Some(found) => self.compare(what(), found, *before, restarted, reverted),
                // Its configuration is another.
                None if restarted => {}
                None => reverted.residue.push(Residue::ChangedMeanwhile {
                    what: what(),
                    difference: "somebody removed it during the fault".into(),
                }),
            }
        }
        if orders.is_empty() {
            return Ok(());
        }
        let said = socket.set(&orders)?;
        let present = socket.servers()?;
        for (server, told) in orders {
            match find(&present, &server) {
                Some(found) if found.told == told => reverted.undone += 1,
                found => reverted.residue.push(Residue::EffectLeft {
                    effect: format!("{} of server {server} of {socket}", self.state()),
                    why: format!(
                        "it is {} and not {told}, as it was told; HAProxy said: {said:?}",
                        found.map_or("gone", |found| found.told.word())
                    ),
                }),
            }
        }
        Ok(())
    }

    /// One that is not as we left it.
    fn compare(
        &self,
        what: String,
        found: &Balanced,
        before: ServerBefore,
        restarted: bool,
        reverted: &mut Reverted,
    ) {
        // Taken back already, or by somebody else, or by a restart.
        if found.told == before.told {
            return;
        }
        let who = if restarted {
            "HAProxy was started anew, and it is"
        } else {
            "somebody else made it"
        };
        reverted.residue.push(Residue::ChangedMeanwhile {
            what,
            difference: format!(
                "{who} {}; it was {} before the fault, which made it {}",
                found.told,
                before.told,
                self.state()
            ),
        });
    }
}

impl Effect for DrainedServers {
    fn primitive(&self) -> Primitive {
        Primitive::TakeServersOut(ServersOut {
            before: Some(self.before.clone()),
            ..self.out.clone()
        })
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        let socket = RuntimeSocket::at(&self.out.socket, PATIENCE)?;
        self.take_out(&socket)?;
        self.baseline = Some(Baseline::of(&socket.traffic()?, &self.out.servers));
        if self.out.shutdown_sessions {
            socket.shut_sessions(&self.out.servers)?;
        }
        Ok(())
    }

    /// All of the undo is here: it is a talk with another process, which may hang.
    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        if !self.begun {
            return reverted;
        }
        let done = RuntimeSocket::at(&self.out.socket, PATIENCE)
            .and_then(|socket| self.put_back(&socket, &mut reverted));
        let Err(error) = done else { return reverted };
        if self.before.haproxy.has_ended() && is_absent(&error) {
            // What it was told at runtime went with it.
            reverted.vanished.extend(self.before.haproxy.process);
            return reverted;
        }
        reverted.residue.push(Residue::EffectLeft {
            effect: format!("{} of {}", self.state(), in_words(&self.out.servers)),
            why: chain(&error),
        });
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let socket = RuntimeSocket::at(&self.out.socket, PATIENCE)?;
        let haproxy: Haproxy = socket.haproxy()?;
        let present = socket.servers()?;
        let mut observed = Observed::default();
        for (server, _) in self.each() {
            let told = find(&present, server).map_or("gone", |found| found.told.word());
            let there = told == self.state().word();
            observed.merge(Observed::one(there, || {
                format!("server {server} is {told}")
            }));
        }
        if let Some(baseline) = &self.baseline
            && !haproxy.is_other_than(&self.before.haproxy)
        {
            let asked = self.out.shutdown_sessions;
            baseline.compare(&socket.traffic()?, asked, &mut observed);
        }
        Ok(observed)
    }
}

fn find<'a>(all: &'a [Balanced], server: &Server) -> Option<&'a Balanced> {
    all.iter().find(|one| one.server == *server)
}

/// Whether nobody is there to ask, rather than that somebody does not answer.
fn is_absent(error: &HaproxyError) -> bool {
    matches!(error, HaproxyError::Unreachable { .. })
}

fn in_words(servers: &[Server]) -> String {
    let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
    names.join(", ")
}
