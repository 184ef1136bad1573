//! Which known word somebody probably meant. It must only ever give back a known word, never the one that was typed.

/// The known word nearest to the typed one, if it is near enough to be a slip.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No known word is longer; a long one is no slip, and the distance costs the product of the lengths.
    const TYPED_MAX: usize = 64;
    if typed.len() > TYPED_MAX {
        return None;
    }
    let typed = typed.to_lowercase().replace('_', "-");
    let slips_max = (typed.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (distance(&typed, word), word))
        .filter(|&(slips, _)| slips <= slips_max)
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, word)| word)
}

/// The number of slips (a letter too many, missing, wrong, or swapped with its neighbour) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Row i holds the distances between the first i letters of `a` and each beginning of `b`.
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let wrong = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = wrong.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_each_kind_of_slip_once() {
        assert_eq!(distance("bind", "bind"), 0);
        assert_eq!(distance("bnd", "bind"), 1);
        assert_eq!(distance("biind", "bind"), 1);
        assert_eq!(distance("bimd", "bind"), 1);
        assert_eq!(distance("bnid", "bind"), 1);
        assert_eq!(distance("", "bind"), 4);
    }

    #[test]
    fn slips_find_their_word_and_other_words_find_none() {
        let known = ["name", "protocol", "plaintext-networks"];
        assert_eq!(nearest("protcol", known), Some("protocol"));
        assert_eq!(nearest("plaintext_networks", known), Some("plaintext-networks"));
        assert_eq!(nearest("Name", known), Some("name"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
