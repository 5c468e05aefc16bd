//! What a request asks for, and how it is told that it failed.

use super::fields::{Reader, Writer};

pub(super) const PRODUCE: i16 = 0;
pub(super) const FETCH: i16 = 1;
pub(super) const METADATA: i16 = 3;
pub(super) const OFFSET_COMMIT: i16 = 8;
pub(super) const FIND_COORDINATOR: i16 = 10;
pub(super) const SASL_HANDSHAKE: i16 = 17;
pub(super) const API_VERSIONS: i16 = 18;

/// Requests that can be answered: their number, the last version that is known, and the first one
/// in the flexible encoding.
const KNOWN: [(i16, i16, i16); 6] = [
    (PRODUCE, 13, 9),
    (FETCH, 17, 12),
    (METADATA, 13, 9),
    (OFFSET_COMMIT, 9, 8),
    (FIND_COORDINATOR, 6, 3),
    (API_VERSIONS, 4, 3),
];

/// What every request begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) api: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
}

/// A request, as far as it is understood.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) header: Header,
    /// The producer wants no answer.
    pub(super) is_silent: bool,
    topics: Vec<Topic<'a>>,
    coordinators: Vec<&'a [u8]>,
    /// A fetch of what changed since the one before it.
    is_incremental: bool,
}

/// A topic by its name or its number, and partitions of it.
#[derive(Debug)]
struct Topic<'a> {
    name: Option<&'a [u8]>,
    number: &'a [u8],
    partitions: Vec<i32>,
}

const NO_NUMBER: &[u8] = &[0; 16];

impl Header {
    /// `content` is what comes behind the length.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        Some(Self {
            api: reader.i16()?,
            version: reader.i16()?,
            correlation: reader.i32()?,
        })
    }

    fn is_flexible(self) -> Option<bool> {
        let known = KNOWN.iter().find(|(api, ..)| *api == self.api)?;
        let is_known = (0..=known.1).contains(&self.version);
        is_known.then_some(self.version >= known.2)
    }
}

/// Whether a producer wants no answer, by the beginning of its request.
pub(super) fn is_silent(content: &[u8]) -> bool {
    let acks = Header::read(content).and_then(|header| {
        let mut reader = after_header(content, header)?;
        read_acks(&mut reader, header.version)
    });
    acks == Some(0)
}

fn after_header(content: &[u8], header: Header) -> Option<Reader<'_>> {
    let mut reader = Reader::new(content);
    reader.take(8)?;
    // The client's name is in the older encoding always.
    reader.string()?;
    reader.flexible = header.is_flexible()?;
    reader.tags()?;
    Some(reader)
}

fn read_acks(reader: &mut Reader<'_>, version: i16) -> Option<i16> {
    if version >= 3 {
        reader.string()?;
    }
    reader.i16()
}

impl<'a> Request<'a> {
    /// Nothing, if it is not understood.
    pub(super) fn read(content: &'a [u8]) -> Option<Self> {
        let header = Header::read(content)?;
        let mut reader = after_header(content, header)?;
        let mut request = Self {
            header,
            is_silent: false,
            topics: Vec::new(),
            coordinators: Vec::new(),
            is_incremental: false,
        };
        match header.api {
            PRODUCE => request.read_produce(&mut reader)?,
            FETCH => request.read_fetch(&mut reader)?,
            METADATA => request.read_metadata(&mut reader)?,
            OFFSET_COMMIT => request.read_offset_commit(&mut reader)?,
            FIND_COORDINATOR if header.version >= 4 => {
                reader.take(1)?;
                let keys = reader.array(|reader| reader.string()?)?;
                request.coordinators = keys.unwrap_or_default();
            }
            _ => {}
        }
        Some(request)
    }

    /// Whether one of its topics has a name like this.
    pub(super) fn has_topic(&self, like: impl Fn(&[u8]) -> bool) -> bool {
        self.topics
            .iter()
            .any(|topic| topic.name.is_some_and(&like))
    }

