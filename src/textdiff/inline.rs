//! The words that changed inside changed lines.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{BLOCK_LINES, Segment, whole};

/// More words than that on one side are compared by no means that is worth its time: it is done
/// while somebody waits for the page.
const MOST_WORDS: usize = 1_500;
/// Lines are much the same when this part of their words is, in hundredths.
const ALIKE: usize = 40;

type Lines = Vec<Vec<Segment>>;

/// Gives the lines of both sides in segments.
pub(super) fn refined(old: &[&str], new: &[&str]) -> (Lines, Lines) {
    let plain = |lines: &[&str]| lines.iter().map(|line| whole(line)).collect();
    if old.is_empty() || new.is_empty() {
        return (plain(old), plain(new));
    }
    if old.len() == new.len() {
        let pairs = old.iter().zip(new);
        return pairs
            .map(|(old, new)| emphasised(old, new).unwrap_or_else(|| (whole(old), whole(new))))
            .unzip();
    }
    if old.len().max(new.len()) <= BLOCK_LINES
        && let Some((gone, come)) = emphasised(&old.join("\n"), &new.join("\n"))
    {
        return (by_line(gone), by_line(come));
    }
    (plain(old), plain(new))
}

/// Marks the words of one text that the other has not; none when they are not much the same.
fn emphasised(old: &str, new: &str) -> Option<(Vec<Segment>, Vec<Segment>)> {
    let (before, after) = (words(old), words(new));
    if before.len().max(after.len()) > MOST_WORDS {
        return None;
    }
    let ops = capture_diff_slices(Algorithm::Myers, &before, &after);
    let said = |words: &[&str]| words.iter().map(|word| word.trim().len()).sum::<usize>();
    let mut shared = 0;
    let (mut gone, mut come) = (vec![false; before.len()], vec![false; after.len()]);
    for op in &ops {
        if let DiffOp::Equal { old_index, len, .. } = op {
            shared += said(&before[*old_index..old_index + len]);
        } else {
            gone[op.old_range()].fill(true);
            come[op.new_range()].fill(true);
        }
    }
    let longest = said(&before).max(said(&after));
    if shared * 100 < longest * ALIKE {
        return None;
    }
    Some((segments(&before, gone), segments(&after, come)))
}

/// Puts words together. White space between two words that changed changed with them.
fn segments(words: &[&str], mut changed: Vec<bool>) -> Vec<Segment> {
    for at in 1..words.len().saturating_sub(1) {
        let blank = words[at].chars().all(|c| c == ' ');
        changed[at] |= blank && changed[at - 1] && changed[at + 1];
    }
    let mut out: Vec<Segment> = Vec::new();
    for (word, emphasised) in words.iter().zip(changed) {
        match out.last_mut() {
            Some(last) if last.emphasised == emphasised => last.text.push_str(word),
            _ => out.push(Segment {
                text: (*word).to_owned(),
                emphasised,
            }),
        }
    }
    out
}

/// Parts segments at line feeds.
fn by_line(segments: Vec<Segment>) -> Lines {
    let mut lines = vec![Vec::new()];
    for segment in segments {
        for (number, text) in segment.text.split('\n').enumerate() {
            if number > 0 {
                lines.push(Vec::new());
            }
            if let Some(line) = lines.last_mut().filter(|_| !text.is_empty()) {
                line.push(Segment {
                    text: text.to_owned(),
                    emphasised: segment.emphasised,
                });
            }
        }
    }
    lines
}

/// Parts a text into names and numbers, runs of spaces, and single other characters.
fn words(text: &str) -> Vec<&str> {
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 1,
        ' ' | '\t' => 2,
        _ => 0,
    };
    let mut out = Vec::new();
    let mut start = 0;
    let mut last = 0;
    for (at, c) in text.char_indices() {
        let here = class(c);
        if at > start && (here != last || here == 0) {
            out.push(&text[start..at]);
            start = at;
        }
        last = here;
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(segments: &[Segment]) -> String {
        let part = |segment: &Segment| match segment.emphasised {
            true => format!("[{}]", segment.text),
            false => segment.text.clone(),
        };
        segments.iter().map(part).collect()
    }

    #[test]
    fn words_are_names_spaces_and_signs() {
        assert_eq!(words("a_1  >= 日x"), ["a_1", "  ", ">", "=", " ", "日x"]);
        assert_eq!(words(""), Vec::<&str>::new());
    }

    #[test]
    fn lines_that_share_little_are_not_picked_apart() {
        let (old, new) = refined(&["RETURN total"], &["PERFORM notify(old_id)"]);
        assert_eq!(shown(&old[0]), "RETURN total");
        assert_eq!(shown(&new[0]), "PERFORM notify(old_id)");
    }

    #[test]
    fn a_block_of_unequal_sides_is_parted_at_its_lines() {
        let (old, new) = refined(
            &["SELECT id, total FROM shop.orders"],
            &["SELECT id, total", "FROM shop.bills"],
        );
        assert_eq!(shown(&old[0]), "SELECT id, total[ ]FROM shop.[orders]");
        assert_eq!(shown(&new[0]), "SELECT id, total");
        assert_eq!(shown(&new[1]), "FROM shop.[bills]");
    }
}
