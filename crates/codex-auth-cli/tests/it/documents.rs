//! The documents name the tests that hold what they say; each of those is there.

use std::path::Path;

fn top() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All sources below a directory, as one text.
fn sources(dir: &Path, text: &mut String) {
    for entry in dir.read_dir().expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("readable"));
        }
    }
}

#[test]
fn every_test_a_document_names_is_there() {
    let mut all = String::new();
    for dir in ["crates", "tests"] {
        sources(&top().join(dir), &mut all);
    }
    for document in ["docs/reference/troubleshooting.md", "docs/reference/interfaces.md", "SECURITY.md"] {
        let text = std::fs::read_to_string(top().join(document)).expect("there");
        // Every second piece between backticks is a name.
        let is_path = |name: &&str| name.contains("::") && name.starts_with(|letter: char| letter.is_ascii_lowercase());
        let names = text.split('`').skip(1).step_by(2).filter(is_path);
        let mut seen = 0;
        for name in names {
            let last = name.rsplit("::").next().expect("a name");
            let is_there = [format!("fn {last}()"), format!("mod {last};"), format!("mod {last} {{")];
            assert!(is_there.iter().any(|line| all.contains(line)), "{document} names {name}, which is not there");
            seen += 1;
        }
        assert!(seen > 0, "{document} names no test");
    }
}
