//! The texts of prepared statements, by the names that a client gave them.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Bytes of all texts and names. Whoever prepares more has all of them forgotten, and no fault that
/// is for some texts only is on a statement whose text is forgotten.
const BYTES_MOST: usize = 4 << 20;

/// What one more costs besides its text and its name.
const ENTRY: usize = 64;

/// What a statement goes by.
pub(in crate::message) trait Name: Hash + Eq {
    /// How many bytes are kept for it beside itself.
    fn bytes(&self) -> usize;
}

impl Name for u32 {
    fn bytes(&self) -> usize {
        0
    }
}

impl Name for Box<[u8]> {
    fn bytes(&self) -> usize {
        self.len()
    }
}

#[derive(Debug)]
pub(in crate::message) struct Texts<K> {
    texts: HashMap<K, Arc<[u8]>>,
    bytes: usize,
}

impl<K> Default for Texts<K> {
    fn default() -> Self {
        Self {
            texts: HashMap::new(),
            bytes: 0,
        }
    }
}

impl<K: Name> Texts<K> {
    pub(in crate::message) fn set(&mut self, name: K, text: Arc<[u8]>) {
        self.remove(&name);
        let more = cost(&name, &text);
        if self.bytes + more > BYTES_MOST {
            self.clear();
        }
        self.bytes += more;
        self.texts.insert(name, text);
    }

    pub(in crate::message) fn get<Q>(&self, name: &Q) -> Option<&Arc<[u8]>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.texts.get(name)
    }

    pub(in crate::message) fn remove<Q>(&mut self, name: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if let Some((name, text)) = self.texts.remove_entry(name) {
            self.bytes -= cost(&name, &text);
        }
    }

    pub(in crate::message) fn clear(&mut self) {
        self.texts.clear();
        self.bytes = 0;
    }
}

fn cost(name: &impl Name, text: &[u8]) -> usize {
    name.bytes() + text.len() + ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_as_texts_are() {
        let mut texts = Texts::<Box<[u8]>>::default();
        let kept = |texts: &Texts<Box<[u8]>>| {
            let each = texts.texts.iter();
            each.map(|(name, text)| name.len() + text.len())
                .sum::<usize>()
        };
        for number in 0..2000_u32 {
            let mut name = vec![b'x'; 8 << 10];
            name.extend(number.to_be_bytes());
            texts.set(name.into(), Arc::from(&b"select 1"[..]));
            assert!(kept(&texts) <= BYTES_MOST, "{number}");
        }
        let names: Vec<_> = texts.texts.keys().cloned().collect();
        assert!(!names.is_empty());
        names.iter().for_each(|name| texts.remove(name));
        assert_eq!(texts.bytes, 0);
    }
}
