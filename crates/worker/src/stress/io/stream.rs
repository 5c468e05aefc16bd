//! One file, read and written block by block from end to end, over and over.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{Advice, OFlags};
use rustix::io::Errno;

use super::ALIGNMENT;
use crate::control::Control;
use crate::stress::noise::Noise;
use crate::stress::{StressError, unnamed};

pub(super) struct Stream {
    file: File,
    /// Past the page cache by O_DIRECT; else by syncing and dropping each block.
    direct: bool,
    /// The block, and what it takes to align it.
    buffer: Vec<u8>,
    start: usize,
    block: u64,
    size: u64,
    offset: u64,
    noise: Noise,
}

impl Stream {
    pub(super) fn open(directory: &Path, block: u64, size: u64) -> Result<Self, StressError> {
        let (file, direct) = match unnamed::create(directory, OFlags::DIRECT) {
            Ok(file) => (file, true),
            // tmpfs before Linux 6.6 and some FUSE file systems have no O_DIRECT.
            Err(StressError::File { source, .. })
                if source.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
            {
                (unnamed::create(directory, OFlags::empty())?, false)
            }
            Err(error) => return Err(error),
        };
        let alignment = usize::try_from(ALIGNMENT).unwrap_or(0);
        let length = usize::try_from(block).unwrap_or(0);
        let mut buffer = vec![0; length + alignment];
        let mut noise = Noise::new();
        noise.fill_bytes(&mut buffer);
        // Its place on the heap does not change: it never grows.
        let start = buffer.as_ptr().align_offset(alignment);
        Ok(Self {
            file,
            direct,
            buffer,
            start,
            block,
            size,
            offset: 0,
            noise,
        })
    }

    /// Writes the file once, so that every block is there to be read.
    pub(super) fn prepare(&mut self, control: &Control) -> io::Result<()> {
        for _ in 0..self.size / self.block {
            control.check();
            self.write()?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self) -> io::Result<()> {
        let offset = self.advance();
        let length = usize::try_from(self.block).unwrap_or(0);
        let end = self.start + length;
        let block = self.buffer.get_mut(self.start..end).unwrap_or_default();
        // The first bytes of each 4 KiB differ every time: nothing to share, and cheap.
        for sector in block.chunks_mut(4096) {
            self.noise
                .fill_bytes(sector.get_mut(..8).unwrap_or_default());
        }
        self.file.write_all_at(block, offset)?;
        if !self.direct {
            rustix::fs::fdatasync(&self.file)?;
            self.forget(offset)?;
        }
        Ok(())
    }

    pub(super) fn read(&mut self) -> io::Result<()> {
        let offset = self.advance();
        let length = usize::try_from(self.block).unwrap_or(0);
        let end = self.start + length;
        let block = self.buffer.get_mut(self.start..end).unwrap_or_default();
        self.file.read_exact_at(block, offset)?;
        if !self.direct {
            self.forget(offset)?;
        }
        Ok(())
    }

    fn advance(&mut self) -> u64 {
        let offset = self.offset;
        self.offset = (offset + self.block) % self.size;
        offset
    }

    fn forget(&self, offset: u64) -> io::Result<()> {
        let length = NonZeroU64::new(self.block);
        rustix::fs::fadvise(&self.file, offset, length, Advice::DontNeed)?;
        Ok(())
    }
}
