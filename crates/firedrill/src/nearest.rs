//! "Did you mean".

/// The known word nearest to one that was typed, if any is near enough to be meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (strsim::osa_distance(typed, word), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(2) && *distance < word.len())
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = || ["run", "report", "recover"].into_iter();
        assert_eq!(nearest("rnu", known()), Some("run"));
        assert_eq!(nearest("reprot", known()), Some("report"));
        assert_eq!(nearest("banana", known()), None);
    }
}
