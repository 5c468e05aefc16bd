//! The experiment documents of the two-minute tour, as data. Nothing about their outcome is
//! decided here: they say what to break and what is believed, for a shop that listens at the
//! given addresses.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::Addresses;

/// The tour's load, in checkouts per second.
pub const RATE: f64 = 250.0;

/// Zone 2 stops answering for 6 s. Two zones are believed to be enough.
#[must_use]
pub fn lose_a_zone(addresses: &Addresses) -> Value {
    Experiment {
        title: "The shop survives losing zone 2".to_owned(),
        description: "Every instance of one zone stops answering while connections to it still \
                      open. The proxy gives up on it, the other zones carry the load."
            .to_owned(),
        during: "continue",
        actions: vec![pause_zone(addresses, 2, "6s")],
        targets: addresses.zone(2).count(),
        percent_of_healthy: share(1, addresses.zones()),
        duration_max: "10s",
    }
    .document(addresses)
}

/// Zones 1 and 2 stop answering for 5 s. One zone of the default shop is not enough.
#[must_use]
pub fn lose_two_zones(addresses: &Addresses) -> Value {
    let mut first = pause_zone(addresses, 1, "5s");
    // An action lasts as long as its fault; without this the zones would be lost in turn.
    first["background"] = json!(true);
    Experiment {
        title: "The shop survives losing zones 1 and 2".to_owned(),
        description: "Two zones stop answering at the same time. Whether the last one carries \
                      the load alone is a matter of its capacity."
            .to_owned(),
        during: "continue",
        actions: vec![first, pause_zone(addresses, 2, "5s")],
        targets: addresses.zone(1).count() + addresses.zone(2).count(),
        percent_of_healthy: share(2, addresses.zones()),
        duration_max: "10s",
    }
    .document(addresses)
}

/// An instance that gets no traffic stops answering for 4 s: the shop stays green, which shows
/// nothing.
#[must_use]
pub fn fault_without_traffic(addresses: &Addresses) -> Value {
    let target = json!({"label": {"app": "shop", "instance": "web-spare"}});
    Experiment {
        title: "The shop survives losing web-spare".to_owned(),
        description: "The instance is up, healthy and paused, but drained: no request would have \
                      met it."
            .to_owned(),
        during: "continue",
        actions: vec![pause(
            "lose web-spare",
            &target,
            "4s",
            &connections(addresses, "@.drained = true"),
        )],
        targets: 1,
        percent_of_healthy: share(1, addresses.zones()),
        duration_max: "10s",
    }
    .document(addresses)
}

/// Payments stops answering for 5 s. Checkouts are believed to carry on with reduced
/// functionality.
#[must_use]
pub fn lose_payments(addresses: &Addresses) -> Value {
    let target = json!({"label": {"app": "shop", "role": "payments"}});
    let exposure = match addresses.web.iter().find(|(_, web)| !web.drained) {
        // Payments cannot count while it is paused; its callers can.
        Some((_, caller)) => exposure(
            &format!("http://{}/stats", caller.address),
            "$.payments_calls",
        ),
        None => Value::Null,
    };
    Experiment {
        title: "Without payments, the shop carries on with reduced functionality".to_owned(),
        description: "Payments stops answering while connections to it still open. Checkouts \
                      give up on it in time, succeed, and say that they are degraded."
            .to_owned(),
        during: "degrade",
        actions: vec![pause("lose payments", &target, "5s", &exposure)],
        targets: 1,
        percent_of_healthy: 100,
        duration_max: "10s",
    }
    .document(addresses)
}

