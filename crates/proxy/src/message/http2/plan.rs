//! What faults make of one request: decided when its headers are there, and not again.

use std::time::Duration;

use bytes::Bytes;

use super::body::{Break, Changes, Cut};
use super::error::Code;
use super::hpack::Field;
use crate::arms::{Arms, Member};
use crate::chance::Chance;
use crate::message::grpc::{GrpcAction, GrpcFault, GrpcStatus, Messages};
use crate::message::http::decision::{DELAY, Deciders, Decision, Instead};
use crate::message::{Kind, MessageFault};
use crate::stream::Spread;

/// The faults of a connection, ready to decide.
#[derive(Debug)]
pub(super) struct Faults {
    chance: Chance,
    arms: Option<Arms>,
    http: Deciders,
    grpc: Vec<Grpc>,
}

/// One on gRPC calls.
#[derive(Debug)]
struct Grpc {
    fault: MessageFault,
    call: GrpcFault,
    /// Where it delays.
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

/// What comes instead of the upstream's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Answer { fields: Vec<Field>, body: Bytes },
    Reset,
}

impl Faults {
    pub(super) fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        let grpc = faults.iter().filter_map(|fault| match &fault.kind {
            Kind::Grpc(call) => Some(Grpc {
                fault: fault.clone(),
                call: call.clone(),
                spread: match &call.action {
                    GrpcAction::Delay(latency) => Some(Spread::of(*latency)),
                    _ => None,
                },
            }),
            _ => None,
        });
        Self {
            chance,
            arms: None,
            http: Deciders::new(faults),
            grpc: grpc.collect(),
        }
    }

    pub(super) fn change(&mut self, faults: &[MessageFault]) {
        let arms = self.arms.take();
        *self = Self {
            arms,
            ..Self::new(self.chance, faults)
        };
    }

    pub(super) fn divide(&mut self, arms: Option<Arms>) {
        self.arms = arms.filter(Arms::is_of_requests);
    }

    /// Whether what a request says makes no difference.
    pub(super) fn is_empty(&self) -> bool {
        self.http.is_empty() && self.grpc.is_empty() && self.arms.is_none()
    }

    /// The plan for the request of this number, none if no fault is on it; and whose the request is. Of
    /// several answers the first is given, those in the words of HTTP before those in gRPC's; delays
    /// add up.
    pub(super) fn plan(&self, number: u64, fields: &[Field]) -> (Option<Plan>, Option<Member>) {
        let request = Request::of(fields);
        let Request {
            method,
            path,
            headers,
        } = &request;
        let arms = self.arms.as_ref();
        let member = arms.and_then(|arms| arms.of_request(headers));
        let arm = member.map(|member| member.arm);
        let http = &self.http;
        let decided = http.decide(self.chance, number, method, path, headers, member);
        let on_call = |one: &&Grpc| {
            let meant = one.fault.arm.is_none() || one.fault.arm == arm;
            let fits = one.call.matching.fits(path, headers);
            fits && meant && one.fault.falls_on(self.chance, number)
        };
        let calls: Vec<&Grpc> = self.grpc.iter().filter(on_call).collect();
        if decided.is_none() && calls.is_empty() {
            return (None, member);
        }
        let mut plan = Plan::of(decided, *method == b"HEAD");
        for one in calls {
            let own = self.chance.named(&one.fault.name).of(number);
            if let Some(spread) = &one.spread {
                plan.delay += spread.delay(own.of(DELAY).unit());
            }
            plan.add(&one.call.action);
        }
        (Some(plan), member)
    }
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
}

impl Plan {
    fn of(decided: Decision, head: bool) -> Self {
        let stop = decided.instead.map(|instead| match instead {
            Instead::Answer { status, body } => answer(status, &body, head),
            Instead::Reset => Stop::Reset,
        });
        let Decision {
            delay,
            request,
            response,
            ..
        } = decided;
        Self {
            delay,
            stop,
            changes: [request, response].map(|changes| Changes::new(changes, None)),
        }
    }

    fn add(&mut self, action: &GrpcAction) {
        match action {
            GrpcAction::Delay(_) => {}
            GrpcAction::Abort(status) => {
                let mut fields = vec![
                    Field::new(":status", "200"),
                    Field::new("content-type", "application/grpc"),
                ];
                fields.extend(trailers(status));
                let body = Bytes::new();
                self.stop.get_or_insert(Stop::Answer { fields, body });
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
                let [_, answer] = &mut self.changes;
                if answer.cut.as_ref().is_none_or(|other| *after < other.after) {
                    answer.cut = Some(cut);
                }
            }
        }
    }
}

/// To a `HEAD` request, without its body.
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
