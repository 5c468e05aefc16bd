//! The pages themselves.

use std::hint::black_box;
use std::io;

use crate::control::Control;
use crate::stress::StressError;
use crate::stress::noise::Noise;

/// Chunks are above 32 MiB, the most that glibc serves from its heap, so that each is a mapping of
/// its own, and goes back to the kernel as soon as it is dropped.
const CHUNK_WORDS: usize = (64 << 20) / WORD;
const WORD: usize = size_of::<u64>();

#[derive(Debug)]
pub(super) struct Held {
    /// All but the last are full.
    chunks: Vec<Vec<u64>>,
    noise: Noise,
    /// A page of noise, which every page is a copy of but for a word of its own: as hard to
    /// compress and as useless to share as one made anew, and written many times as fast.
    page: Vec<u64>,
}

impl Held {
    pub(super) fn new() -> Self {
        let mut noise = Noise::new();
        let words = rustix::param::page_size() / WORD;
        Self {
            chunks: Vec::new(),
            page: (0..words).map(|_| noise.next()).collect(),
            noise,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        let words: usize = self.chunks.iter().map(Vec::len).sum();
        (words * WORD) as u64
    }

    pub(super) fn is_as_near_as_pages_go(&self, bytes: u64) -> bool {
        bytes.abs_diff(self.bytes()) < (self.page.len() * WORD) as u64
    }

    /// Takes so many more bytes, in whole pages.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), StressError> {
        for _ in 0..self.pages(bytes) {
            if self
                .chunks
                .last()
                .is_none_or(|chunk| chunk.len() >= CHUNK_WORDS)
            {
                self.chunks.push(empty_chunk()?);
            }
            if let Some(own) = self.page.first_mut() {
                *own = self.noise.next();
            }
            // Within the capacity: nothing is moved.
            if let Some(chunk) = self.chunks.last_mut() {
                chunk.extend_from_slice(&self.page);
            }
        }
        Ok(())
    }

    /// Gives back all but so many bytes, rounded down to pages.
    pub(super) fn shrink_to(&mut self, bytes: u64) -> Result<(), StressError> {
        while self.bytes() > bytes {
            self.chunks.pop();
        }
        self.grow(bytes - self.bytes())
    }

    /// Looks at every page, which brings back those that were swapped out.
    pub(super) fn touch(&self, control: &Control) {
        for chunk in &self.chunks {
            control.check();
            for word in chunk.iter().step_by(self.page.len()) {
                black_box(*word);
            }
        }
    }

    fn pages(&self, bytes: u64) -> u64 {
        bytes / (self.page.len() * WORD) as u64
    }
}

fn empty_chunk() -> Result<Vec<u64>, StressError> {
    let mut chunk = Vec::new();
    chunk
        .try_reserve_exact(CHUNK_WORDS)
        .map_err(|_| StressError::Call {
            doing: "allocate 64 MiB",
            source: io::Error::from(io::ErrorKind::OutOfMemory),
        })?;
    Ok(chunk)
}
