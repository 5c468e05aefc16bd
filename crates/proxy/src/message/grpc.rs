//! Faults on gRPC calls: what HTTP/2 carries, in gRPC's own words.

use super::Pattern;
use crate::stream::Latency;

/// A fault on some of the calls of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct GrpcFault {
    pub matching: GrpcMatch,
    pub action: GrpcAction,
}

/// Which calls a fault is meant for: all that fit every part that is given. A request that is no
/// gRPC call, by its content type, is never one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrpcMatch {
    /// With its package: `shop.Cart`.
    pub service: Option<Pattern>,
    /// Without its service: `Checkout`.
    pub method: Option<Pattern>,
    /// Names in any case, and what their value is like on the wire (of `-bin` ones, in base64).
    pub metadata: Vec<(String, Pattern)>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum GrpcAction {
    /// It goes on later. Its jitter is drawn for each call; its correlation is not used.
    Delay(Latency),
    /// It does not go on: this is its answer, in trailers only.
    Abort(GrpcStatus),
    /// Its answer breaks off behind so many messages: with this status, or without one, by a reset
    /// of its stream, for which a client may throw away what it has not read. The server sees that
    /// the call is cancelled. An answer that ends before is left alone.
    Cut {
        after: u64,
        status: Option<GrpcStatus>,
    },
}

/// How a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcStatus {
    /// 14 is `UNAVAILABLE`.
    pub code: u32,
    pub message: String,
}

impl GrpcStatus {
    /// The message as it is on the wire.
    pub(super) fn wire_message(&self) -> String {
        let mut text = String::new();
        for byte in self.message.bytes() {
            match byte {
                b'%' | ..=0x1f | 0x7f.. => text += &format!("%{byte:02X}"),
                plain => text.push(char::from(plain)),
            }
        }
        text
    }
}

impl GrpcMatch {
    /// `path` is `/service/method`; `metadata` are names and values as they came.
    pub fn fits(&self, path: &[u8], metadata: &[(&[u8], &[u8])]) -> bool {
        let is_call = metadata
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case(b"content-type") && is_grpc(value));
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
            return false;
        };
        let (service, method) = (&path[..slash], &path[slash + 1..]);
        let fits = |pattern: &Option<Pattern>, text| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
        };
        let has = |(name, value): &(String, Pattern)| {
            metadata.iter().any(|(other, text)| {
                other.eq_ignore_ascii_case(name.as_bytes()) && value.matches(text)
            })
        };
        is_call
            && fits(&self.service, service)
            && fits(&self.method, method)
            && self.metadata.iter().all(has)
    }
}

/// `application/grpc`, `application/grpc+proto`, `application/grpc; charset=utf-8`; not
/// `application/grpc-web`, whose trailers are in its body.
pub(super) fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Finds the ends of messages in a body, however it came.
#[derive(Debug, Default, Clone)]
pub(super) struct Messages {
    /// The first bytes of a message: a flag, and four bytes of length.
    prefix: Vec<u8>,
    /// Bytes that are missing of the message.
    left: u64,
    /// Those that have ended.
    ended: u64,
}

impl Messages {
    /// Bytes of `body` up to the end of the message of this number, if that is in it.
    pub(super) fn end_of(&mut self, number: u64, body: &[u8]) -> Option<usize> {
        let mut at = 0;
        while self.ended < number {
            if self.prefix.len() < 5 {
                self.prefix.push(*body.get(at)?);
                at += 1;
                if let [_, length @ ..] = &self.prefix[..]
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.left = u64::from(u32::from_be_bytes(length));
                }
            }
            if self.prefix.len() == 5 {
                let part = self.left.min((body.len() - at) as u64);
                at += part as usize;
                self.left -= part;
                if self.left > 0 {
                    return None;
                }
                self.prefix.clear();
                self.ended += 1;
            }
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_is_chosen_by_service_method_and_metadata() {
        let matching = GrpcMatch {
            service: Some("shop.*".parse().expect("a pattern")),
            method: Some("Check*".parse().expect("a pattern")),
            metadata: vec![("Tenant".into(), "blue".parse().expect("a pattern"))],
        };
        let grpc: (&[u8], &[u8]) = (b"content-type", b"application/grpc+proto");
        let web: (&[u8], &[u8]) = (b"content-type", b"application/grpc-web");
        let tenant: (&[u8], &[u8]) = (b"tenant", b"blue");
        assert!(matching.fits(b"/shop.Cart/Checkout", &[grpc, tenant]));
        assert!(!matching.fits(b"/shop.Cart/Checkout", &[web, tenant]));
        assert!(!matching.fits(b"/shop.Cart/Checkout", &[tenant]));
        assert!(!matching.fits(b"/shop.Cart/Checkout", &[grpc]));
        assert!(!matching.fits(b"/shop.Cart/Add", &[grpc, tenant]));
        assert!(!matching.fits(b"/bank.Cart/Checkout", &[grpc, tenant]));
        assert!(!matching.fits(b"*", &[grpc, tenant]));
    }

    #[test]
    fn a_message_is_written_in_characters_that_a_header_may_have() {
        let status = GrpcStatus {
            code: 14,
            message: "100 % aus: Köln\n".into(),
        };
        assert_eq!(status.wire_message(), "100 %25 aus: K%C3%B6ln%0A");
    }

    proptest! {
        #[test]
        fn ends_of_messages_are_found_however_the_body_is_cut(
            lengths in prop::collection::vec(0..40_usize, 1..8), after in 0..9_u64, step in 1..9_usize,
        ) {
            let mut body = Vec::new();
            let mut ends = vec![0];
            for length in lengths {
                body.push(0);
                body.extend((length as u32).to_be_bytes());
                body.extend(vec![7; length]);
                ends.push(body.len());
            }
            let mut messages = Messages::default();
            let mut before = 0;
            let mut found = None;
            for part in body.chunks(step) {
                found = messages.end_of(after, part).map(|at| before + at);
                if found.is_some() {
                    break;
                }
                before += part.len();
            }
            prop_assert_eq!(found, ends.get(after as usize).copied());
        }
    }
}