    fn read_produce(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let version = self.header.version;
        self.is_silent = read_acks(reader, version)? == 0;
        reader.i32()?;
        self.read_topics(reader, version >= 13, |reader| {
            let partition = reader.i32()?;
            reader.bytes()?;
            Some(partition)
        })
    }

    fn read_fetch(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let version = self.header.version;
        if version <= 14 {
            reader.i32()?;
        }
        // How long, how few, how many bytes, and which of them.
        reader.take(8)?;
        reader.take(if version >= 3 { 4 } else { 0 })?;
        reader.take(if version >= 4 { 1 } else { 0 })?;
        if version >= 7 {
            reader.i32()?;
            self.is_incremental = reader.i32()? > 0;
        }
        self.read_topics(reader, version >= 13, |reader| {
            let partition = reader.i32()?;
            let leader = if version >= 9 { 4 } else { 0 };
            let last = if version >= 12 { 4 } else { 0 };
            let start = if version >= 5 { 8 } else { 0 };
            reader.take(leader + 8 + last + start + 4)?;
            Some(partition)
        })
    }

    fn read_metadata(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let has_number = self.header.version >= 10;
        let topics = reader.array(|reader| {
            let number = if has_number {
                reader.take(16)?
            } else {
                NO_NUMBER
            };
            let name = reader.string()?;
            reader.tags()?;
            Some(Topic {
                name,
                number,
                partitions: Vec::new(),
            })
        })?;
        self.topics = topics.unwrap_or_default();
        Some(())
    }

    fn read_offset_commit(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let version = self.header.version;
        reader.string()?;
        if version >= 1 {
            reader.i32()?;
            reader.string()?;
        }
        if version >= 7 {
            reader.string()?;
        }
        if (2..=4).contains(&version) {
            reader.take(8)?;
        }
        self.read_topics(reader, false, |reader| {
            let partition = reader.i32()?;
            reader.take(8)?;
            reader.take(if version >= 6 { 4 } else { 0 })?;
            reader.take(if version == 1 { 8 } else { 0 })?;
            reader.string()?;
            Some(partition)
        })
    }

