//! The Huffman code of header strings (RFC 7541, appendix B).
//!
//! The code is canonical: the lengths of the symbols give the codes. It is read four bits at a
//! time; no symbol is that short, so four bits end one at most.

use std::sync::OnceLock;

/// Bits of each octet's code; the end of a string (EOS) is behind them, and has 30.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const EOS: u8 = 30;

/// What follows on four bits.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    next: u8,
    symbol: Option<u8>,
    /// A string that has EOS in it, or bits that are no code.
    broken: bool,
}

/// Where bits lead to: 256 places inside the tree, 16 ways from each.
struct Machine {
    steps: Vec<[Step; 16]>,
    /// Whether a string may end here: nothing but up to seven ones since the last symbol.
    final_at: Vec<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Nothing,
    Inside(usize),
    Symbol(u16),
}

/// The text of a string. None: it is none.
pub(super) fn decode(coded: &[u8], text: &mut Vec<u8>) -> Option<()> {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    let machine = MACHINE.get_or_init(Machine::new);
    let mut at = 0;
    for half in coded.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        let step = machine.steps[usize::from(at)][usize::from(half)];
        if step.broken {
            return None;
        }
        text.extend(step.symbol);
        at = step.next;
    }
    machine.final_at[usize::from(at)].then_some(())
}

impl Machine {
    fn new() -> Self {
        let tree = tree();
        let steps = (0..tree.len()).map(|from| {
            let mut ways = [Step::default(); 16];
            for (bits, way) in ways.iter_mut().enumerate() {
                *way = step(&tree, from, bits);
            }
            ways
        });
        let mut final_at = vec![false; tree.len()];
        let mut at = 0;
        for _ in 0..8 {
            final_at[at] = true;
            let Node::Inside(next) = tree[at][1] else {
                break;
            };
            at = next;
        }
        Self {
            steps: steps.collect(),
            final_at,
        }
    }
}

fn step(tree: &[[Node; 2]], from: usize, bits: usize) -> Step {
    let mut step = Step::default();
    let mut at = from;
    for place in (0..4).rev() {
        at = match tree[at][bits >> place & 1] {
            Node::Inside(next) => next,
            Node::Symbol(symbol) => {
                step.symbol = u8::try_from(symbol).ok();
                step.broken |= step.symbol.is_none();
                0
            }
            Node::Nothing => {
                step.broken = true;
                0
            }
        };
    }
    step.next = at as u8;
    step
}

/// The code as a tree; its root is the first.
fn tree() -> Vec<[Node; 2]> {
    let lengths = LENGTHS.iter().copied().chain([EOS]);
    let mut symbols: Vec<(u8, u16)> = lengths.zip(0..).collect();
    symbols.sort_unstable();
    let mut tree = vec![[Node::Nothing; 2]];
    let (mut code, mut bits) = (0_u32, symbols[0].0);
    for (length, symbol) in symbols {
        code <<= length - bits;
        bits = length;
        let mut at = 0;
        for place in (1..length).rev() {
            let side = (code >> place & 1) as usize;
            at = match tree[at][side] {
                Node::Inside(next) => next,
                _ => {
                    tree.push([Node::Nothing; 2]);
                    let next = tree.len() - 1;
                    tree[at][side] = Node::Inside(next);
                    next
                }
            };
        }
        tree[at][(code & 1) as usize] = Node::Symbol(symbol);
        code += 1;
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_complete_and_fits_the_machine() {
        let tree = tree();
        assert_eq!(tree.len(), 256, "places are kept in a byte");
        assert!(tree.iter().flatten().all(|node| *node != Node::Nothing));
    }

    #[test]
    fn codes_of_the_appendix_are_what_they_stand_for() {
        // RFC 7541, appendix B: '0', '~', 0x00, 0xf9 and EOS's first bits as padding.
        let cases: [(&[u8], &[u8]); 4] = [
            (&[0b0000_0111], b"0"),
            (&[0xff, 0b1110_1111], b"~"),
            (&[0xff, 0b1100_0111], b"\0"),
            (&[0xff, 0xff, 0xff, 0xef], &[0xf9]),
        ];
        for (coded, plain) in cases {
            let mut text = Vec::new();
            assert_eq!(decode(coded, &mut text), Some(()), "{coded:x?}");
            assert_eq!(text, plain);
        }
    }

    #[test]
    fn a_string_with_its_end_inside_or_with_wrong_padding_is_none() {
        let cases: [&[u8]; 4] = [
            &[0xff, 0xff, 0xff, 0xff],
            // Padding of zeroes, of eight ones, and EOS with a symbol behind it.
            &[0b0000_0000],
            &[0b0000_0111, 0xff],
            &[0xff, 0xff, 0xff, 0xfc, 0b0000_0111],
        ];
        for coded in cases {
            assert_eq!(decode(coded, &mut Vec::new()), None, "{coded:x?}");
        }
    }
}
