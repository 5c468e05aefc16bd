//! What faults make of one request: decided when its headers are there, and not again.

use std::time::Duration;

use bytes::Bytes;

use super::body::{Break, Changes, Cut};
use super::error::Code;
use super::hpack::Field;
use crate::chance::Chance;
use crate::message::grpc::{GrpcAction, GrpcFault, GrpcStatus, Messages};
use crate::message::http::{BodyChange, HttpAction, HttpFault};
use crate::message::{Kind, MessageFault};
use crate::stream::{Direction, Spread};

/// A fault, with what is worked out once for all requests.
#[derive(Debug)]
pub(super) struct Ready {
    fault: MessageFault,
    spread: Option<Spread>,
}

/// Everything that is done with one request and its answer.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) stop: Option<Stop>,
    /// By direction.
    pub(super) changes: [Changes; 2],
}

/// Why a request does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Answer { fields: Vec<Field>, body: Bytes },
    Reset,
}

/// Draws of a fault besides the one that put it on the request.
const DELAY: u64 = 1;
const CORRUPT: u64 = 2;

impl Ready {
    pub(super) fn of(fault: &MessageFault) -> Self {
        let latency = match &fault.kind {
            Kind::Http(HttpFault {
                action: HttpAction::Delay(latency),
                ..
            })
            | Kind::Grpc(GrpcFault {
                action: GrpcAction::Delay(latency),
                ..
            }) => Some(*latency),
            Kind::Http(_) | Kind::Grpc(_) => None,
        };
        Self {
            fault: fault.clone(),
            spread: latency.map(Spread::of),
        }
    }
}

/// The plan for the request of this number; none if no fault is on it. `chance` is the connection's.
pub(super) fn plan(
    faults: &[Ready],
    chance: Chance,
    number: u64,
    fields: &[Field],
) -> Option<Plan> {
    if faults.is_empty() {
        return None;
    }
    let request = Request::of(fields);
    let mut plan = None;
    for ready in faults {
        if request.fits(&ready.fault.kind) && ready.fault.falls_on(chance, number) {
            let own = chance.named(&ready.fault.name).of(number);
            plan.get_or_insert_with(Plan::default)
                .add(ready, own, &request);
        }
    }
    plan
}

/// A request as faults look at it.
#[derive(Debug, Default)]
struct Request<'a> {
    method: &'a [u8],
    path: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Request<'a> {
    fn of(fields: &'a [Field]) -> Self {
        let mut request = Self::default();
        for Field { name, value, .. } in fields {
            match &**name {
                b":method" => request.method = value,
                b":path" => request.path = value,
                b":authority" => request.headers.push((b"host", value)),
                name => request.headers.push((name, value)),
            }
        }
        request
    }

    fn fits(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Http(fault) => fault.matching.fits(self.method, self.path, &self.headers),
            Kind::Grpc(fault) => fault.matching.fits(self.path, &self.headers),
        }
    }
}

impl Plan {
    fn add(&mut self, ready: &Ready, own: Chance, request: &Request<'_>) {
        if let Some(spread) = &ready.spread {
            self.delay += spread.delay(own.of(DELAY).unit());
        }
        match &ready.fault.kind {
            Kind::Http(fault) => self.add_http(&fault.action, own, request),
            Kind::Grpc(fault) => self.add_grpc(&fault.action),
        }
    }

    fn add_http(&mut self, action: &HttpAction, own: Chance, request: &Request<'_>) {
        match action {
            HttpAction::Delay(_) => {}
            HttpAction::Abort { status, body } => {
                let head = request.method == b"HEAD";
                self.stop(answer(*status, body, head));
            }
            HttpAction::Reset => self.stop(Stop::Reset),
            HttpAction::Header { direction, change } => {
                self.of(*direction).headers.push(change.clone());
            }
            HttpAction::Body { direction, change } => {
                let changes = self.of(*direction);
                match change {
                    BodyChange::Replace(body) => changes.replace = Some(body.clone()),
                    BodyChange::Truncate { after } => {
                        let least = changes.truncate.map_or(*after, |other| other.min(*after));
                        changes.truncate = Some(least);
                    }
                    BodyChange::Corrupt { share } => {
                        changes.corrupt.push((own.of(CORRUPT), *share));
                    }
                }
            }
        }
    }

    fn add_grpc(&mut self, action: &GrpcAction) {
        match action {
            GrpcAction::Delay(_) => {}
            GrpcAction::Abort(status) => {
                let mut fields = vec![
                    Field::new(":status", "200"),
                    Field::new("content-type", "application/grpc"),
                ];
                fields.extend(trailers(status));
                let body = Bytes::new();
                self.stop(Stop::Answer { fields, body });
            }
            GrpcAction::Cut { after, status } => {
                let cut = Cut {
                    after: *after,
                    messages: Messages::default(),
                    how: match status {
                        Some(status) => Break::Trailers(trailers(status)),
                        None => Break::Reset(Code::INTERNAL_ERROR),
                    },
                };
                let answer = self.of(Direction::Downstream);
                if answer.cut.as_ref().is_none_or(|other| *after < other.after) {
                    answer.cut = Some(cut);
                }
            }
        }
    }

    /// The first fault that stops the request says how.
    fn stop(&mut self, stop: Stop) {
        self.stop.get_or_insert(stop);
    }

    fn of(&mut self, direction: Direction) -> &mut Changes {
        &mut self.changes[direction as usize]
    }
}

fn answer(status: u16, body: &Bytes, head: bool) -> Stop {
    let mut fields = vec![Field::new(":status", status.to_string())];
    let has_body = !matches!(status, 204 | 304);
    if has_body {
        fields.push(Field::new("content-length", body.len().to_string()));
    }
    let body = if has_body && !head {
        body.clone()
    } else {
        Bytes::new()
    };
    Stop::Answer { fields, body }
}

fn trailers(status: &GrpcStatus) -> Vec<Field> {
    let mut fields = vec![Field::new("grpc-status", status.code.to_string())];
    if !status.message.is_empty() {
        fields.push(Field::new("grpc-message", status.wire_message()));
    }
    fields
}