    fn read_topics(
        &mut self,
        reader: &mut Reader<'a>,
        has_number: bool,
        mut partition: impl FnMut(&mut Reader<'a>) -> Option<i32>,
    ) -> Option<()> {
        let topics = reader.array(|reader| {
            let (name, number) = match has_number {
                true => (None, reader.take(16)?),
                false => (reader.string()?, NO_NUMBER),
            };
            let partitions = reader.array(|reader| {
                let number = partition(reader)?;
                reader.tags()?;
                Some(number)
            })?;
            reader.tags()?;
            Some(Topic {
                name,
                number,
                partitions: partitions.unwrap_or_default(),
            })
        })?;
        self.topics = topics.unwrap_or_default();
        Some(())
    }

    /// The answer of a broker where everything failed with this code.
    pub(super) fn failed(&self, error: i16) -> Vec<u8> {
        let Header {
            api, correlation, ..
        } = self.header;
        let mut writer = Writer::default();
        writer.i32(0);
        writer.i32(correlation);
        writer.flexible = self.header.is_flexible().unwrap_or(false);
        if api != API_VERSIONS {
            writer.tags();
        }
        match api {
            PRODUCE => self.write_produce(&mut writer, error),
            FETCH => self.write_fetch(&mut writer, error),
            METADATA => self.write_metadata(&mut writer, error),
            OFFSET_COMMIT => self.write_offset_commit(&mut writer, error),
            FIND_COORDINATOR => self.write_find_coordinator(&mut writer, error),
            _ => self.write_api_versions(&mut writer, error),
        }
        writer.tags();
        let length = (writer.bytes.len() - 4) as u32;
        writer.bytes[..4].copy_from_slice(&length.to_be_bytes());
        writer.bytes
    }

    fn write_topics(
        &self,
        writer: &mut Writer,
        has_number: bool,
        mut partition: impl FnMut(&mut Writer, i32),
    ) {
        writer.array(&self.topics, |writer, topic| {
            match has_number {
                true => writer.bytes.extend_from_slice(topic.number),
                false => writer.string(Some(topic.name.unwrap_or_default())),
            }
            writer.array(&topic.partitions, |writer, number| {
                partition(writer, *number);
            });
        });
    }

    fn write_produce(&self, writer: &mut Writer, error: i16) {
        let version = self.header.version;
        self.write_topics(writer, version >= 13, |writer, partition| {
            writer.i32(partition);
            writer.i16(error);
            // The offset, the time, and where the log begins are not known.
            let unknown = 1 + usize::from(version >= 2) + usize::from(version >= 5);
            (0..unknown).for_each(|_| writer.i64(-1));
            if version >= 8 {
                writer.count(0);
                writer.string(None);
            }
        });
        if version >= 1 {
            writer.i32(0);
        }
    }

    fn write_fetch(&self, writer: &mut Writer, error: i16) {
        let version = self.header.version;
        if version >= 1 {
            writer.i32(0);
        }
        if version >= 7 {
            // Of an incremental fetch it is not known here what it is about.
            writer.i16(if self.is_incremental { error } else { 0 });
            writer.i32(0);
        }
        if self.is_incremental {
            writer.count(0);
            return;
        }
        self.write_topics(writer, version >= 13, |writer, partition| {
            writer.i32(partition);
            writer.i16(error);
            let unknown = 1 + usize::from(version >= 4) + usize::from(version >= 5);
            (0..unknown).for_each(|_| writer.i64(-1));
            if version >= 4 {
                writer.count(-1);
            }
            if version >= 11 {
                writer.i32(-1);
            }
            writer.count(0);
        });
    }

    fn write_metadata(&self, writer: &mut Writer, error: i16) {
        let version = self.header.version;
        if version >= 3 {
            writer.i32(0);
        }
        writer.count(0);
        if version >= 2 {
            writer.string(None);
        }
        if version >= 1 {
            writer.i32(-1);
        }
        writer.array(&self.topics, |writer, topic| {
            writer.i16(error);
            match version {
                12.. => writer.string(topic.name),
                _ => writer.string(Some(topic.name.unwrap_or_default())),
            }
            if version >= 10 {
                writer.bytes.extend_from_slice(topic.number);
            }
            if version >= 1 {
                writer.bytes.push(0);
            }
            writer.count(0);
            if version >= 8 {
                writer.i32(i32::MIN);
            }
        });
        if (8..=10).contains(&version) {
            writer.i32(i32::MIN);
        }
        if version >= 13 {
            writer.i16(error);
        }
    }

    fn write_offset_commit(&self, writer: &mut Writer, error: i16) {
        if self.header.version >= 3 {
            writer.i32(0);
        }
        self.write_topics(writer, false, |writer, partition| {
            writer.i32(partition);
            writer.i16(error);
        });
    }

    fn write_find_coordinator(&self, writer: &mut Writer, error: i16) {
        let version = self.header.version;
        if version >= 1 {
            writer.i32(0);
        }
        if version >= 4 {
            writer.array(&self.coordinators, |writer, key| {
                writer.string(Some(key));
                writer.i32(-1);
                writer.string(Some(b""));
                writer.i32(-1);
                writer.i16(error);
                writer.string(None);
            });
            return;
        }
        writer.i16(error);
        if version >= 1 {
            writer.string(None);
        }
        writer.i32(-1);
        writer.string(Some(b""));
        writer.i32(-1);
    }

    fn write_api_versions(&self, writer: &mut Writer, error: i16) {
        writer.i16(error);
        writer.count(0);
        if self.header.version >= 1 {
            writer.i32(0);
        }
    }
}
