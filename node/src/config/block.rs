//! The part of a file that is ours: from one comment line to another, so that it works in every file with `#` comments.

use crate::handler::HandlerName;

/// The end of a first line whose block follows a text without final newline, which is given back when it is taken out.
const JOINED: &str = " (the line above had no end)";

/// A block's text, marks not included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Between the marks; ends with a newline.
    pub content: String,
}

/// A file, without our block, and the block if it had one.
pub fn split(text: &str, handler: &HandlerName) -> (String, Option<Block>) {
    let (begin, end) = (begin(handler), end(handler));
    let mut at = 0;
    let mut found = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        match found {
            None if bare == begin || bare.strip_suffix(JOINED) == Some(&begin) => {
                found = Some((at, at + line.len(), bare.ends_with(JOINED)));
            }
            Some((from, content, joined)) if bare == end => {
                let before = &text[..from];
                let before = if joined { before.strip_suffix('\n').unwrap_or(before) } else { before };
                let block = Block { content: text[content..at].to_owned() };
                return (format!("{before}{}", &text[at + line.len()..]), Some(block));
            }
            _ => {}
        }
        at += line.len();
    }
    // A beginning without end is somebody's doing: nothing is taken out then, and the table in it counts as theirs.
    (text.to_owned(), None)
}

impl Block {
    /// The text with this block at its end.
    pub fn append_to(&self, text: &str, handler: &HandlerName) -> String {
        let joined = !text.is_empty() && !text.ends_with('\n');
        let (newline, joined) = if joined { ("\n", JOINED) } else { ("", "") };
        format!("{text}{newline}{}{joined}\n{}{}\n", begin(handler), self.content, end(handler))
    }
}

fn begin(handler: &HandlerName) -> String {
    format!("# BEGIN wasm-node {handler}: written by `wasm-node apply`, taken out by `wasm-node uninstall`")
}

fn end(handler: &HandlerName) -> String {
    format!("# END wasm-node {handler}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_comes_back() {
        let handler = HandlerName::default();
        let block = Block { content: "x = 1\n".to_owned() };
        for text in ["", "a = 1", "a = 1\n", "a = 1\n\n", "a\r\n", "# END wasm-node crun-wasmedge\n"] {
            let with = block.append_to(text, &handler);
            assert_eq!(split(&with, &handler), (text.to_owned(), Some(block.clone())), "{text:?}");
            // What somebody writes below stays, too.
            let (without, _) = split(&format!("{with}b = 2\n"), &handler);
            assert_eq!(without, format!("{text}b = 2\n"));
            assert_eq!(split(&with, &"other".parse().unwrap()), (with.clone(), None));
        }
    }

    #[test]
    fn half_a_block_is_nobodys() {
        let handler = HandlerName::default();
        let with = Block { content: "x = 1\n".to_owned() }.append_to("a = 1\n", &handler);
        let half = &with[..with.len() - 3];
        assert_eq!(split(half, &handler), (half.to_owned(), None));
    }
}
