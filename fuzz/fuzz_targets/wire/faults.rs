//! A fault of each sort on requests of HTTP.

use firedrill_proxy::message::{BodyChange, HeaderChange, HttpAction, HttpFault, HttpMatch, Kind};
use firedrill_proxy::stream::Direction;

use super::talk;

pub fn on_http() -> Vec<Kind> {
    let body = |direction, change| HttpAction::Body { direction, change };
    let header = |direction, change| HttpAction::Header { direction, change };
    let (status, name) = (503, "host".to_owned());
    let actions = [
        HttpAction::Abort { status, body: "x".into() },
        HttpAction::Reset,
        HttpAction::Delay(talk::delay()),
        body(Direction::Upstream, BodyChange::Replace("ours".into())),
        body(Direction::Downstream, BodyChange::Truncate { after: 3 }),
        header(Direction::Upstream, HeaderChange::Remove { name }),
    ];
    let kinds = actions.into_iter().map(|action| {
        let matching = HttpMatch::default();
        Kind::Http(HttpFault { matching, action })
    });
    kinds.collect()
}
