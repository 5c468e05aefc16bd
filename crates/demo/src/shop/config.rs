use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};

use super::ShopError;
use crate::roles::{GatewayConfig, PaymentsConfig, ProxyConfig, WebConfig};

/// Outside every zone, as a provider's service would be.
const PAYMENTS: Ipv4Addr = Ipv4Addr::new(127, 0, 100, 1);
/// Where the proxy's routes begin, in no zone either.
const WEB_ROUTE: Ipv4Addr = Ipv4Addr::new(127, 0, 10, 1);
const PAYMENTS_ROUTE: Ipv4Addr = Ipv4Addr::new(127, 0, 10, 2);

/// The size and the habits of a shop. Change them and the verdicts change.
///
/// The defaults make an instance worth `workers / service_time` = 100 checkouts per second. At
/// 250 per second two zones (400) carry on and one zone (200) does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopConfig {
    /// 1 to 9.
    pub zones: u32,
    /// Web instances per zone, 1 to 20.
    pub instances: u32,
    /// Adds `web-spare` to the last zone: checked by the proxy, but drained.
    pub spare: bool,
    /// Checkouts that an instance works on at a time, 1 to 1000.
    pub workers: usize,
    /// How long a worker is busy with a checkout, up to 60 s.
    pub service_time: Duration,
    /// Checkouts that may wait for a worker of an instance, up to 10,000.
    pub queue: usize,
    /// How long an instance waits for payments before it carries on without; up to 60 s. Over
    /// `try_timeout` less the service time, the gateway gives up first.
    pub payments_timeout: Duration,
    /// How long payments takes, up to 60 s.
    pub payments_delay: Duration,
    /// Whether a checkout without payments succeeds with reduced functionality, or fails.
    pub degraded_mode: bool,
    /// The gateway's tries after the first, up to 10.
    pub retries: u32,
    /// How long the gateway waits for one try, 1 ms to 60 s.
    pub try_timeout: Duration,
    /// Between two health checks of an instance, 10 ms to 60 s.
    pub health_interval: Duration,
    /// 1 ms to 60 s.
    pub health_timeout: Duration,
    /// The gateway listens here, the proxy's interface at the next port, and every instance and
    /// route of the proxy uses this port on its own address; 0 takes any free ports.
    pub port: u16,
}

impl Default for ShopConfig {
    fn default() -> Self {
        ShopConfig {
            zones: 3,
            instances: 2,
            spare: true,
            workers: 2,
            service_time: Duration::from_millis(20),
            queue: 10,
            payments_timeout: Duration::from_millis(150),
            payments_delay: Duration::from_millis(5),
            degraded_mode: true,
            retries: 1,
            try_timeout: Duration::from_millis(250),
            health_interval: Duration::from_millis(200),
            health_timeout: Duration::from_millis(250),
            port: 0,
        }
    }
}

/// Where one web instance stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) instance: String,
    pub(super) zone: u32,
    /// From 1; the last number of its address.
    number: u32,
    pub(super) drained: bool,
}

impl ShopConfig {
    /// The port of a kept shop, unless told otherwise; the ready drills expect it.
    pub const KEPT_PORT: u16 = 8480;

