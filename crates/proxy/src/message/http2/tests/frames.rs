//! Frames to be sent, and what came of them.

use super::super::frame::{self, Event, HEAD, Reader};
use super::super::hpack::{Decoder, Encoder, Field};

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [
        &frame::head(payload.len(), kind, flags, stream)[..],
        payload,
    ]
    .concat()
}

pub(super) fn settings(rows: &[(u16, u32)]) -> Vec<u8> {
    let rows = rows.iter().flat_map(|(key, value)| {
        let (key, value) = (key.to_be_bytes(), value.to_be_bytes());
        key.into_iter().chain(value)
    });
    frame(frame::SETTINGS, 0, 0, &rows.collect::<Vec<_>>())
}

pub(super) fn acknowledge() -> Vec<u8> {
    frame(frame::SETTINGS, frame::ACK, 0, &[])
}

pub(super) fn data(stream: u32, body: &[u8], end: bool) -> Vec<u8> {
    let flags = if end { frame::END_STREAM } else { 0 };
    frame(frame::DATA, flags, stream, body)
}

pub(super) fn more(stream: u32, bytes: u32) -> Vec<u8> {
    frame::short(frame::WINDOW_UPDATE, stream, bytes).to_vec()
}

pub(super) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame::short(frame::RST_STREAM, stream, code).to_vec()
}

pub(super) fn headers(stream: u32, fields: &[(&str, &str)], end: bool) -> Vec<u8> {
    let fields: Vec<Field> = fields.iter().map(|(n, v)| Field::new(n, v)).collect();
    let block = Encoder::default().encode(&fields);
    let flags = if end { frame::END_STREAM } else { 0 };
    frame::block(frame::HEADERS, flags, stream, &block)
}

pub(super) fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, &[(":method", "GET"), (":path", path)], true)
}

pub(super) fn call(stream: u32) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":path", "/shop.Cart/Checkout"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    headers(stream, &fields, false)
}

/// Frames in words. Nothing may be left behind the last one.
pub(super) fn told(bytes: &[u8]) -> Vec<String> {
    let (mut reader, mut decoder) = (Reader::default(), Decoder::default());
    let mut rest = bytes;
    let mut told = Vec::new();
    let mut body = Vec::new();
    let mut of_data = None;
    while let Some(event) = reader.next(&mut rest).expect("frames") {
        match event {
            Event::Whole(head, raw) => {
                let payload = &raw[HEAD..];
                let end = if head.has(frame::END_STREAM) {
                    " end"
                } else {
                    ""
                };
                let stream = head.stream;
                told.push(match head.kind {
                    frame::HEADERS => {
                        let fields = decoder.decode(payload).expect("a block").expect("fields");
                        let line = |f: &Field| {
                            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                            format!(" {}={}", text(&f.name), text(&f.value))
                        };
                        let fields: String = fields.iter().map(line).collect();
                        format!("headers {stream}{fields}{end}")
                    }
                    frame::RST_STREAM | frame::WINDOW_UPDATE => {
                        let name = if head.kind == frame::RST_STREAM {
                            "reset"
                        } else {
                            "more"
                        };
                        let number = frame::number(payload, 0).expect("a number");
                        format!("{name} {stream} {number}")
                    }
                    frame::GOAWAY => {
                        let last = frame::number(payload, 0).expect("a stream");
                        let code = frame::number(payload, 4).expect("a code");
                        format!("goaway {last} {code}")
                    }
                    frame::SETTINGS if head.has(frame::ACK) => "acknowledged".into(),
                    frame::SETTINGS => "settings".into(),
                    kind => format!("frame {kind} {stream}"),
                });
            }
            Event::Begun(head, _) => of_data = Some(head),
            Event::Part { bytes, last } => {
                body.extend_from_slice(bytes);
                if last {
                    let head = of_data.take().expect("a head");
                    let end = if head.has(frame::END_STREAM) {
                        " end"
                    } else {
                        ""
                    };
                    let text = String::from_utf8_lossy(&std::mem::take(&mut body)).into_owned();
                    told.push(format!("data {} {text:?}{end}", head.stream));
                }
            }
        }
    }
    assert_eq!((rest, of_data, reader.rest()), (&[][..], None, vec![]));
    told
}
