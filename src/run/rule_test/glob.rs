//! Patterns of files as Go's `filepath.Glob` reads them, which is how `rule_files` are meant.

use std::path::{Component, Path, PathBuf};

use regex::Regex;

/// A pattern that means nothing.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no pattern: a bracket is not closed, or holds nothing")]
pub(super) struct BadPattern(String);

/// The files and folders that a pattern stands for, sorted; what cannot be read holds none. A pattern without `*`, `?`,
/// `[` stands for itself where it is there.
pub(super) fn glob(pattern: &Path) -> Result<Vec<PathBuf>, BadPattern> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = match part {
            Component::Normal(name) => name
                .to_str()
                .filter(|it| it.contains(['*', '?', '[', '\\'])),
            _ => None,
        };
        let Some(name) = name else {
            found = found.iter().map(|it| it.join(part)).collect();
            continue;
        };
        let matches = expression(name).ok_or_else(|| BadPattern(name.to_owned()))?;
        found = found.iter().flat_map(|it| within(it, &matches)).collect();
    }
    found.retain(|it| it.symlink_metadata().is_ok());
    Ok(found)
}

fn within(folder: &Path, matches: &Regex) -> Vec<PathBuf> {
    let here = Path::new(".");
    let empty = folder.as_os_str().is_empty();
    let read = if empty { here } else { folder };
    let Ok(entries) = std::fs::read_dir(read) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| matches.is_match(name)).collect();
    names.sort();
    names.iter().map(|name| folder.join(name)).collect()
}

/// `*`, `?`, `[a-z]`, `[^a-z]`, `\c`.
fn expression(pattern: &str) -> Option<Regex> {
    let mut text = String::from("^(?s:");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            '\\' => text.push_str(&regex::escape(&chars.next()?.to_string())),
            '[' => {
                text.push('[');
                let mut length = 0;
                loop {
                    match chars.next()? {
                        ']' if length > 0 => break,
                        '^' if length == 0 && text.ends_with('[') => text.push('^'),
                        '-' => text.push('-'),
                        '\\' => text.push_str(&regex::escape(&chars.next()?.to_string())),
                        c => text.push_str(&regex::escape(&c.to_string())),
                    }
                    length += usize::from(!text.ends_with("[^"));
                }
                text.push(']');
            }
            c => text.push_str(&regex::escape(&c.to_string())),
        }
    }
    Regex::new(&(text + ")$")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_gos() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a1.yml", "a2.yml", "b1.yaml", "sub/a1.yml", "sub2/c[1].yml"] {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let shown = |pattern: &str| match glob(&folder.path().join(pattern)) {
            Ok(found) => {
                let relative = |it: &PathBuf| {
                    let path = it.strip_prefix(folder.path()).unwrap();
                    path.display().to_string()
                };
                found.iter().map(relative).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        };
        for (pattern, expected) in [
            ("a1.yml", "a1.yml"),
            ("gone.yml", ""),
            ("gone/*.yml", ""),
            ("*.yml", "a1.yml a2.yml"),
            ("?1.y*ml", "a1.yml b1.yaml"),
            ("a[2-9].yml", "a2.yml"),
            ("[^a]1.yaml", "b1.yaml"),
            ("*/*.yml", "sub/a1.yml sub2/c[1].yml"),
            ("sub2/c\\[1].yml", "sub2/c[1].yml"),
            ("sub/../a1.yml", "sub/../a1.yml"),
            (
                "a[.yml",
                "`a[.yml` is no pattern: a bracket is not closed, or holds nothing",
            ),
        ] {
            assert_eq!(shown(pattern), expected, "{pattern}");
        }
    }
}
