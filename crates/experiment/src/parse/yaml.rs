//! YAML 1.1, as PyYAML's `safe_load` composes it: anchors, aliases, merge keys, tags.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::Value;

use super::yaml_scalar::{self, Scalar};
use super::{ALIAS_NODES_MAX, DEPTH_MAX, too_deep};
use crate::diagnostic::{Code, Diagnostic};
use crate::node::{Entry, Node, NodeKind};
use crate::path::Path;
use crate::python;
use crate::source::{Source, Span};

pub(super) fn parse(source: &Source) -> Result<Node, Diagnostic> {
    let places = Places::new(source);
    let mut builder = Builder::default();
    for event in Parser::new_from_str(&source.text) {
        let (event, span) = event.map_err(|error| {
            let at = places.byte(error.marker().index());
            Diagnostic::error(Code::Syntax, &Path::root(), error.info().to_owned())
                .at(Span::new(at, at + 1))
        })?;
        let span = Span::new(
            places.byte(span.start.index()),
            places.byte(span.end.index()),
        );
        builder
            .event(event, span)
            .map_err(|error| match error.span {
                Some(_) => error,
                None => error.at(span),
            })?;
    }
    let nothing = Node {
        span: Span::new(0, 1),
        kind: NodeKind::Scalar(Value::Null),
    };
    Ok(builder.root.unwrap_or(nothing))
}

/// The parser counts characters; spans count bytes.
struct Places {
    /// Byte offset of every character; empty when they are the same.
    offsets: Vec<usize>,
    end: usize,
}

impl Places {
    fn new(source: &Source) -> Self {
        let offsets = if source.text.is_ascii() {
            Vec::new()
        } else {
            source.text.char_indices().map(|(at, _)| at).collect()
        };
        Self {
            offsets,
            end: source.text.len(),
        }
    }

    fn byte(&self, character: usize) -> usize {
        if self.offsets.is_empty() {
            character.min(self.end)
        } else {
            self.offsets.get(character).copied().unwrap_or(self.end)
        }
    }
}

/// Puts events together, without recursion: the depth is the document's, not the stack's.
#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    documents: usize,
    /// Values so far, aliases expanded.
    nodes: usize,
    /// Of them, those that aliases brought in.
    aliased: usize,
    root: Option<Node>,
}

#[derive(Clone)]
struct Anchored {
    node: Node,
    key: KeyForm,
    nodes: usize,
}

/// A list or mapping not closed yet.
struct Open {
    anchor: usize,
    span: Span,
    nodes_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        merged: Vec<Entry>,
        key: Option<(KeyForm, Span)>,
    },
}

