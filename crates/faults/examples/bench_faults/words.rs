use std::str::FromStr;

use crate::Outcome;

/// Options of the command line, as `name=value`.
pub(crate) struct Words(Vec<(String, String)>);

impl Words {
    pub(crate) fn read(words: &[String]) -> Outcome<Self> {
        let pair = |word: &String| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let pairs = words
            .iter()
            .map(|word| pair(word).ok_or_else(|| format!("{word:?} is not NAME=VALUE").into()));
        pairs.collect::<Outcome<_>>().map(Self)
    }

    pub(crate) fn get<T: FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        let found = self.0.iter().find(|(given, _)| given == name);
        match found {
            None => Ok(default),
            Some((_, value)) => value
                .parse()
                .map_err(|_| format!("{name}={value} is not understood").into()),
        }
    }
}
