//! DNS as far as one question for one name goes.

use crate::flow::Speech;

/// Asks for the address of `shop.example`.
pub(crate) const NAMES: Speech = Speech {
    port: 53,
    ask: question,
    answer,
};

/// A record of the name at offset 12: A, IN, for a minute, 192.0.2.7.
const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7];

fn question(number: u32) -> Vec<u8> {
    // Recursion is wanted, of one question.
    let mut bytes = (number as u16).to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in ["shop", "example"] {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    // The root, A, IN.
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

fn answer(question: &[u8]) -> Vec<u8> {
    let mut bytes = question.to_vec();
    if let Some(head) = bytes.first_chunk_mut::<12>() {
        // A response, recursion was available, one answer.
        head[2] |= 0x80;
        head[3] = 0x80;
        head[7] = 1;
    }
    bytes.extend(RECORD);
    bytes
}
