//! File names sent by clients: for display and sorting, never used as paths.

use std::cmp::Ordering;

/// Maximum length of a stored name, in characters.
const MAX_CHARACTERS: usize = 120;

/// Sanitizes a client's file name for display: its last component, without control characters and direction marks, shortened.
///
/// A name that is too long keeps its end, which contains the number and the extension.
#[must_use]
pub fn shown(client_name: &str) -> String {
    // Only the end of a very long name is read.
    const MAX_READ_BYTES: usize = 4096;
    let mut start = client_name.len().saturating_sub(MAX_READ_BYTES);
    while !client_name.is_char_boundary(start) {
        start += 1;
    }
    let tail = client_name.get(start..).unwrap_or_default();
    let last = tail.rsplit(['/', '\\']).find(|part| !part.trim().is_empty()).unwrap_or_default();
    let plain: Vec<char> = last.trim().chars().filter(|&c| !c.is_control() && !is_text_control(c)).collect();
    let kept: String = plain.iter().skip(plain.len().saturating_sub(MAX_CHARACTERS)).collect();
    if kept.trim().is_empty() { "unnamed".into() } else { kept }
}

/// Invisible characters that change how the following text is displayed: direction marks, joiners, byte order marks.
fn is_text_control(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Natural order: numbers by value, letters ignoring case, `IMG_9` before `IMG_10`.
///
/// A total order, the same on every machine; names that differ only in case or leading zeros are compared as text at the end.
/// Implemented here because the order of photos determines a scene's bytes, which must not change with a crate's version.
#[must_use]
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        let step = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number_x, rest_x) = leading_number(left);
            let (number_y, rest_y) = leading_number(right);
            (left, right) = (rest_x, rest_y);
            // Without leading zeros, the longer number is larger, and equally long ones compare as text.
            number_x.len().cmp(&number_y.len()).then_with(|| number_x.cmp(number_y))
        } else {
            (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
            x.to_lowercase().cmp(y.to_lowercase())
        };
        if step.is_ne() {
            return step;
        }
    }
}

/// Splits leading digits, without leading zeros, from the rest.
fn leading_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_cut_to_what_can_be_shown() {
        assert_eq!(shown("../../etc/passwd"), "passwd");
        assert_eq!(shown("C:\\photos\\IMG 1.JPG"), "IMG 1.JPG");
        assert_eq!(shown("사진 01.jpg"), "사진 01.jpg");
        assert_eq!(shown("a\r\nSet-Cookie: x\0.jpg"), "aSet-Cookie: x.jpg");
        assert_eq!(shown("evil\u{202e}gpj.exe"), "evilgpj.exe");
        assert_eq!(shown("photos/"), "photos");
        for nothing in ["", "   ", "/", "\u{200b}", "\\\\"] {
            assert_eq!(shown(nothing), "unnamed", "{nothing:?}");
        }
        let long = shown(&format!("{}0042.jpg", "x".repeat(1 << 20)));
        assert_eq!(long.chars().count(), MAX_CHARACTERS);
        assert!(long.ends_with("0042.jpg"), "{long}");
    }

    #[test]
    fn numbers_sort_by_value() {
        let mut names = [
            "b.jpg",
            "IMG_10.jpg",
            "img_9.jpg",
            "IMG_2.jpg",
            "IMG_010.jpg",
            "a100",
            "a99",
            "IMG_10b.jpg",
            "",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "",
                "a99",
                "a100",
                "b.jpg",
                "IMG_2.jpg",
                "img_9.jpg",
                "IMG_010.jpg",
                "IMG_10.jpg",
                "IMG_10b.jpg"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_name_is_shown_plainly(name in "\\PC*|[\\x00-\\x7f]*|.*") {
            let shown = shown(&name);
            prop_assert!(!shown.is_empty() && shown.chars().count() <= MAX_CHARACTERS);
            prop_assert!(!shown.contains(['/', '\\', '\0', '\n']));
        }

        #[test]
        fn the_order_is_total(a in "[aB0-9é]{0,6}", b in "[aB0-9é]{0,6}", c in "[aB0-9é]{0,6}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b).is_eq(), a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
        }
    }
}
