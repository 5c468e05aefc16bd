use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex"))
        .collect()
}

fn decoded(decoder: &mut Decoder, block: &[u8]) -> Vec<(String, String)> {
    let fields = decoder
        .decode(block)
        .expect("a block")
        .expect("a small one");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let pairs = fields.iter().map(|f| (text(&f.name), text(&f.value)));
    pairs.collect()
}

/// A block, its fields, and the size of the table behind it.
type Example<'a> = (&'a str, &'a [(&'a str, &'a str)], usize);

fn check(limit: Option<usize>, blocks: &[Example<'_>]) {
    let mut decoder = Decoder::default();
    if let Some(limit) = limit {
        decoder.table.resize(limit);
    }
    for (hex, fields, size) in blocks {
        let found = decoded(&mut decoder, &bytes(hex));
        let found: Vec<_> = found.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(found, *fields);
        assert_eq!(decoder.table.size(), *size);
    }
}

#[test]
fn integers_are_those_of_appendix_c_1() {
    for (hex, prefix, value) in [("0a", 5, 10), ("1f9a0a", 5, 1337), ("2a", 8, 42)] {
        assert_eq!(integer(&mut &bytes(hex)[..], prefix), Some(value));
        let mut written = Vec::new();
        write_integer(&mut written, 0, prefix, value);
        assert_eq!(written, bytes(hex));
    }
}

#[test]
fn fields_are_those_of_appendix_c_2() {
    let indexed = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    check(None, &[(indexed, &[("custom-key", "custom-header")], 55)]);
    let plain = "040c 2f73 616d 706c 652f 7061 7468";
    check(None, &[(plain, &[(":path", "/sample/path")], 0)]);
    let never = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    check(None, &[(never, &[("password", "secret")], 0)]);
    let mut decoder = Decoder::default();
    let fields = decoder.decode(&bytes(never)).expect("a block");
    assert!(fields.expect("fields")[0].sensitive);
    check(None, &[("82", &[(":method", "GET")], 0)]);
}

const FIRST: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
];
const SECOND: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
    ("cache-control", "no-cache"),
];
const THIRD: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
];

#[test]
fn requests_are_those_of_appendix_c_3_and_c_4() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for [a, b, c] in [plain, coded] {
        check(None, &[(a, FIRST, 57), (b, SECOND, 110), (c, THIRD, 164)]);
    }
}

const DATE: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const PLACE: (&str, &str) = ("location", "https://www.example.com");
const COOKIE: &str = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

#[test]
fn answers_are_those_of_appendix_c_5_and_c_6() {
    let private = ("cache-control", "private");
    let first = [(":status", "302"), private, DATE, PLACE];
    let second = [(":status", "307"), private, DATE, PLACE];
    let third = [
        (":status", "200"),
        private,
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        PLACE,
        ("content-encoding", "gzip"),
        ("set-cookie", COOKIE),
    ];
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 \
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 \
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d \
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 \
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e \
         3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for [a, b, c] in [plain, coded] {
        check(
            Some(256),
            &[(a, &first, 222), (b, &second, 222), (c, &third, 215)],
        );
    }
}

#[test]
fn blocks_that_break_the_rules_are_refused() {
    let cases = [
        ("80", "an index of 0"),
        ("be", "an index that is in no table"),
        ("00", "a literal without its name"),
        ("0003 6162", "a name that is cut off"),
        ("8220", "a change of the table's size behind a field"),
        ("3fe2 ff03", "a table of more than 64 KiB"),
        ("ffff ffff ffff 7f", "a number without an end"),
    ];
    for (hex, why) in cases {
        let found = Decoder::default().decode(&bytes(hex));
        assert_eq!(found, Err(Code::COMPRESSION_ERROR), "{why}");
    }
}

#[test]
fn a_small_block_that_stands_for_a_large_one_is_not_kept() {
    let mut decoder = Decoder::default();
    let mut block = vec![0x40, 1, b'a'];
    write_string(&mut block, &[b'x'; 4000]);
    block.extend([0xbe; 10_000]);
    assert_eq!(decoder.decode(&block), Ok(None));
    assert_eq!(decoded(&mut decoder, &[0xbe]).len(), 1);
}

fn field() -> impl Strategy<Value = Field> {
    let name = prop_oneof![
        Just(":method".to_owned()),
        Just("cookie".to_owned()),
        "[a-z-]{1,40}",
    ];
    let value = prop_oneof![
        Just(b"GET".to_vec()),
        prop::collection::vec(any::<u8>(), 0..300),
    ];
    (name, value, any::<bool>()).prop_map(|(name, value, sensitive)| Field {
        sensitive,
        ..Field::new(&name, value)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_in_whatever_state_the_receiver_is(
        before in "[a-z]{0,30}", lists in prop::collection::vec(prop::collection::vec(field(), 0..8), 1..5),
    ) {
        let mut decoder = Decoder::default();
        let mut block = vec![0x40, 1, b'a'];
        write_string(&mut block, before.as_bytes());
        decoder.decode(&block).expect("a block");
        let mut encoder = Encoder::default();
        for fields in lists {
            let block = encoder.encode(&fields);
            prop_assert_eq!(decoder.decode(&block), Ok(Some(fields)));
            prop_assert_eq!(decoder.table.size(), 0);
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_hold_more_than_its_table(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..10),
    ) {
        let mut decoder = Decoder::default();
        for block in blocks {
            let _either = decoder.decode(&block);
            prop_assert!(decoder.table.size() <= TABLE);
        }
    }
}
