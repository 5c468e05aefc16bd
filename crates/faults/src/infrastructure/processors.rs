//! The processors that are online, by number.

use std::fs;
use std::path::Path;

use firedrill_kernel::KernelError;

/// From `/sys/devices/system/cpu/online`, such as `0-3,6`.
pub(super) fn online() -> Result<Vec<u32>, KernelError> {
    let path = Path::new("/sys/devices/system/cpu/online");
    let text = fs::read_to_string(path).map_err(|source| KernelError::Read {
        path: path.into(),
        source,
    })?;
    parse(text.trim()).ok_or_else(|| KernelError::Malformed {
        path: path.into(),
        what: "list of processors",
    })
}

/// A list as the kernel writes it; no range is larger than a kernel can be built for.
fn parse(text: &str) -> Option<Vec<u32>> {
    const MOST: u32 = 1 << 16;
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_numbers_are_read() {
        assert_eq!(parse("0-3,6"), Some(vec![0, 1, 2, 3, 6]));
        assert_eq!(parse("0"), Some(vec![0]));
        assert_eq!(parse(""), None);
        assert_eq!(parse("0-99999999"), None);
    }

    #[test]
    fn this_host_has_a_processor() {
        assert!(!online().unwrap().is_empty());
    }
}
