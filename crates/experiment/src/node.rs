//! A parsed document that still knows where everything stood.

use serde_json::{Map, Value};

use crate::path::{Path, Step};
use crate::source::Span;

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub span: Span,
    pub kind: NodeKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// Null, a bool, a number or a string.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// Keys may repeat; the last one counts, as in Python.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Node {
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Scalar(value) => value.clone(),
            NodeKind::List(items) => items.iter().map(Node::to_value).collect(),
            NodeKind::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    map.insert(entry.key.clone(), entry.value.to_value());
                }
                Value::Object(map)
            }
        }
    }

    /// The place of a path; where it ends early (a missing key), the last thing that exists.
    pub fn span_of(&self, path: &Path) -> Span {
        let mut node = self;
        // A container is shown by its key or first character, not by all its lines.
        let mut span = self.opening();
        for step in &path.steps {
            match (step, &node.kind) {
                (Step::Key(key), NodeKind::Map(entries)) => {
                    let Some(entry) = entries.iter().rev().find(|entry| entry.key == *key) else {
                        return span;
                    };
                    node = &entry.value;
                    span = match node.kind {
                        NodeKind::Scalar(_) => node.span,
                        NodeKind::List(_) | NodeKind::Map(_) => entry.key_span,
                    };
                }
                (Step::Index(index), NodeKind::List(items)) => {
                    let Some(item) = items.get(*index) else {
                        return span;
                    };
                    node = item;
                    span = node.opening();
                }
                _ => return span,
            }
        }
        span
    }

    /// The place of a key itself rather than of its value.
    pub fn span_of_key(&self, path: &Path) -> Span {
        let Some((Step::Key(last), rest)) = path.steps.split_last() else {
            return self.span_of(path);
        };
        let parent = Path {
            steps: rest.to_vec(),
        };
        match self.node_at(&parent).map(|node| &node.kind) {
            Some(NodeKind::Map(entries)) => entries
                .iter()
                .rev()
                .find(|entry| entry.key == *last)
                .map_or_else(|| self.span_of(&parent), |entry| entry.key_span),
            _ => self.span_of(&parent),
        }
    }

    fn node_at(&self, path: &Path) -> Option<&Node> {
        path.steps
            .iter()
            .try_fold(self, |node, step| match (step, &node.kind) {
                (Step::Key(key), NodeKind::Map(entries)) => entries
                    .iter()
                    .rev()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &entry.value),
                (Step::Index(index), NodeKind::List(items)) => items.get(*index),
                _ => None,
            })
    }

    fn opening(&self) -> Span {
        match &self.kind {
            NodeKind::Scalar(_) => self.span,
            NodeKind::Map(entries) => entries
                .first()
                .map_or(first_character(self.span), |entry| entry.key_span),
            NodeKind::List(_) => first_character(self.span),
        }
    }
}

fn first_character(span: Span) -> Span {
    Span::new(span.start, span.start + 1)
}
