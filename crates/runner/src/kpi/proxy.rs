//! What passed through a route of a Firedrill proxy.

use firedrill_experiment::call::ProxyArm;
use hyper::header::HeaderMap;
use serde_json::Value;

use super::Asks;
use super::counters::{Stands, Unread};
use super::json::{answer, parse};
use crate::provider::http::Request;

pub(super) async fn read(
    asks: &Asks,
    url: &str,
    proxy: &str,
    arm: ProxyArm,
) -> Result<Stands, Unread> {
    let mut url = parse(url)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["proxies", proxy, "split"]);
    }
    let request = Request::get(url, HeaderMap::new());
    let body = answer(asks, request, asks.verify_tls).await?;
    let arms: &[&str] = match arm {
        ProxyArm::All => &["none", "control", "experiment"],
        ProxyArm::None => &["none"],
        ProxyArm::Control => &["control"],
        ProxyArm::Experiment => &["experiment"],
    };
    let mut stands = Stands::default();
    for arm in arms {
        let counts = body.pointer(&format!("/arms/{arm}"));
        add(&mut stands, counts).ok_or_else(|| {
            Unread::Corrupt(format!(
                "the proxy's answer has no counts of the arm `{arm}`"
            ))
        })?;
    }
    stands.latency.sort_unstable_by_key(|(end, _)| *end);
    stands.latency.dedup_by(|next, first| {
        let same = next.0 == first.0;
        if same {
            first.1 += next.1;
        }
        same
    });
    Ok(stands)
}

fn add(stands: &mut Stands, counts: Option<&Value>) -> Option<()> {
    let counts = counts?;
    stands.good += counts.get("well")?.as_f64()?;
    stands.bad += counts.get("badly")?.as_f64()?;
    for bucket in counts.get("times")?.as_array()? {
        let (end, count) = (bucket.get(0)?.as_f64()?, bucket.get(1)?.as_f64()?);
        stands.latency.push(((end * 1e6).ceil() as u64, count));
    }
    Some(())
}