/// Payments answers later and later, from `from` to `to` (milliseconds), until checkouts carry on
/// without it. Where that is, nobody says here.
#[must_use]
pub fn late_payments(addresses: &Addresses, (from, to): (u64, u64)) -> Value {
    let proxy = format!("http://{}", addresses.proxy);
    let late = json!({
        "type": "action",
        "name": "payments are late",
        "provider": {
            "type": "fault",
            "name": "application.latency",
            "target": {"host": true},
            "duration": "10s",
            "arguments": {"proxy": proxy, "route": "payments", "delay": format!("{from}ms")},
        },
    });
    let mut kpi = checkout_kpi(&addresses.checkout_url());
    kpi["provider"]["rate"] = json!(LATE_RATE);
    kpi["provider"]["timeout"] = json!("2s");
    kpi["objective"] = json!({"success-ratio": 1.0 - LATE_MAX});
    json!({
        "title": "How late may payments answer before customers notice?",
        "description": "The shop's own proxy delays what payments answers. A checkout that had to \
                        carry on without is degraded, and says so.",
        "blast-radius": {"targets-max": 1, "bad-events-max": 600, "duration-max": "15s"},
        "kpis": [kpi],
        "expect": {"during": "continue"},
        "recovery": {"within": "5s"},
        "phases": {"baseline": "1s"},
        "margin": {
            "vary": {"activity": "payments are late", "argument": "delay"},
            "from": format!("{from}ms"),
            "to": format!("{to}ms"),
            "resolution": "15%",
            "search": {"non-production": true, "jump-max": "2x"},
            "dwell": {"min": "300ms", "max": "5s"},
            "budget": {"bad-events": 600, "bad-events-per-trial": 60, "trials": 30},
        },
        "method": [late],
        "rollbacks": [],
    })
}

/// The share of degraded checkouts at which payments is too late.
pub const LATE_MAX: f64 = 0.1;

/// The search's load, in checkouts per second: few, because each trial that is too late costs some.
pub const LATE_RATE: f64 = 80.0;

/// Zone 2 stops answering for a minute: time to kill the drill in the middle of it.
#[must_use]
pub fn long_pause(addresses: &Addresses) -> Value {
    Experiment {
        title: "Zone 2 is lost for a minute".to_owned(),
        description: "Long enough to SIGKILL the drill by hand and to see who continues zone 2."
            .to_owned(),
        during: "continue",
        actions: vec![pause_zone(addresses, 2, "60s")],
        targets: addresses.zone(2).count(),
        percent_of_healthy: share(1, addresses.zones()),
        duration_max: "90s",
    }
    .document(addresses)
}

struct Experiment {
    title: String,
    description: String,
    during: &'static str,
    actions: Vec<Value>,
    targets: usize,
    percent_of_healthy: u32,
    duration_max: &'static str,
}

impl Experiment {
    fn document(self, addresses: &Addresses) -> Value {
        let checkout = addresses.checkout_url();
        json!({
            "title": self.title,
            "description": self.description,
            "blast-radius": {
                "targets-max": self.targets,
                "percent-of-healthy": self.percent_of_healthy,
                "duration-max": self.duration_max,
                "traffic-percent-max": 100,
            },
            "kpis": [checkout_kpi(&checkout)],
            "expect": {"during": self.during, "transition": "2s"},
            "recovery": {"within": "5s"},
            "phases": {"baseline": "3s"},
            "steady-state-hypothesis": {
                "title": "A customer can check out",
                "probes": [{
                    "type": "probe",
                    "name": "checkout-answers",
                    "tolerance": 200,
                    "provider": {"type": "http", "url": checkout, "timeout": 2},
                }],
            },
            "method": self.actions,
            "rollbacks": [],
        })
    }
}

fn checkout_kpi(checkout: &str) -> Value {
    json!({
        "name": "checkout",
        "provider": {
            "type": "load",
            "url": checkout,
            "rate": RATE,
            "arrival": "poisson",
            "connections": 128,
            "timeout": "1s",
            "degraded-header": "x-degraded",
        },
        "objective": {
            "success-ratio": 0.99,
            "latency": {"quantile": 0.99, "max": "500ms"},
            "worst-window": {"length": "1s", "bad-max": 150},
        },
        "confidence": 0.95,
    })
}

fn pause_zone(addresses: &Addresses, zone: u32, duration: &str) -> Value {
    let target = json!({"label": {"app": "shop", "role": "web", "zone": zone.to_string()}});
    let exposure = connections(addresses, &format!("@.zone = '{zone}'"));
    pause(
        format_args!("lose zone {zone}"),
        &target,
        duration,
        &exposure,
    )
}

fn pause(name: impl Display, target: &Value, duration: &str, exposure: &Value) -> Value {
    let provider = json!({
        "type": "fault",
        "name": "infrastructure.process-pause",
        "target": target,
        "duration": duration,
    });
    json!({
        "type": "action",
        "name": name.to_string(),
        "provider": provider,
        "exposure": exposure,
    })
}

/// How many connections the proxy made to some of the instances: one for each try of a checkout.
fn connections(addresses: &Addresses, which: &str) -> Value {
    let counters = format!("$[*][?({which})].connections_total");
    exposure(&addresses.endpoints_url(), &counters)
}

