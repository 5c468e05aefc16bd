//! What client and server agreed on when they met.

use super::packet;

const PROTOCOL_41: u32 = 1 << 9;
const SECURED: u32 = 1 << 11;
const COMPRESSED: u32 = 1 << 5;
const COMPRESSED_ZSTD: u32 = 1 << 26;
const WITHOUT_EOF: u32 = 1 << 24;
const METADATA_OPTIONAL: u32 = 1 << 25;
const QUERY_ATTRIBUTES: u32 = 1 << 27;
/// Not set by MariaDB, which has more capabilities.
const IS_MYSQL: u32 = 1;
/// Among MariaDB's own.
const METADATA_CACHED: u32 = 1 << 4;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Capabilities {
    common: u32,
    mariadb: u32,
}

impl Capabilities {
    /// What the server can, by its greeting's content.
    pub(super) fn of_server(greeting: &[u8]) -> Option<Self> {
        let (10, rest) = (*greeting.first()?, greeting.get(1..)?) else {
            return None;
        };
        // The version, the connection's number, half of a salt, and a zero.
        let at = memchr::memchr(0, rest)? + 1 + 4 + 8 + 1;
        let low = packet::word(rest, at)?;
        // A character set and a status are between them.
        let high = packet::word(rest, at + 5)?;
        let common = u32::from(low) | u32::from(high) << 16;
        // The length of the salt and six zeros are before them.
        let mariadb = match common & IS_MYSQL {
            0 => packet::double_word(rest, at + 14).unwrap_or(0),
            _ => 0,
        };
        Some(Self { common, mariadb })
    }

    /// What both can, by the client's answer; nothing if the rest cannot be followed.
    pub(super) fn agreed(self, answer: &[u8], length: u64) -> Option<Self> {
        let client = packet::double_word(answer, 0)?;
        let common = client & self.common;
        let asks_for_tls = client & SECURED != 0 && length == 32;
        let unknown = COMPRESSED | COMPRESSED_ZSTD | METADATA_OPTIONAL;
        if asks_for_tls || client & PROTOCOL_41 == 0 || common & unknown != 0 {
            return None;
        }
        let mariadb = match (client | self.common) & IS_MYSQL {
            0 => packet::double_word(answer, 28).unwrap_or(0) & self.mariadb,
            _ => 0,
        };
        Some(Self { common, mariadb })
    }

    /// No packet stands between columns and rows, and the last one is an OK.
    pub(super) const fn is_without_eof(self) -> bool {
        self.common & WITHOUT_EOF != 0
    }

    /// A statement has values before its text.
    pub(super) const fn has_attributes(self) -> bool {
        self.common & QUERY_ATTRIBUTES != 0
    }

    /// Columns that the client knows are not told again.
    pub(super) const fn is_metadata_cached(self) -> bool {
        self.mariadb & METADATA_CACHED != 0
    }
}
