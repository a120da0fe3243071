//! `docs/exchange.md` is enough to write a handler from only as long as it says what the code does: it shows every golden
//! file, every limit with its value, and every name of the directory.

use std::path::Path;

use akri_exchange::{PROTOCOL, RequestId, Wake, layout, limits};

fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page() -> String {
    repository("docs/exchange.md")
}

/// Names and values of constants, and the names alone of all that a source file declares.
macro_rules! constants {
    ($module:ident: $($name:ident),* $(,)?) => {{
        let source = repository(concat!("exchange/src/", stringify!($module), ".rs"));
        let declared: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'))
            .map(|(name, _)| name)
            .collect();
        let listed = vec![$((stringify!($name), $module::$name.to_string())),*];
        let names: Vec<&str> = listed.iter().map(|(name, _)| *name).collect();
        assert_eq!(declared, names, "a constant of {} is missing in this test", stringify!($module));
        listed
    }};
}

#[test]
fn every_golden_file_is_shown() {
    let page = page();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut shown = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let block = format!("<!-- golden: {name} -->\n```json\n{text}```\n");
        assert!(page.contains(&block), "docs/exchange.md lacks this:\n{block}");
        shown += 1;
    }
    assert_eq!(
        page.matches("<!-- golden: ").count(),
        shown,
        "docs/exchange.md shows a golden file that is not there"
    );
}

#[test]
fn every_limit_has_its_row() {
    let page = page();
    let limits = constants!(limits: HELLO_BYTES, REQUEST_BYTES, ANSWER_BYTES, INPUT_BYTES, REQUESTS, DEVICES,
        DEVICE_BYTES, DEVICE_ID_BYTES, PROPERTIES, PROPERTY_NAME_BYTES, PROPERTY_VALUE_BYTES, MOUNTS, PATH_BYTES, MESSAGE_BYTES,
        RESCAN_MS, REMOVAL_GRACE_MS, HELLO_TEXT_BYTES);
    for (name, value) in limits {
        let row = format!("| `{name}` | {value} | ");
        assert!(page.contains(&row), "docs/exchange.md has no row that begins {row:?}");
    }
}

#[test]
fn every_name_of_the_directory_is_there() {
    let page = page();
    let names = constants!(layout: DEFAULT_DIRECTORY, HELLO, WAKE, REQUESTS, ANSWERS, INPUTS, STOP, LOCK,
        TEMPORARY_PREFIX, MESSAGE_SUFFIX);
    for (name, value) in names {
        assert!(
            page.contains(&format!("`{value}`"))
                || page.contains(&format!("`{value}/`"))
                || page.contains(&format!("/{value}`")),
            "docs/exchange.md does not name {name}, {value:?}"
        );
    }
    assert!(page.contains(&format!("`{}/{}/", layout::REQUESTS, layout::proxy_folder(0))));
    assert!(page.contains(&format!("`{}`", layout::temporary("<name>", "handler"))));
}

#[test]
fn numbers_and_bytes_are_the_codes_own() {
    let page = page();
    assert!(page.starts_with(&format!("# The exchange: protocol {PROTOCOL}\n")));
    for wake in [Wake::Requests, Wake::Everything] {
        let row = format!("| `{}` (0x{:02x}) |", char::from(wake.byte()), wake.byte());
        assert!(page.contains(&row), "{row}");
    }
    let empty = RequestId::of("", &Default::default());
    assert!(page.contains(&format!("`{empty}`")));
}
