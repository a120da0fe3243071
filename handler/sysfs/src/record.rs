//! What udev's database says of a device: one small file each, its lines a letter, a colon and a text.

/// The record of a device; an empty one where udev has none.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Names and values of `E:` lines, in their order.
    pub(crate) properties: Vec<(String, String)>,
    /// Every tag that the device ever had since it was plugged in: `G:` lines.
    pub(crate) tags: Vec<String>,
    /// The tags that it has now: `Q:` lines.
    pub(crate) current_tags: Vec<String>,
    /// Names below `/dev` that link to its node: `S:` lines.
    pub(crate) links: Vec<String>,
    /// When udev first saw it, in microseconds since the boot: the `I:` line.
    pub(crate) initialized: Option<String>,
}

impl Record {
    /// Reads a record. Lines of other kinds are none of ours.
    pub(crate) fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            let Some((kind, rest)) = line.split_once(':') else { continue };
            match kind {
                // An empty value takes the property away, for udev as well.
                "E" => match rest.split_once('=') {
                    Some((name, "")) => record.properties.retain(|(other, _)| other != name),
                    Some((name, value)) => record.properties.push((name.to_owned(), value.to_owned())),
                    None => {}
                },
                "G" => record.tags.push(rest.to_owned()),
                "Q" => record.current_tags.push(rest.to_owned()),
                "S" => record.links.push(rest.to_owned()),
                "I" => record.initialized = Some(rest.to_owned()),
                _ => {}
            }
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let text = "S:disk/by-id/x\nI:12\nE:ID_A=1\nE:ID_B=x=y\nE:ID_A=\nE:odd\nG:systemd\nQ:now\nV:1\nW:3\nnonsense\n";
        let record = Record::parse(text);
        assert_eq!(record.properties, [("ID_B".to_owned(), "x=y".to_owned())]);
        assert_eq!((record.tags, record.current_tags), (vec!["systemd".to_owned()], vec!["now".to_owned()]));
        assert_eq!((record.links, record.initialized), (vec!["disk/by-id/x".to_owned()], Some("12".into())));
    }
}