    pub(super) fn check(&self) -> Result<(), ShopError> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let limits = [
            ("number of zones", u64::from(self.zones), 1, 9),
            ("instances per zone", u64::from(self.instances), 1, 20),
            ("workers", count(self.workers), 1, 1000),
            ("queue", count(self.queue), 0, 10_000),
            ("retries", u64::from(self.retries), 0, 10),
            ("service time in ms", ms(self.service_time), 0, 60_000),
            (
                "payments time-out in ms",
                ms(self.payments_timeout),
                1,
                60_000,
            ),
            ("payments delay in ms", ms(self.payments_delay), 0, 60_000),
            ("try time-out in ms", ms(self.try_timeout), 1, 60_000),
            (
                "health interval in ms",
                ms(self.health_interval),
                10,
                60_000,
            ),
            ("health time-out in ms", ms(self.health_timeout), 1, 60_000),
            // The proxy's interface needs the port after it.
            ("port", u64::from(self.port), 0, u64::from(u16::MAX) - 1),
        ];
        for (field, value, min, max) in limits {
            if !(min..=max).contains(&value) {
                return Err(ShopError::Limit {
                    field,
                    min,
                    max,
                    value,
                });
            }
        }
        Ok(())
    }

    pub(super) fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for zone in 1..=self.zones {
            for (number, letter) in (1..=self.instances).zip('a'..='z') {
                let instance = format!("web-{zone}-{letter}");
                places.push(Place {
                    instance,
                    zone,
                    number,
                    drained: false,
                });
            }
        }
        if self.spare {
            places.push(Place {
                instance: "web-spare".to_owned(),
                zone: self.zones,
                number: self.instances + 1,
                drained: true,
            });
        }
        places
    }

    pub(super) fn payments(&self, parent: Option<u32>) -> PaymentsConfig {
        PaymentsConfig {
            listen: SocketAddr::from((PAYMENTS, self.port)),
            delay_ms: ms(self.payments_delay),
            parent,
        }
    }

    pub(super) fn web(
        &self,
        place: &Place,
        payments: SocketAddr,
        parent: Option<u32>,
    ) -> WebConfig {
        // In 127.0.0.0/8, with the zone and the number where their limits keep them in range.
        let address = 0x7f00_0000 | (place.zone << 8) | place.number;
        WebConfig {
            instance: place.instance.clone(),
            listen: SocketAddr::from((Ipv4Addr::from_bits(address), self.port)),
            payments,
            payments_timeout_ms: ms(self.payments_timeout),
            degraded_mode: self.degraded_mode,
            workers: self.workers,
            service_time_ms: ms(self.service_time),
            queue: self.queue,
            parent,
        }
    }

    pub(super) fn proxy(&self, parent: Option<u32>) -> ProxyConfig {
        let port = match self.port {
            0 => 0,
            port => port.saturating_add(1),
        };
        ProxyConfig {
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            seed: 1,
            parent,
        }
    }

    pub(super) fn gateway(&self, web: SocketAddr, parent: Option<u32>) -> GatewayConfig {
        GatewayConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            web,
            retries: self.retries,
            try_timeout_ms: ms(self.try_timeout),
            parent,
        }
    }

    /// Where the proxy's route to the web instances begins.
    pub(super) fn web_route(&self) -> SocketAddr {
        SocketAddr::from((WEB_ROUTE, self.port))
    }

    /// Where its route to payments begins.
    pub(super) fn payments_route(&self) -> SocketAddr {
        SocketAddr::from((PAYMENTS_ROUTE, self.port))
    }

    /// What the proxy asks all of them, as its interface takes it.
    pub(super) fn health_check(&self) -> Value {
        json!({
            "path": "/health",
            "every": ms(self.health_interval),
            "limit": ms(self.health_timeout),
        })
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_zone_is_a_loopback_subnet_of_its_own() {
        let config = ShopConfig {
            port: 8480,
            ..ShopConfig::default()
        };
        let listen = |name: &str| {
            let places = config.places();
            let place = places.iter().find(|place| place.instance == name).unwrap();
            config
                .web(place, config.payments(None).listen, None)
                .listen
                .to_string()
        };
        assert_eq!(listen("web-1-a"), "127.0.1.1:8480");
        assert_eq!(listen("web-2-b"), "127.0.2.2:8480");
        assert_eq!(listen("web-spare"), "127.0.3.3:8480");
        assert_eq!(config.places().len(), 7);
    }

    #[test]
    fn the_defaults_carry_the_tours_load_on_two_zones_and_not_on_one() {
        let config = ShopConfig::default();
        let instance = config.workers as f64 / config.service_time.as_secs_f64();
        let zone = instance * f64::from(config.instances);
        assert!(2.0 * zone > crate::tour::RATE);
        assert!(zone < crate::tour::RATE);
        assert!(
            2.0 * zone > 1.5 * crate::tour::RATE,
            "room for a busy machine"
        );
    }

    #[test]
    fn what_is_outside_its_limits_is_named_with_them() {
        let config = ShopConfig {
            zones: 10,
            ..ShopConfig::default()
        };
        let refusal = config.check().unwrap_err().to_string();
        assert_eq!(
            refusal,
            "the shop's number of zones must be 1 to 9, and is 10"
        );
        let config = ShopConfig {
            port: u16::MAX,
            ..ShopConfig::default()
        };
        assert!(config.check().is_err());
        assert!(ShopConfig::default().check().is_ok());
    }
}
