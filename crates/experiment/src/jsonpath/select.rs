//! A path's matches.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::{
    Comparison, Expression, Function, JsonPathError, Operand, Relative, STEPS_MAX, Segment,
    Subscript,
};
use crate::python;

pub(super) fn select(segments: &[Segment], root: &Value) -> Result<Vec<Value>, JsonPathError> {
    let mut walk = Walk { root, steps: 0 };
    let found = walk.segments(segments, Cow::Borrowed(root))?;
    Ok(found.into_iter().map(Cow::into_owned).collect())
}

struct Walk<'a> {
    root: &'a Value,
    steps: usize,
}

/// Borrowed from the document, or made by a function.
type Found<'a> = Vec<Cow<'a, Value>>;

impl<'a> Walk<'a> {
    fn segments(
        &mut self,
        segments: &[Segment],
        current: Cow<'a, Value>,
    ) -> Result<Found<'a>, JsonPathError> {
        let mut found = vec![current];
        for segment in segments {
            let mut next = Vec::new();
            for value in found {
                self.segment(segment, &value, &mut next)?;
            }
            found = next;
        }
        Ok(found)
    }

    #[expect(
        clippy::ptr_arg,
        reason = "what is borrowed from the document stays borrowed"
    )]
    fn segment(
        &mut self,
        segment: &Segment,
        value: &Cow<'a, Value>,
        out: &mut Found<'a>,
    ) -> Result<(), JsonPathError> {
        self.step()?;
        for subscript in &segment.subscripts {
            self.subscript(subscript, value, out)?;
        }
        if segment.descend {
            for child in children(value) {
                self.segment(segment, &child, out)?;
            }
        }
        Ok(())
    }

    #[expect(
        clippy::ptr_arg,
        reason = "what is borrowed from the document stays borrowed"
    )]
    fn subscript(
        &mut self,
        subscript: &Subscript,
        value: &Cow<'a, Value>,
        out: &mut Found<'a>,
    ) -> Result<(), JsonPathError> {
        self.step()?;
        match subscript {
            Subscript::Name(name) => out.extend(member(value, name)),
            Subscript::Index(index) => out.extend(element(value, *index)),
            Subscript::Slice { start, end, step } => {
                for index in slice(length(value), *start, *end, *step) {
                    self.step()?;
                    out.extend(element(value, index));
                }
            }
            Subscript::Wildcard => {
                let all = children(value);
                self.steps += all.len();
                out.extend(all);
            }
            Subscript::Filter(expression) => {
                if self.holds(expression, value)? {
                    out.push(value.clone());
                }
            }
            Subscript::Path(path) => {
                for key in self.relative(path, value)? {
                    match &*key {
                        Value::String(name) => out.extend(member(value, name)),
                        Value::Bool(flag) => out.extend(element(value, i64::from(*flag))),
                        Value::Number(number) => {
                            out.extend(number.as_i64().and_then(|index| element(value, index)));
                        }
                        _ => {}
                    }
                }
            }
            Subscript::Call(function, arguments) => {
                let mut sets = vec![Vec::new()];
                for argument in arguments {
                    let values = self.operand(argument, value)?;
                    let mut longer = Vec::new();
                    for set in &sets {
                        for value in &values {
                            self.step()?;
                            longer.push([set.as_slice(), &[value.clone().into_owned()]].concat());
                        }
                    }
                    sets = longer;
                }
                out.extend(
                    sets.iter()
                        .filter_map(|set| call(*function, set, value))
                        .map(Cow::Owned),
                );
            }
        }
        Ok(())
    }

    fn relative(
        &mut self,
        path: &Relative,
        current: &Cow<'a, Value>,
    ) -> Result<Found<'a>, JsonPathError> {
        let from = if path.from_root {
            Cow::Borrowed(self.root)
        } else {
            current.clone()
        };
        self.segments(&path.segments, from)
    }

    fn operand(
        &mut self,
        operand: &Operand,
        current: &Cow<'a, Value>,
    ) -> Result<Found<'a>, JsonPathError> {
        match operand {
            Operand::Literal(value) => Ok(vec![Cow::Owned(value.clone())]),
            Operand::Path(path) => self.relative(path, current),
        }
    }

    #[expect(
        clippy::ptr_arg,
        reason = "what is borrowed from the document stays borrowed"
    )]
    fn holds(
        &mut self,
        expression: &Expression,
        current: &Cow<'a, Value>,
    ) -> Result<bool, JsonPathError> {
        match expression {
            Expression::All(all) => {
                for one in all {
                    if !self.holds(one, current)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expression::Any(any) => {
                for one in any {
                    if self.holds(one, current)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expression::Not(inner) => self.holds(inner, current).map(|holds| !holds),
            Expression::Exists(Operand::Literal(value)) => Ok(python::is_true(value)),
            Expression::Exists(Operand::Path(path)) => {
                self.relative(path, current).map(|found| !found.is_empty())
            }
            Expression::Compare(left, comparison, right) => {
                let left = self.operand(left, current)?;
                let right = self.operand(right, current)?;
                for a in &left {
                    for b in &right {
                        self.step()?;
                        if compares(a, *comparison, b) {
                            return Ok(true);
                        }
                    }
                }
                Ok(false)
            }
        }
    }

    fn step(&mut self) -> Result<(), JsonPathError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            Err(JsonPathError::TooManySteps)
        } else {
            Ok(())
        }
    }
}

/// Equality is Python's; order is for numbers only.
fn compares(a: &Value, comparison: Comparison, b: &Value) -> bool {
    let is_number = |value: &Value| matches!(value, Value::Number(_) | Value::Bool(_));
    let order = || {
        if is_number(a) && is_number(b) {
            python::compare(a, b)
        } else {
            None
        }
    };
    match comparison {
        Comparison::Equal => python::equal(a, b),
        Comparison::NotEqual => !python::equal(a, b),
        Comparison::Less => order() == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order() == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn children<'a>(value: &Cow<'a, Value>) -> Found<'a> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Value::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(items)) => items.iter().cloned().map(Cow::Owned).collect(),
        Cow::Owned(Value::Object(map)) => map.values().cloned().map(Cow::Owned).collect(),
        _ => Vec::new(),
    }
}

