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
    page: usize,
}

impl Held {
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            noise: Noise::new(),
            page: rustix::param::page_size(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        let words: usize = self.chunks.iter().map(Vec::len).sum();
        (words * WORD) as u64
    }

    pub(super) fn is_as_near_as_pages_go(&self, bytes: u64) -> bool {
        bytes.abs_diff(self.bytes()) < self.page as u64
    }

    /// Takes so many more bytes, in whole pages.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), StressError> {
        let mut left = self.words(bytes);
        while left > 0 {
            if self
                .chunks
                .last()
                .is_none_or(|chunk| chunk.len() >= CHUNK_WORDS)
            {
                self.chunks.push(empty_chunk()?);
            }
            let Some(chunk) = self.chunks.last_mut() else {
                return Ok(());
            };
            let part = left.min(CHUNK_WORDS.saturating_sub(chunk.len()));
            let noise = &mut self.noise;
            // Within the capacity: nothing is moved.
            chunk.extend((0..part).map(|_| noise.next()));
            left -= part;
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
            for word in chunk.iter().step_by(self.page / WORD) {
                black_box(*word);
            }
        }
    }

    fn words(&self, bytes: u64) -> usize {
        let page = self.page as u64;
        usize::try_from(bytes / page * page).unwrap_or(usize::MAX) / WORD
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
