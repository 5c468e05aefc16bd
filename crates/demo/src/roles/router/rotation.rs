use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::health::Health;
use super::{BackendConfig, RouterConfig};
use crate::roles::upstream::{Failure, Reply, Upstream};

/// All instances, and whose turn it is.
pub(super) struct Rotation {
    /// Ordered so that neighbours are in different zones: 1-a, 2-a, 3-a, 1-b, ….
    backends: Vec<Arc<Backend>>,
    turn: AtomicUsize,
}

/// One instance with what is known of it.
pub(super) struct Backend {
    config: BackendConfig,
    upstream: Upstream,
    health: Mutex<Health>,
    requests: AtomicU64,
    errors: AtomicU64,
}

impl Rotation {
    pub(super) fn new(config: &RouterConfig) -> Self {
        let mut per_zone = BTreeMap::<u32, usize>::new();
        let mut placed: Vec<_> = config
            .backends
            .iter()
            .map(|backend| {
                let place = per_zone.entry(backend.zone).or_default();
                *place += 1;
                (*place, backend)
            })
            .collect();
        placed.sort_by_key(|(place, backend)| (*place, backend.zone));
        let backends = placed.into_iter().map(|(_, backend)| {
            Arc::new(Backend {
                upstream: Upstream::new(backend.address),
                health: Mutex::new(Health::unknown(
                    config.unhealthy_after,
                    config.healthy_after,
                )),
                requests: AtomicU64::new(0),
                errors: AtomicU64::new(0),
                config: backend.clone(),
            })
        });
        Rotation {
            backends: backends.collect(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// The next instance to try: of those in rotation, one in a zone not tried yet if there is
    /// one, else one not tried yet.
    pub(super) fn pick(&self, tried: &[usize]) -> Option<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let all: Vec<usize> = (0..self.backends.len())
            .filter(|&index| !self.backends[index].config.drained)
            .collect();
        let up: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&index| self.backends[index].health().is_up())
            .collect();
        // With nobody healthy the checks may be what is broken: trying beats refusing.
        let rotation = if up.is_empty() { all } else { up };
        let zone = |index: usize| self.backends[index].config.zone;
        let elsewhere = |index: &usize| tried.iter().all(|&tried| zone(tried) != zone(*index));
        let untried = |index: &usize| !tried.contains(index);
        take_turn(turn, rotation.iter().copied().filter(elsewhere))
            .or_else(|| take_turn(turn, rotation.iter().copied().filter(untried)))
    }

    /// Counters and state of every instance, by its name.
    pub(super) fn report(&self) -> Value {
        let backends = self.backends.iter().map(|backend| {
            let state = json!({
                "address": backend.config.address,
                "zone": backend.config.zone,
                "healthy": backend.health().is_up(),
                "drained": backend.config.drained,
                "requests": backend.requests.load(Ordering::Relaxed),
                "errors": backend.errors.load(Ordering::Relaxed),
            });
            (backend.config.name.clone(), state)
        });
        Value::Object(backends.collect())
    }
}

impl Backend {
    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(super) fn sent(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A status is an answer, whatever it says: an instance that turns requests away because it
    /// is full must not be taken out, which would only fill the others.
    pub(super) fn ended(&self, result: &Result<Reply, Failure>) {
        match result {
            Ok(reply) => {
                if reply.status.is_server_error() {
                    self.errors.fetch_add(1, Ordering::Relaxed);
                }
                self.health().answered();
            }
            Err(_) => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                self.failed();
            }
        }
    }

    pub(super) fn checked(&self, passed: bool) {
        if passed {
            self.health().check_passed();
        } else {
            self.failed();
        }
    }

    fn failed(&self) {
        if self.health().failed() {
            self.upstream.forget_idle();
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // Every step leaves it valid, so a poisoned lock loses nothing.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_turn(turn: usize, mut candidates: impl Iterator<Item = usize> + Clone) -> Option<usize> {
    let count = candidates.clone().count();
    candidates.nth(turn.checked_rem(count)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(backends: &[(&str, u32, bool)]) -> Rotation {
        let backend = |&(name, zone, drained): &(&str, u32, bool)| BackendConfig {
            name: name.to_owned(),
            zone,
            address: ([127, 0, 0, 1], 9).into(),
            drained,
        };
        Rotation::new(&RouterConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
            backends: backends.iter().map(backend).collect(),
            retries: 1,
            try_timeout_ms: 250,
            health_interval_ms: 200,
            health_timeout_ms: 200,
            unhealthy_after: 2,
            healthy_after: 2,
            parent: None,
        })
    }

    fn shop() -> Rotation {
        let shop = rotation(&[
            ("1-a", 1, false),
            ("1-b", 1, false),
            ("2-a", 2, false),
            ("2-b", 2, false),
            ("spare", 2, true),
        ]);
        for backend in shop.backends() {
            backend.checked(true);
        }
        shop
    }

    fn name(rotation: &Rotation, index: usize) -> &str {
        &rotation.backends()[index].config.name
    }

    fn eject(rotation: &Rotation, unwanted: &str) {
        for backend in rotation.backends() {
            if backend.config.name == unwanted {
                backend.checked(false);
                backend.checked(false);
            }
        }
    }

    #[test]
    fn turns_alternate_between_zones_and_leave_out_the_drained() {
        let shop = shop();
        let turns: Vec<_> = (0..5)
            .map(|_| name(&shop, shop.pick(&[]).unwrap()))
            .collect();
        assert_eq!(turns, ["1-a", "2-a", "1-b", "2-b", "1-a"]);
    }

    #[test]
    fn a_retry_goes_to_another_zone() {
        let shop = shop();
        for _ in 0..20 {
            let first = shop.pick(&[]).unwrap();
            let second = shop.pick(&[first]).unwrap();
            assert_ne!(
                shop.backends()[first].config.zone,
                shop.backends()[second].config.zone
            );
        }
    }

    #[test]
    fn with_one_zone_left_a_retry_goes_to_its_other_instance_and_then_nowhere() {
        let shop = shop();
        eject(&shop, "2-a");
        eject(&shop, "2-b");
        let first = shop.pick(&[]).unwrap();
        let second = shop.pick(&[first]).unwrap();
        assert_ne!(first, second);
        assert_eq!(shop.backends()[second].config.zone, 1);
        assert_eq!(shop.pick(&[first, second]), None);
    }

    #[test]
    fn with_nobody_healthy_everyone_but_the_drained_is_tried() {
        let shop = rotation(&[("1-a", 1, false), ("spare", 1, true)]);
        assert_eq!(shop.pick(&[]).map(|index| name(&shop, index)), Some("1-a"));
        let spare_only = rotation(&[("spare", 1, true)]);
        assert_eq!(spare_only.pick(&[]), None);
    }

    #[test]
    fn an_instance_that_turns_requests_away_stays_in_rotation() {
        let shop = shop();
        let backend = &shop.backends()[0];
        for _ in 0..5 {
            backend.ended(&Ok(Reply {
                status: hyper::StatusCode::SERVICE_UNAVAILABLE,
                headers: hyper::HeaderMap::new(),
                body: bytes::Bytes::new(),
            }));
        }
        assert!(backend.health().is_up());
        assert_eq!(shop.report()["1-a"]["errors"], 5);
        backend.ended(&Err(Failure::Timeout));
        backend.ended(&Err(Failure::Timeout));
        assert_eq!(shop.report()["1-a"]["healthy"], false);
    }
}
