//! Why the kernel said no.

use std::fmt;

use rustix::io::Errno;

use crate::capability::Capability;

use super::attributes::{AttributeIter, first};
use super::message::{DONE, HEADER, Parsed};

/// `NLMSGERR_ATTR_MSG`, `NLMSGERR_ATTR_OFFS` of linux/netlink.h.
const SAID: u16 = 1;
const OFFSET: u16 = 2;
/// `NLM_F_CAPPED`: only the header of our request is repeated.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow.
const HAS_ATTRIBUTES: u16 = 0x200;

/// One request that the kernel refused, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Completes "cannot …".
    pub doing: String,
    pub errno: Errno,
    /// The kernel's text (its extended acknowledgement), when it gave one.
    pub said: Option<String>,
    /// Where in the request it stopped, in bytes from its start.
    pub offset: Option<u32>,
}

impl Refusal {
    pub(crate) fn plain(doing: &str, errno: Errno) -> Self {
        Self {
            doing: doing.to_owned(),
            errno,
            said: None,
            offset: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = std::io::Error::from(self.errno);
        write!(f, "cannot {}: {error}", self.doing)?;
        if let Some(said) = &self.said {
            write!(f, ": {said}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " (at byte {offset} of the request)")?;
        }
        // Also said of what a socket of somebody else owns: then the capability is not the reason.
        if matches!(self.errno, Errno::PERM | Errno::ACCESS) && Capability::NetAdmin.is_missing() {
            let capability = Capability::NetAdmin;
            write!(
                f,
                "; it takes {capability} in that network namespace, which is missing"
            )?;
        }
        Ok(())
    }
}

/// What an `NLMSG_ERROR` or the `NLMSG_DONE` of a dump says: `Ok` when it is an acknowledgement.
pub(crate) fn outcome(reply: &Parsed, doing: &str) -> Result<(), Refusal> {
    let Some(code) = first(&reply.payload).map(i32::from_ne_bytes) else {
        return Err(Refusal::plain(doing, Errno::BADMSG));
    };
    let errno = match code {
        0 => return Ok(()),
        -4095..=-1 => Errno::from_raw_os_error(-code),
        _ => Errno::BADMSG,
    };
    let mut refusal = Refusal::plain(doing, errno);
    if reply.flags & HAS_ATTRIBUTES != 0 {
        let attributes = extended(reply);
        refusal.said = attributes
            .get(SAID)
            .and_then(|text| text.text().map(str::to_owned));
        refusal.offset = attributes.get(OFFSET).and_then(|offset| offset.u32());
    }
    Err(refusal)
}

/// The attributes after the code and the repeated request; the end of a dump repeats none.
fn extended(reply: &Parsed) -> AttributeIter<'_> {
    let request = reply.payload.get(4..).unwrap_or_default();
    let repeated = if reply.kind == DONE {
        0
    } else if reply.flags & CAPPED != 0 {
        HEADER
    } else {
        first(request)
            .and_then(|length| usize::try_from(u32::from_ne_bytes(length)).ok())
            .unwrap_or(usize::MAX)
    };
    let rest = repeated
        .checked_next_multiple_of(4)
        .and_then(|start| request.get(start..));
    AttributeIter::new(rest.unwrap_or_default())
}
