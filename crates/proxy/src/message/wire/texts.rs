//! The texts of prepared statements, by the names that a client gave them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Bytes of all texts and names. Whoever prepares more has all of them forgotten, and no fault that
/// is for some texts only is on a statement whose text is forgotten.
const BYTES_MOST: usize = 4 << 20;

/// What one more costs besides its text.
const ENTRY: usize = 64;

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

impl<K: Hash + Eq> Texts<K> {
    pub(in crate::message) fn set(&mut self, name: K, text: Arc<[u8]>) {
        self.remove(&name);
        if self.bytes + text.len() + ENTRY > BYTES_MOST {
            self.clear();
        }
        self.bytes += text.len() + ENTRY;
        self.texts.insert(name, text);
    }

    pub(in crate::message) fn get(&self, name: &K) -> Option<&Arc<[u8]>> {
        self.texts.get(name)
    }

    pub(in crate::message) fn remove(&mut self, name: &K) {
        if let Some(text) = self.texts.remove(name) {
            self.bytes -= text.len() + ENTRY;
        }
    }

    pub(in crate::message) fn clear(&mut self) {
        self.texts.clear();
        self.bytes = 0;
    }
}
