//! Faults on some gRPC calls of a busy connection.

use std::time::Duration;

use firedrill_proxy::message::{
    GrpcAction, GrpcFault, GrpcMatch, GrpcStatus, Kind, MessageFault, Pattern,
};
use firedrill_proxy::stream::Latency;
use firedrill_worker::queue::distribution::Distribution;
use h2::Reason;
use http::{HeaderMap, Request};

use super::peers::{Answer, CHANCE, ask, connect};

const DELAY: Duration = Duration::from_millis(300);

fn fault(method: &str, action: GrpcAction) -> MessageFault {
    let matching = GrpcMatch {
        service: Some(Pattern::new("shop.*")),
        method: Some(Pattern::new(method)),
        metadata: vec![("x-tenant".into(), Pattern::new("blue"))],
    };
    MessageFault {
        name: method.into(),
        share: 0.5,
        arm: None,
        kind: Kind::Grpc(GrpcFault { matching, action }),
    }
}

fn status(code: u32, message: &str) -> GrpcStatus {
    let message = message.into();
    GrpcStatus { code, message }
}

fn faults() -> Vec<MessageFault> {
    let exhausted = Some(status(8, "enough"));
    let latency = Latency {
        delay: DELAY,
        jitter: Duration::ZERO,
        distribution: Distribution::Uniform,
        correlation: 0.0,
    };
    vec![
        fault("Abort", GrpcAction::Abort(status(14, "100 % drill"))),
        fault(
            "Cut",
            GrpcAction::Cut {
                after: 2,
                status: exhausted,
            },
        ),
        fault(
            "Break",
            GrpcAction::Cut {
                after: 3,
                status: None,
            },
        ),
        fault("Delay", GrpcAction::Delay(latency)),
    ]
}

const METHODS: [&str; 5] = ["Plain", "Abort", "Cut", "Break", "Delay"];
const MESSAGES: usize = 5;

fn message(number: usize) -> Vec<u8> {
    let length = 1 + CHANCE.named("lengths").of(number as u64).below(20_000) as u32;
    let mut message = vec![0];
    message.extend(length.to_be_bytes());
    message.extend((0..length).map(|at| (at as usize * 3 + number) as u8));
    message
}

fn grpc_status(fields: &HeaderMap) -> &str {
    fields["grpc-status"].to_str().expect("text")
}

fn check(method: &str, sent: &[u8], answer: &Answer) {
    let trailers = answer.trailers.as_ref();
    match method {
        "Abort" => {
            assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
            assert_eq!(answer.headers["content-type"], "application/grpc");
            assert_eq!(grpc_status(&answer.headers), "14");
            assert_eq!(answer.headers["grpc-message"], "100 %25 drill");
        }
        "Cut" => {
            assert!(answer.body == sent.repeat(2), "two messages");
            let trailers = trailers.expect("trailers");
            assert_eq!(grpc_status(trailers), "8");
            assert_eq!(trailers["grpc-message"], "enough");
        }
        "Break" => {
            assert!(answer.body == sent.repeat(3), "three messages");
            assert_eq!(answer.broken, Some(Reason::INTERNAL_ERROR));
        }
        _ => {
            assert!(answer.body == sent.repeat(MESSAGES), "all messages");
            assert_eq!(grpc_status(trailers.expect("trailers")), "0");
            assert_eq!(
                method == "Delay",
                answer.after >= DELAY,
                "{:?}",
                answer.after
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_get_their_status_and_break_off_behind_their_messages() {
    let faults = faults();
    let mut client = connect(&faults, 65_535).await;
    let mut answers = Vec::new();
    for number in 0..150 {
        let draw = CHANCE.named("calls").of(number as u64);
        let method = METHODS[draw.below(METHODS.len() as u64) as usize];
        let tenant = ["blue", "red"][draw.of(1).below(2) as usize];
        let request = Request::post(format!("http://shop.test/shop.Cart/{method}"))
            .header("content-type", "application/grpc")
            .header("x-tenant", tenant)
            .header("x-messages", MESSAGES)
            .body(())
            .expect("a request");
        let fault = faults.iter().find(|fault| *fault.name == *method);
        let hit = fault.is_some_and(|fault| fault.falls_on(CHANCE, number as u64));
        let hit = hit && tenant == "blue";
        let sent = message(number);
        let answer = tokio::spawn(ask(&mut client, request, sent.clone()).await);
        answers.push((if hit { method } else { "Plain" }, sent, answer));
    }
    for (method, sent, answer) in answers {
        let answer = answer.await.expect("an end").expect("an answer");
        check(method, &sent, &answer);
    }
}