fn member<'a>(value: &Cow<'a, Value>, name: &str) -> Option<Cow<'a, Value>> {
    match value {
        Cow::Borrowed(Value::Object(map)) => map.get(name).map(Cow::Borrowed),
        Cow::Owned(Value::Object(map)) => map.get(name).cloned().map(Cow::Owned),
        _ => None,
    }
}

fn element<'a>(value: &Cow<'a, Value>, index: i64) -> Option<Cow<'a, Value>> {
    let length = length(value)?;
    let index = if index < 0 { index + length } else { index };
    let index = usize::try_from(index).ok()?;
    match value {
        Cow::Borrowed(Value::Array(items)) => items.get(index).map(Cow::Borrowed),
        Cow::Owned(Value::Array(items)) => items.get(index).cloned().map(Cow::Owned),
        _ => None,
    }
}

fn length(value: &Value) -> Option<i64> {
    value
        .as_array()
        .and_then(|items| i64::try_from(items.len()).ok())
}

/// The indices jsonpath2 tries, with its own reading of negative bounds. Indices that no element
/// can have are left out, so that a huge bound costs nothing.
fn slice(length: Option<i64>, start: Option<i64>, end: Option<i64>, step: Option<i64>) -> Vec<i64> {
    let Some(length) = length else {
        return Vec::new();
    };
    let step = step.unwrap_or(1);
    let start = match start {
        None => 0,
        // A start further back than the list is long is its beginning.
        Some(start) if start < 0 && start.unsigned_abs() < length.unsigned_abs() => start + length,
        Some(start) if start < 0 => 0,
        Some(start) => start,
    };
    let end = match end {
        None => length,
        Some(end) if end < 0 => end.saturating_add(length),
        Some(end) => end,
    };
    let mut out = Vec::new();
    let mut index = start;
    while (step > 0 && index < end && index < length)
        || (step < 0 && index > end && index >= -length)
    {
        if index < length {
            out.push(index);
        } else if step < 0 {
            // Jump to the last index on the grid that an element can have.
            let beyond = (index - length) / step.saturating_neg();
            index = index.saturating_add(step.saturating_mul(beyond));
        }
        let Some(next) = index.checked_add(step) else {
            break;
        };
        index = next;
    }
    out
}

fn call(function: Function, arguments: &[Value], value: &Value) -> Option<Value> {
    let whole = |at: usize| match arguments.get(at) {
        Some(Value::Bool(flag)) => Some(i64::from(*flag)),
        Some(value) => value.as_i64(),
        None => None,
    };
    match (function, value, arguments.len()) {
        (Function::CharAt, Value::String(text), 1) => {
            let characters: Vec<char> = text.chars().collect();
            let length = i64::try_from(characters.len()).ok()?;
            let index = whole(0)?;
            let index = if index < 0 { index + length } else { index };
            let found = characters.get(usize::try_from(index).ok()?)?;
            Some(Value::String(found.to_string()))
        }
        (Function::Substring, Value::String(text), 1) => Some(substring(text, whole(0)?, None)),
        (Function::Substring, Value::String(text), 2) => {
            Some(substring(text, whole(0)?, Some(whole(1)?)))
        }
        (Function::Length, Value::Array(items), 0) => Some(items.len().into()),
        (Function::Length, Value::String(text), 0) => Some(text.chars().count().into()),
        (Function::Keys, Value::Object(map), 0) => Some(map.keys().map(String::as_str).collect()),
        (Function::Keys, Value::Array(items), 0) => Some((0..items.len()).collect()),
        (Function::Values, Value::Object(map), 0) => Some(map.values().cloned().collect()),
        (Function::Values, Value::Array(_), 0) => Some(value.clone()),
        (Function::Entries, Value::Object(map), 0) => {
            let pair = |(key, value): (&String, &Value)| {
                Value::Array(vec![Value::String(key.clone()), value.clone()])
            };
            Some(map.iter().map(pair).collect())
        }
        (Function::Entries, Value::Array(items), 0) => {
            let pair = |(at, item): (usize, &Value)| Value::Array(vec![at.into(), item.clone()]);
            Some(items.iter().enumerate().map(pair).collect())
        }
        _ => None,
    }
}

/// Python's `text[start:end]`.
fn substring(text: &str, start: i64, end: Option<i64>) -> Value {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let clamp = |at: i64| {
        if at < 0 {
            (at + length).max(0)
        } else {
            at.min(length)
        }
    };
    let (start, end) = (clamp(start), end.map_or(length, clamp));
    let skip = usize::try_from(start).unwrap_or(0);
    let take = usize::try_from(end - start).unwrap_or(0);
    Value::String(text.chars().skip(skip).take(take).collect())
}
