//! Content that nothing can compress or share: xorshift64* (Vigna 2016) from a random seed.

use std::hash::{BuildHasher as _, RandomState};

#[derive(Debug)]
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new() -> Self {
        // The standard library keys its hasher from the kernel's random numbers.
        Self(RandomState::new().hash_one(0_u8) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for word in bytes.chunks_mut(8) {
            let noise = self.next().to_ne_bytes();
            word.copy_from_slice(noise.get(..word.len()).unwrap_or_default());
        }
    }
}
