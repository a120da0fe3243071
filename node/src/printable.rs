//! Words of others, made harmless for a terminal.

/// A text on one line, control characters escaped, tabs kept.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\t' => letter.to_string(),
            letter if letter.is_control() => letter.escape_debug().to_string(),
            letter => letter.to_string(),
        })
        .collect()
}
