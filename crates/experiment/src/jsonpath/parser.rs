//! Tokens to a path, by descent.

use serde_json::{Map, Number, Value};

use super::lexer::{Token, error, tokens};
use super::{
    Comparison, Dialect, Expression, Function, JsonPath, JsonPathError, Operand, PATH_BYTES_MAX,
    Relative, Segment, Subscript,
};

/// The deepest nesting of filters, parentheses and literals.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str, dialect: Dialect) -> Result<JsonPath, JsonPathError> {
    if text.len() > PATH_BYTES_MAX {
        return Err(JsonPathError::TooLong);
    }
    let mut parser = Parser {
        text,
        tokens: tokens(text, dialect)?,
        at: 0,
        depth: 0,
    };
    if !parser.takes("$") {
        return Err(parser.wrong("a path starts with `$`"));
    }
    let segments = parser.segments()?;
    if parser.at < parser.tokens.len() {
        return Err(parser.wrong("unexpected"));
    }
    Ok(JsonPath { segments })
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn segments(&mut self) -> Result<Vec<Segment>, JsonPathError> {
        let mut out = Vec::new();
        loop {
            let segment = if self.takes("..") {
                let subscripts = if self.sees("[") {
                    self.brackets()?
                } else {
                    vec![self.bareword()?]
                };
                Segment {
                    descend: true,
                    subscripts,
                }
            } else if self.takes(".") {
                Segment {
                    descend: false,
                    subscripts: vec![self.bareword()?],
                }
            } else if self.sees("[") {
                Segment {
                    descend: false,
                    subscripts: self.brackets()?,
                }
            } else {
                return Ok(out);
            };
            out.push(segment);
        }
    }

    fn bareword(&mut self) -> Result<Subscript, JsonPathError> {
        if self.takes("*") {
            return Ok(Subscript::Wildcard);
        }
        match self.next() {
            Some(Token::Name(name)) if self.sees("(") => self.call(&name),
            Some(Token::Name(name)) => Ok(Subscript::Name(name)),
            _ => Err(self.wrong_before("a name or `*` is needed here")),
        }
    }

    fn brackets(&mut self) -> Result<Vec<Subscript>, JsonPathError> {
        self.nested(|parser| {
            parser.expect("[")?;
            let mut out = vec![parser.subscript()?];
            while parser.takes(",") {
                out.push(parser.subscript()?);
            }
            parser.expect("]")?;
            Ok(out)
        })
    }

    fn subscript(&mut self) -> Result<Subscript, JsonPathError> {
        if self.takes("*") {
            return Ok(Subscript::Wildcard);
        }
        if self.takes("?") {
            self.expect("(")?;
            let expression = self.conjunction()?;
            self.expect(")")?;
            return Ok(Subscript::Filter(expression));
        }
        if self.sees(":") {
            return self.slice(None);
        }
        if self.sees("$") || self.sees("@") {
            return self.relative().map(Subscript::Path);
        }
        match self.next() {
            Some(Token::Text(name)) => Ok(Subscript::Name(name)),
            Some(Token::Number(number)) => {
                let index = self.integer(&number)?;
                if self.sees(":") {
                    self.slice(Some(index))
                } else {
                    Ok(Subscript::Index(index))
                }
            }
            Some(Token::Name(name)) if self.sees("(") => self.call(&name),
            _ => Err(self.wrong_before("a key in double quotes, an index or a filter is needed")),
        }
    }

    fn slice(&mut self, start: Option<i64>) -> Result<Subscript, JsonPathError> {
        self.expect(":")?;
        let end = self.optional_integer()?;
        let step = if self.takes(":") {
            self.optional_integer()?
        } else {
            None
        };
        if step == Some(0) {
            return Err(self.wrong_before("a step cannot be 0"));
        }
        Ok(Subscript::Slice { start, end, step })
    }

    fn call(&mut self, name: &str) -> Result<Subscript, JsonPathError> {
        let function = match name {
            "charAt" => Function::CharAt,
            "entries" => Function::Entries,
            "keys" => Function::Keys,
            "length" => Function::Length,
            "substring" => Function::Substring,
            "values" => Function::Values,
            _ => return Err(self.wrong_before("no such function")),
        };
        self.nested(|parser| {
            parser.expect("(")?;
            let mut arguments = Vec::new();
            if !parser.sees(")") {
                arguments.push(parser.operand()?);
                while parser.takes(",") {
                    arguments.push(parser.operand()?);
                }
            }
            parser.expect(")")?;
            Ok(Subscript::Call(function, arguments))
        })
    }

    /// `a and b`, looser than `or`.
    fn conjunction(&mut self) -> Result<Expression, JsonPathError> {
        self.nested(|parser| {
            let mut all = vec![parser.disjunction()?];
            while parser.takes_word("and") {
                all.push(parser.disjunction()?);
            }
            Ok(single_or(all, Expression::All))
        })
    }

    fn disjunction(&mut self) -> Result<Expression, JsonPathError> {
        let mut any = vec![self.negation()?];
        while self.takes_word("or") {
            any.push(self.negation()?);
        }
        Ok(single_or(any, Expression::Any))
    }

    fn negation(&mut self) -> Result<Expression, JsonPathError> {
        if self.takes_word("not") {
            return self.nested(|parser| {
                parser
                    .negation()
                    .map(|inner| Expression::Not(Box::new(inner)))
            });
        }
        if self.takes("(") {
            let inner = self.conjunction()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let left = self.operand()?;
        let comparison = match self.peek() {
            Some(Token::Sign("=")) => Comparison::Equal,
            Some(Token::Sign("!=")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            _ => return Ok(Expression::Exists(left)),
        };
        self.at += 1;
        Ok(Expression::Compare(left, comparison, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, JsonPathError> {
        if self.sees("$") || self.sees("@") {
            return self.relative().map(Operand::Path);
        }
        self.literal().map(Operand::Literal)
    }

    fn relative(&mut self) -> Result<Relative, JsonPathError> {
        let from_root = self.takes("$");
        if !from_root {
            self.expect("@")?;
        }
        Ok(Relative {
            from_root,
            segments: self.segments()?,
        })
    }

    fn literal(&mut self) -> Result<Value, JsonPathError> {
        self.nested(|parser| match parser.next() {
            Some(Token::Text(text)) => Ok(Value::String(text)),
            Some(Token::Number(text)) => parser.number(&text),
            Some(Token::Word("true")) => Ok(Value::Bool(true)),
            Some(Token::Word("false")) => Ok(Value::Bool(false)),
            Some(Token::Word("null")) => Ok(Value::Null),
            Some(Token::Sign("[")) => parser.list(),
            Some(Token::Sign("{")) => parser.object(),
            _ => Err(parser.wrong_before("a value or a path is needed here")),
        })
    }

    fn list(&mut self) -> Result<Value, JsonPathError> {
        let mut items = Vec::new();
        if self.takes("]") {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.literal()?);
            if !self.takes(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Value::Array(items))
    }

    fn object(&mut self) -> Result<Value, JsonPathError> {
        let mut map = Map::new();
        if self.takes("}") {
            return Ok(Value::Object(map));
        }
        loop {
            let Some(Token::Text(key)) = self.next() else {
                return Err(self.wrong_before("a key in double quotes is needed here"));
            };
            self.expect(":")?;
            map.insert(key, self.literal()?);
            if !self.takes(",") {
                break;
            }
        }
        self.expect("}")?;
        Ok(Value::Object(map))
    }

    fn number(&self, text: &str) -> Result<Value, JsonPathError> {
        let number = if text.contains(['.', 'e', 'E']) {
            text.parse::<f64>().ok().and_then(Number::from_f64)
        } else {
            text.parse::<i64>().ok().map(Number::from)
        };
        number
            .map(Value::Number)
            .ok_or_else(|| self.wrong_before("a number out of range"))
    }

    fn integer(&self, text: &str) -> Result<i64, JsonPathError> {
        text.parse()
            .map_err(|_| self.wrong_before("a whole number is needed here"))
    }

    fn optional_integer(&mut self) -> Result<Option<i64>, JsonPathError> {
        let Some(Token::Number(text)) = self.peek().cloned() else {
            return Ok(None);
        };
        self.at += 1;
        self.integer(&text).map(Some)
    }

    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, JsonPathError>,
    ) -> Result<T, JsonPathError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.wrong("nested too deep"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn sees(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(seen)) if *seen == sign)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let sees = self.sees(sign);
        self.at += usize::from(sees);
        sees
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let sees = matches!(self.peek(), Some(Token::Word(seen)) if *seen == word);
        self.at += usize::from(sees);
        sees
    }

    fn expect(&mut self, sign: &str) -> Result<(), JsonPathError> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(self.wrong(&format!("`{sign}` is needed here")))
        }
    }

    fn wrong(&self, message: &str) -> JsonPathError {
        let at = self
            .tokens
            .get(self.at)
            .map_or(self.text.len(), |(at, _)| *at);
        error(self.text, at, message)
    }

    /// About the token just taken.
    fn wrong_before(&self, message: &str) -> JsonPathError {
        let at = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        error(
            self.text,
            at.map_or(self.text.len(), |(at, _)| *at),
            message,
        )
    }
}

fn single_or(
    mut expressions: Vec<Expression>,
    join: fn(Vec<Expression>) -> Expression,
) -> Expression {
    match expressions.pop() {
        Some(only) if expressions.is_empty() => only,
        Some(last) => {
            expressions.push(last);
            join(expressions)
        }
        None => join(expressions),
    }
}