/// What a node would be as a key.
#[derive(Clone)]
enum KeyForm {
    Name(String),
    Merge,
    Equals,
    /// Lists, mappings and dates: Python or the journal refuses them.
    Impossible(&'static str),
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(syntax("a second document follows the first")
                        .hint("an experiment is a single document; remove the `---`"));
                }
                Ok(())
            }
            Event::Alias(id) => {
                let Some(anchored) = self.anchors.get(&id).cloned() else {
                    return Err(syntax("an alias inside its own anchor never ends"));
                };
                self.expand(anchored.nodes)?;
                if self.stack.len() + depth(&anchored.node) > DEPTH_MAX {
                    return Err(too_deep());
                }
                self.add(anchored.node, anchored.key, span)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.nodes += 1;
                let (value, key) = scalar(&text, style, tag.as_deref())?;
                let node = Node {
                    span,
                    kind: NodeKind::Scalar(value),
                };
                self.remember(anchor, &node, &key, 1);
                self.add(node, key, span)
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq")?;
                self.open(anchor, span, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map")?;
                let content = Content::Map {
                    entries: Vec::new(),
                    merged: Vec::new(),
                    key: None,
                };
                self.open(anchor, span, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, span: Span, content: Content) -> Result<(), Diagnostic> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.nodes += 1;
        self.stack.push(Open {
            anchor,
            span,
            nodes_before: self.nodes - 1,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Diagnostic> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let span = Span::new(open.span.start, end.end.max(open.span.end));
        let (kind, key) = match open.content {
            Content::List(items) => (
                NodeKind::List(items),
                KeyForm::Impossible("a list cannot be a key"),
            ),
            Content::Map {
                entries,
                mut merged,
                ..
            } => {
                // Merged pairs stand first, so that the mapping's own override them in place.
                merged.extend(entries);
                (
                    NodeKind::Map(merged),
                    KeyForm::Impossible("a mapping cannot be a key"),
                )
            }
        };
        let node = Node { span, kind };
        let nodes = self.nodes - open.nodes_before;
        self.remember(open.anchor, &node, &key, nodes);
        self.add(node, key, open.span)
    }

    fn expand(&mut self, nodes: usize) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.aliased = self.aliased.saturating_add(nodes);
        if self.aliased > ALIAS_NODES_MAX {
            return Err(Diagnostic::error(
                Code::Limit,
                &Path::root(),
                format!("aliases bring in more than {ALIAS_NODES_MAX} values"),
            ));
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node, key: &KeyForm, nodes: usize) {
        if anchor != 0 {
            let anchored = Anchored {
                node: node.clone(),
                key: key.clone(),
                nodes,
            };
            self.anchors.insert(anchor, anchored);
        }
    }

    fn add(&mut self, node: Node, form: KeyForm, place: Span) -> Result<(), Diagnostic> {
        let is_key = matches!(
            self.stack.last(),
            Some(Open {
                content: Content::Map { key: None, .. },
                ..
            })
        );
        if !is_key && matches!(form, KeyForm::Merge | KeyForm::Equals) {
            return Err(syntax("`<<` and `=` mean something as keys only")
                .at(place)
                .hint("quote it if it is meant as text"));
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map {
                entries,
                merged,
                key,
            } => match key.take() {
                None => {
                    if let KeyForm::Impossible(why) = form {
                        return Err(syntax(why).at(place));
                    }
                    let form = match form {
                        KeyForm::Equals => KeyForm::Name("=".to_owned()),
                        other => other,
                    };
                    *key = Some((form, place));
                }
                Some((KeyForm::Name(name), key_span)) => {
                    entries.push(Entry {
                        key: name,
                        key_span,
                        value: node,
                    });
                }
                Some((KeyForm::Merge | KeyForm::Equals | KeyForm::Impossible(_), _)) => {
                    merged.extend(merge(node)?);
                }
            },
        }
        Ok(())
    }
}

/// What `<<` brings in. Of several mappings the first wins, so it comes last.
fn merge(node: Node) -> Result<Vec<Entry>, Diagnostic> {
    let refused = |span| syntax("`<<` merges a mapping or a list of mappings").at(span);
    match node.kind {
        NodeKind::Map(entries) => Ok(entries),
        NodeKind::List(items) => {
            let mut all = Vec::new();
            for item in items.into_iter().rev() {
                let NodeKind::Map(entries) = item.kind else {
                    return Err(refused(item.span));
                };
                all.extend(entries);
            }
            Ok(all)
        }
        NodeKind::Scalar(_) => Err(refused(node.span)),
    }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Scalar(_) => 0,
        NodeKind::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        NodeKind::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| depth(&entry.value))
                .max()
                .unwrap_or(0)
        }
    }
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<(Value, KeyForm), Diagnostic> {
    let tag = tag.map(full_tag);
    let resolved = match tag.as_deref() {
        None if style == ScalarStyle::Plain => yaml_scalar::resolve(text)?,
        None => Scalar::Value(Value::String(text.to_owned())),
        // PyYAML resolves `!` like a plain scalar, even a quoted one.
        Some("!") => yaml_scalar::resolve(text)?,
        Some(tag) => yaml_scalar::tagged(text, tag)?,
    };
    Ok(match resolved {
        Scalar::Value(value) => {
            let key = key_of(&value);
            (value, key)
        }
        Scalar::Time(text) => (
            Value::String(text),
            KeyForm::Impossible("a date cannot be a key; quote it"),
        ),
        Scalar::Merge => (Value::String("<<".to_owned()), KeyForm::Merge),
        Scalar::Equals => (Value::String("=".to_owned()), KeyForm::Equals),
    })
}

/// Keys of a journal are strings: Python's `json.dumps` writes the others like this.
fn key_of(value: &Value) -> KeyForm {
    KeyForm::Name(match value {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        other => python::str(other),
    })
}

fn check_tag(tag: Option<&Tag>, expected: &str) -> Result<(), Diagnostic> {
    match tag.map(full_tag) {
        None => Ok(()),
        Some(tag) if tag == "!" || tag == format!("tag:yaml.org,2002:{expected}") => Ok(()),
        Some(tag) => Err(yaml_scalar::unsupported(&tag)),
    }
}

fn full_tag(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

fn syntax(message: &str) -> Diagnostic {
    Diagnostic::error(Code::Syntax, &Path::root(), message)
}

#[cfg(test)]
mod tests;
