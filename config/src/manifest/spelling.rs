// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a misspelt name probably means.

/// The one of `known` that `word` is probably meant to be: at most a third of its letters wrong, whatever the case.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let rated = known.iter().map(|known| (distance(&lower, &known.to_lowercase()), *known));
    let (distance, best) = rated.min()?;
    (distance * 3 <= best.len().max(word.len())).then_some(best)
}

/// Levenshtein's edit distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for ((to, above_left), above) in b.chars().zip(&row).zip(row.iter().skip(1)) {
            left = (above_left + usize::from(from != to)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let known = ["addresses", "autoAssign", "avoidBuggyIPs"];
        assert_eq!(nearest("autoasign", &known), Some("autoAssign"));
        assert_eq!(nearest("address", &known), Some("addresses"));
        assert_eq!(nearest("protocol", &known), None);
        assert_eq!(nearest("x", &[]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
