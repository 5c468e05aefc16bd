//! The act in which a canary stops itself.

use firedrill_demo::{Addresses, tour};
use firedrill_experiment::journal::Journal;
use serde_json::json;

use super::Act;
use crate::command::canary::Look;
use crate::drill::{self, Order};
use crate::failure::Failure;
use crate::output::Out;

/// Each try of the gateway is a connection of its own through the proxy: a twentieth of them fail,
/// and are compared with a twentieth that do not.
pub(super) fn act(addresses: &Addresses) -> Act {
    let standby = addresses.web.values().filter(|web| web.drained);
    let standby: Vec<_> = standby.map(|web| web.address).collect();
    Act {
        question: "A twentieth of the tries fail, and the gateway tries again. Is that harm, and who stops it?",
        document: json!({
            "title": "One try in twenty fails, as a canary",
            "description": "Two twentieths of the connections to the web instances, compared: in one \
                            of them every request is answered with 503.",
            "blast-radius": {"targets-max": 1, "duration-max": "1m"},
            "kpis": [{
                "name": "customers",
                "provider": {
                    "type": "load", "url": addresses.checkout_url(), "rate": tour::RATE,
                    "arrival": "poisson", "timeout": "1s",
                },
                "objective": {"success-ratio": 0.99},
            }],
            "method": [{
                "type": "action",
                "name": "tries fail",
                "provider": {
                    "type": "fault", "name": "application.http-error", "target": {"host": true},
                    "duration": "10s",
                    "arguments": {
                        "proxy": format!("http://{}", addresses.proxy), "route": "web",
                        "status": 503, "arm": "experiment",
                    },
                },
            }],
            "canary": {
                "split": {"share": 0.05, "by": "connection"},
                "kpis": [{"name": "tries", "success-ratio": {"tolerance": 0.02}}],
                "baseline": "2s",
                "duration": {"min": "5s", "max": "10s"},
                "standby": standby,
            },
        }),
    }
}

pub(super) fn hold(order: &Order, out: &Out) -> Result<Box<Journal>, Failure> {
    let looks = order.experiment.canary.as_ref();
    let mut look = looks.map(|canary| Look::new(out, canary));
    let journal = drill::canary(order, |now, notice| {
        if let Some(look) = &mut look {
            look.see(now, &notice);
        }
    })?;
    Ok(Box::new(journal))
}
