use proptest::prelude::*;

use super::super::frame::PREFACE;
use super::*;

/// A frame of any kind, most often one that some stream can have.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let wild = (
        0..12_u8,
        any::<u8>(),
        0..12_u32,
        prop::collection::vec(any::<u8>(), 0..60),
    );
    let stream = || 1..12_u32;
    let body = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        wild.prop_map(|(kind, flags, stream, payload)| {
            frames::frame(kind, flags, stream, &payload)
        }),
        (stream(), body.clone(), any::<bool>()).prop_map(|(s, b, end)| frames::data(s, &b, end)),
        // Padded.
        (stream(), body).prop_map(|(s, b)| {
            let payload = [&[3][..], &b, &[0; 3]].concat();
            frames::frame(frame::DATA, frame::PADDED, s, &payload)
        }),
        stream().prop_map(|s| frames::get(s, "/")),
        stream().prop_map(frames::call),
        (stream(), any::<bool>()).prop_map(|(s, end)| frames::headers(
            s,
            &[(":status", "200"), ("a", "b")],
            end
        )),
        (0..12_u32, 1..100_000_u32).prop_map(|(s, n)| frames::more(s, n)),
        stream().prop_map(|s| frames::reset(s, 8)),
        Just(frames::settings(&[(4, 10)])),
        Just(frames::acknowledge()),
        (0..12_u32).prop_map(|s| frames::frame(
            frame::GOAWAY,
            0,
            0,
            &[s.to_be_bytes(), [0; 4]].concat()
        )),
    ]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Upstream), Just(Direction::Downstream)]
}

/// Who says what, frame by frame.
fn talk() -> impl Strategy<Value = Vec<(Direction, Vec<u8>)>> {
    prop::collection::vec((direction(), any_frame()), 0..60)
}

/// A session that hears this talk, each frame in parts of so many bytes.
fn hear(faults: &[MessageFault], talk: &[(Direction, Vec<u8>)], part: usize) -> Bed {
    let mut bed = Bed::new(faults);
    let hello = [PREFACE, &frames::settings(&[])].concat();
    for bytes in hello.chunks(part) {
        bed.client(bytes);
    }
    for bytes in frames::settings(&[]).chunks(part) {
        bed.upstream(bytes);
    }
    for (direction, frame) in talk {
        for bytes in frame.chunks(part) {
            bed.receive(*direction, bytes);
        }
    }
    bed
}

proptest! {
    #[test]
    fn without_a_fault_any_bytes_pass_as_they_come(
        hello: bool, share in prop_oneof![Just(None), Just(Some(0.0))],
        talk in prop::collection::vec((direction(), prop::collection::vec(any::<u8>(), 0..60)), 0..40),
    ) {
        let faults = share.map(all).unwrap_or_default();
        let mut bed = Bed::new(&faults);
        let mut sent: [Vec<u8>; 2] = Default::default();
        let hello = hello.then(|| (Direction::Upstream, PREFACE.to_vec()));
        for (direction, bytes) in hello.iter().chain(&talk) {
            bed.receive(*direction, bytes);
            sent[*direction as usize].extend(bytes);
        }
        bed.end(Direction::Upstream);
        bed.end(Direction::Downstream);
        prop_assert_eq!((bed.said.bytes, bed.said.ends), (sent, [Some(End::Fin); 2]));
    }

    #[test]
    fn without_a_fault_frames_pass_as_they_come(
        talk in talk(), part in 1..80_usize, share in prop_oneof![Just(None), Just(Some(0.0))],
    ) {
        let faults = share.map(all).unwrap_or_default();
        let mut bed = hear(&faults, &talk, part);
        bed.end(Direction::Upstream);
        bed.end(Direction::Downstream);
        let mut sent = [PREFACE.to_vec(), Vec::new()];
        sent.iter_mut().for_each(|bytes| bytes.extend(frames::settings(&[])));
        for (direction, frame) in &talk {
            sent[*direction as usize].extend(frame);
        }
        prop_assert_eq!(bed.said.bytes, sent);
    }

    #[test]
    fn nothing_depends_on_how_tcp_cut_the_frames(talk in talk(), part in 1..80_usize) {
        let faults = all(0.4);
        let (mut whole, mut cut) = (hear(&faults, &talk, 1 << 20), hear(&faults, &talk, part));
        whole.later();
        cut.later();
        prop_assert_eq!(&whole.said, &cut.said);
    }

    #[test]
    fn whatever_is_said_frames_stay_whole_and_little_is_held(talk in talk(), part in 1..80_usize) {
        let mut bed = hear(&all(0.4), &talk, part);
        bed.later();
        let managed = bed.session.mode == Mode::Managed;
        if managed && bed.session.ways.iter().all(|way| way.block.is_none()) {
            for bytes in &bed.said.bytes {
                let bytes = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
                let mut reader = frame::Reader::default();
                let mut rest = bytes;
                let mut half = false;
                while let Ok(Some(event)) = reader.next(&mut rest) {
                    half = !matches!(event, Event::Whole(..) | Event::Part { last: true, .. });
                }
                prop_assert!(rest.is_empty() && !half && reader.rest().is_empty());
            }
            for (way, held) in bed.session.ways.iter().zip(bed.session.streams.weights()) {
                prop_assert_eq!((way.parts, way.held), held);
            }
        }
    }
}