/// Counters that show how many requests met the fault.
fn exposure(url: &str, counters: &str) -> Value {
    json!({"type": "http", "url": url, "jsonpath": counters})
}

/// The percentage that `part` of `whole` equal parts is, rounded up so that it is enough.
fn share(part: u32, whole: u32) -> u32 {
    (100 * part).div_ceil(whole.max(1)).min(100)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use firedrill_experiment::document::Strictness;

    use super::*;
    use crate::{ShopConfig, WebAddress};

    /// Where a kept shop listens that was started without flags.
    fn kept() -> Addresses {
        let port = ShopConfig::KEPT_PORT;
        let mut web = BTreeMap::new();
        for zone in 1..=3_u8 {
            for (number, letter) in [(1, 'a'), (2, 'b')] {
                let address = ([127, 0, zone, number], port).into();
                let zone = u32::from(zone);
                let place = WebAddress {
                    zone,
                    address,
                    drained: false,
                };
                web.insert(format!("web-{zone}-{letter}"), place);
            }
        }
        let address = ([127, 0, 3, 3], port).into();
        let spare = WebAddress {
            zone: 3,
            address,
            drained: true,
        };
        web.insert("web-spare".to_owned(), spare);
        Addresses {
            gateway: ([127, 0, 0, 1], port).into(),
            proxy: ([127, 0, 0, 1], port + 1).into(),
            payments: ([127, 0, 100, 1], port).into(),
            web,
        }
    }

    /// A ready drill with the defaults of its variables put in.
    fn drill(name: &str) -> Value {
        let shelf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/chaos");
        let mut text = std::fs::read_to_string(shelf.join(name)).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_valid(&document);
        for (variable, source) in document["configuration"].as_object().unwrap() {
            assert_eq!(source["type"], "env");
            let placeholder = format!("${{{variable}}}");
            assert!(
                text.contains(&placeholder),
                "{name} declares {variable} and uses it"
            );
            text = text.replace(&placeholder, source["default"].as_str().unwrap());
        }
        let mut document: Value = serde_json::from_str(&text).unwrap();
        document
            .as_object_mut()
            .unwrap()
            .shift_remove("configuration");
        document
    }

    fn assert_valid(document: &Value) {
        let reading =
            firedrill_experiment::Experiment::read_value(document.clone(), Strictness::Strict);
        let diagnostics = reading.diagnostics;
        assert!(
            diagnostics.is_empty(),
            "{}: {:?}",
            document["title"],
            diagnostics.lines()
        );
    }

    #[test]
    fn the_ready_drills_are_the_tours_for_a_kept_shop() {
        let kept = kept();
        assert_eq!(drill("lose-a-zone.json"), lose_a_zone(&kept));
        assert_eq!(drill("lose-two-zones.json"), lose_two_zones(&kept));
        assert_eq!(drill("lose-a-spare.json"), fault_without_traffic(&kept));
        assert_eq!(drill("lose-payments.json"), lose_payments(&kept));
        assert_eq!(drill("lose-a-zone-for-a-minute.json"), long_pause(&kept));
    }

    #[test]
    fn every_document_is_valid_to_the_last_key() {
        let kept = kept();
        for document in [
            lose_a_zone(&kept),
            lose_two_zones(&kept),
            fault_without_traffic(&kept),
            lose_payments(&kept),
            late_payments(&kept, (5, 640)),
            long_pause(&kept),
        ] {
            assert_valid(&document);
        }
    }

    #[test]
    fn the_blast_radius_allows_what_each_document_targets_and_no_more() {
        let kept = kept();
        for (document, targets, population) in [
            (lose_a_zone(&kept), 2, 6),
            (lose_two_zones(&kept), 4, 6),
            (fault_without_traffic(&kept), 1, 7),
            (lose_payments(&kept), 1, 1),
        ] {
            let radius = &document["blast-radius"];
            assert_eq!(radius["targets-max"], targets);
            // Rounded down, as a blast radius is.
            let allowed = radius["percent-of-healthy"].as_u64().unwrap() * population / 100;
            assert!(allowed >= targets, "{document}");
        }
    }

    #[test]
    fn exposure_is_counted_where_the_fault_is() {
        let document = lose_two_zones(&kept());
        for (action, zone) in [(0, 1), (1, 2)] {
            let counters = &document["method"][action]["exposure"]["jsonpath"];
            let path = format!("$[*][?(@.zone = '{zone}')].connections_total");
            assert_eq!(*counters, json!(path));
        }
    }
}
