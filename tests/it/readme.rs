//! What `tests/README.md` says of the tests is so.

use std::fs;
use std::path::Path;

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|it| it == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// `module::name`, or `name` after it of the same module; `…` stands for the rest of a name, `*` for all of a module.
#[test]
fn every_test_that_the_table_of_faults_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("tests/it"), &mut code);
    sources(&root.join("src"), &mut code);
    let text = fs::read_to_string(root.join("tests/README.md")).unwrap();
    let (_, table) = text.split_once("## Where a fault has its test").unwrap();
    let mut named = 0;
    let mut missing = Vec::new();
    for row in table.lines().filter(|it| it.starts_with('|')).skip(2) {
        let tests = row.rsplit('|').nth(1).unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            named += 1;
            let name = name.rsplit("::").next().unwrap();
            let found = match name.strip_suffix('…') {
                _ if name == "*" => true,
                Some(start) => code.contains(&format!("fn {start}")),
                None => code.contains(&format!("fn {}", name.trim_end_matches('*'))),
            };
            if !found {
                missing.push(name);
            }
        }
    }
    assert!(named > 80, "{named} tests are named");
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}
