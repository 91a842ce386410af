//! `reports/*.xml`, `build/**/TEST-*.xml`: which files a pattern stands for. `*`, `?` and `[…]` within a name, `**` for
//! any folders.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use glob::Pattern;

use super::FILES_MAX;

/// Folders and files that are looked at; more are no folder of reports.
const LOOKED_AT_MAX: usize = 100_000;
/// `**` goes down so far.
const DEPTH_MAX: usize = 32;

/// A pattern of report files.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportPattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// As it stands.
    Name(String),
    Like(Pattern),
    /// `**`.
    AnyFolders,
}

impl fmt::Display for ReportPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ReportPattern {
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        for part in text.split('/').filter(|it| !it.is_empty()) {
            parts.push(match part {
                "**" => Part::AnyFolders,
                _ if part.contains("**") => return Err("`**` stands alone between `/`".to_owned()),
                _ if part.contains(['*', '?', '[']) => {
                    Part::Like(Pattern::new(part).map_err(|error| error.msg.to_owned())?)
                }
                _ => Part::Name(part.to_owned()),
            });
        }
        match parts.last() {
            None => Err("it names no file".to_owned()),
            Some(Part::AnyFolders) => Err("it ends in `**`, which names folders".to_owned()),
            Some(Part::Name(_) | Part::Like(_)) => Ok(Self {
                text: text.to_owned(),
                parts,
            }),
        }
    }

    /// The files there are, sorted.
    pub(super) fn files(&self, over: &AtomicBool) -> Result<BTreeSet<PathBuf>, String> {
        let root = if self.text.starts_with('/') { "/" } else { "" };
        let mut walk = Walk {
            found: BTreeSet::new(),
            looked_at: 0,
            over,
        };
        walk.down(Path::new(root), &self.parts, 0)
            .map_err(|why| format!("{self}: {why}"))?;
        Ok(walk.found)
    }
}

struct Walk<'w> {
    found: BTreeSet<PathBuf>,
    looked_at: usize,
    over: &'w AtomicBool,
}

impl Walk<'_> {
    fn down(&mut self, folder: &Path, parts: &[Part], depth: usize) -> Result<(), String> {
        let Some((part, rest)) = parts.split_first() else {
            return Ok(());
        };
        match part {
            Part::Name(name) => self.step(folder.join(name), rest, depth),
            Part::Like(pattern) => {
                for (name, _) in self.names(folder)? {
                    if pattern.matches(&name) {
                        self.step(folder.join(name), rest, depth)?;
                    }
                }
                Ok(())
            }
            Part::AnyFolders => {
                self.down(folder, rest, depth)?;
                if depth >= DEPTH_MAX {
                    return Err(format!("more than {DEPTH_MAX} folders deep"));
                }
                for (name, is_folder) in self.names(folder)? {
                    if is_folder {
                        self.down(&folder.join(name), parts, depth + 1)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn step(&mut self, path: PathBuf, rest: &[Part], depth: usize) -> Result<(), String> {
        if !rest.is_empty() {
            return self.down(&path, rest, depth);
        }
        match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => {
                self.found.insert(path);
                if self.found.len() > FILES_MAX {
                    return Err(format!("stands for more than {FILES_MAX} files"));
                }
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// The names in a folder, and which of them are folders themselves: links are not, or `**` might go round in circles.
    fn names(&mut self, folder: &Path) -> Result<Vec<(String, bool)>, String> {
        let at = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let said = |error: io::Error| format!("{}: {error}", at.display());
        let entries = match fs::read_dir(at) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(said(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(said)?;
            self.looked_at += 1;
            if self.looked_at > LOOKED_AT_MAX {
                return Err(format!("more than {LOOKED_AT_MAX} files to look through"));
            }
            if self.over.load(Ordering::Relaxed) {
                return Err("nobody waits any more".to_owned());
            }
            let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
            if let Ok(name) = entry.file_name().into_string() {
                names.push((name, is_folder));
            }
        }
        Ok(names)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_files_in_folders_and_below_them() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            "a.xml",
            "b.xml",
            "c.txt",
            "sub/a.xml",
            "sub/deep/TEST-1.xml",
            "[x].xml",
        ];
        for file in files {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        fs::create_dir(folder.path().join("folder.xml")).unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("round")).unwrap();
        let over = AtomicBool::new(false);
        for (pattern, expected) in [
            ("a.xml", "a.xml"),
            ("gone.xml", ""),
            ("gone/*.xml", ""),
            ("a.xml/*.xml", ""),
            ("*.xml", "[x].xml a.xml b.xml"),
            ("?.xml", "a.xml b.xml"),
            ("[!a].xml", "b.xml"),
            ("[[]x].xml", "[x].xml"),
            ("s*/a.xml", "sub/a.xml"),
            (
                "**/*.xml",
                "[x].xml a.xml b.xml sub/a.xml sub/deep/TEST-1.xml",
            ),
            ("**/TEST-*.xml", "sub/deep/TEST-1.xml"),
            ("sub/**/a.xml", "sub/a.xml"),
            ("round/a.xml", "round/a.xml"),
        ] {
            let written = format!("{}/{pattern}", folder.path().display());
            let found = ReportPattern::new(&written).unwrap().files(&over).unwrap();
            let shown: Vec<String> = found
                .iter()
                .map(|it| {
                    it.strip_prefix(folder.path())
                        .unwrap()
                        .display()
                        .to_string()
                })
                .collect();
            assert_eq!(shown.join(" "), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        for (pattern, expected) in [
            ("", "it names no file"),
            ("reports/**", "it ends in `**`, which names folders"),
            ("a**/b.xml", "`**` stands alone between `/`"),
            ("[a.xml", "invalid range pattern"),
        ] {
            assert_eq!(
                ReportPattern::new(pattern).unwrap_err(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn too_many_files_are_no_reports() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..=FILES_MAX {
            fs::write(folder.path().join(format!("{i}.xml")), "").unwrap();
        }
        let pattern = ReportPattern::new(&format!("{}/*.xml", folder.path().display())).unwrap();
        let why = pattern.files(&AtomicBool::new(false)).unwrap_err();
        assert!(why.ends_with("stands for more than 1000 files"), "{why}");
    }
}
