//! Bits of a body that are flipped.

use super::{BODY_PART, BODY_PLACE};
use crate::chance::Chance;

/// Flips one bit in each part that chance falls to. `offset` is where in the body these bytes begin;
/// parts are those of the body, so it does not matter in what pieces it comes.
pub(in crate::message) fn corrupt(bytes: &mut [u8], offset: u64, share: f64, chance: Chance) {
    let end = offset + bytes.len() as u64;
    for part in offset / BODY_PART..end.div_ceil(BODY_PART) {
        let chance = chance.of(part);
        if !chance.happens(share) {
            continue;
        }
        let bit = chance.of(1).below(BODY_PLACE * 8);
        let place = part * BODY_PART + bit / 8;
        if let Some(at) = place.checked_sub(offset)
            && let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at))
        {
            *byte ^= 1 << (bit % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_part_has_one_bit_flipped_in_whatever_pieces_it_comes(
            length in 1_usize..6000,
            cuts in proptest::collection::vec(1_usize..3000, 1..5),
            seed: u64,
        ) {
            let chance = Chance::new(seed);
            let mut body = vec![0; length];
            let (mut at, mut cuts) = (0, cuts.iter().cycle());
            while at < length {
                let end = (at + cuts.next().unwrap()).min(length);
                corrupt(&mut body[at..end], at as u64, 1.0, chance);
                at = end;
            }
            let mut whole = vec![0; length];
            corrupt(&mut whole, 0, 1.0, chance);
            prop_assert_eq!(&whole, &body);
            for part in body.chunks(BODY_PART as usize) {
                let flipped: u32 = part.iter().map(|byte| byte.count_ones()).sum();
                let reached = part.len() >= BODY_PLACE as usize;
                prop_assert!(flipped == 1 || (flipped == 0 && !reached), "{flipped}");
            }
        }
    }
}
