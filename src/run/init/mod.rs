//! `gated init`: a configuration and rules to start from, written once and never over what is there.

mod answers;
mod page;
mod text;

use std::fmt::Write as _;
use std::fs;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;

use super::cli;
use super::cli::Init;
use super::config::Config;
use super::config::environment;
use super::entry::print;
use crate::runbook::Source;
use crate::runbook::load_knowing;
use answers::Answers;
use answers::Terminal;

/// A value cannot be used.
const USAGE: u8 = 2;

/// Asks, checks, writes, and says what comes next. `rules`: the global `--rules`, which here says what to start from.
pub(super) async fn run(flags: &Init, rules: &[PathBuf]) -> anyhow::Result<u8> {
    let word = started_from(rules, std::env::var_os("GATED_RULES").as_deref());
    let told = if std::io::stdin().is_terminal() {
        let (mut typed, mut shown) = (std::io::stdin().lock(), std::io::stderr());
        let terminal: Terminal<'_> = Some((&mut typed, &mut shown));
        answers::answers(flags, word.as_deref(), terminal)
    } else {
        answers::answers(flags, word.as_deref(), None)
    };
    let answers = match told {
        Ok(answers) => answers,
        Err(bad) => {
            for fault in bad {
                let _ = writeln!(std::io::stderr(), "error: {fault}");
            }
            return Ok(USAGE);
        }
    };
    let files = files(&answers, &flags.dir);
    if let Err(faults) = sound(&files) {
        // Only a variable of the environment that the shipped files read can do this.
        let _ = writeln!(std::io::stderr(), "{faults}");
        return Ok(USAGE);
    }
    in_the_way(&files, flags.force)?;
    for file in &files {
        write(Path::new(&file.path), &file.text, flags.force)?;
        print(&format!("wrote {}\n", file.path));
    }
    print(&page::compared(&answers.metrics, &files[1]).await);
    print(&next(&answers, &flags.dir));
    Ok(0)
}

/// What `--rules` says, unless it says nothing: then it is the default, or what the environment has for other commands.
fn started_from(rules: &[PathBuf], environment: Option<&std::ffi::OsStr>) -> Option<String> {
    let said = rules.iter().map(|it| it.display().to_string());
    let said = said.collect::<Vec<_>>().join(",");
    let unsaid = said == cli::RULES || environment.is_some_and(|it| it == said.as_str());
    (!unsaid).then_some(said)
}

/// The configuration, then the rules.
fn files(answers: &Answers, dir: &Path) -> [Source; 2] {
    let (name, rules) = text::rules(answers);
    let config = Source {
        path: dir.join(cli::CONFIG).display().to_string(),
        text: text::config(answers),
    };
    let rules = Source {
        path: dir.join(cli::RULES).join(name).display().to_string(),
        text: rules,
    };
    [config, rules]
}

/// Whether gated can read what it is about to write.
fn sound([config, rules]: &[Source; 2]) -> Result<(), String> {
    let loaded = Config::load(config.clone(), &environment);
    let loaded = loaded.map_err(|faults| faults.render(false))?;
    let rules = std::slice::from_ref(rules);
    load_knowing(rules, &environment, &loaded.known())
        .map(drop)
        .map_err(|faults| faults.render(false))
}

fn in_the_way(files: &[Source], force: bool) -> anyhow::Result<()> {
    let there = files.iter().map(|it| &it.path);
    let there: Vec<&str> = there
        .filter(|it| !force && Path::new(it).symlink_metadata().is_ok())
        .map(String::as_str)
        .collect();
    anyhow::ensure!(
        there.is_empty(),
        "{} would be overwritten, so nothing was written: move what is there, name another place with --dir, or say --force",
        there.join(" and ")
    );
    Ok(())
}

fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = fs::OpenOptions::new();
        // Who made it since it was looked for keeps it.
        if force {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        let mut file = options.write(true).open(path)?;
        file.write_all(text.as_bytes())
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

fn next(answers: &Answers, dir: &Path) -> String {
    let mut said = "\nNext".to_owned();
    if dir != Path::new(".") {
        let _ = write!(said, ", in {}", dir.display());
    }
    said.push_str(
        ":\n  gated check config     is it sound, and who would be called?\n  gated --dry-run        one look: go, no go, and why\n  gated                  run; what it decides is shown, and done once [rollback] mode = \"armed\"\n",
    );
    if answers.rules == answers::Start::Day1 && answers.go_live.is_none() {
        said.push_str("\nThe phases begin at [rollout] go_live, which is not set yet.\n");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_other_commands_chooses_no_rules() {
        let paths = |words: &[&str]| words.iter().map(PathBuf::from).collect::<Vec<_>>();
        let set = std::ffi::OsStr::new("/etc/gated/rules,more");
        for (rules, environment, said) in [
            (paths(&["rules"]), None, None),
            (paths(&["day1"]), None, Some("day1")),
            (paths(&["/etc/gated/rules", "more"]), Some(set), None),
            (paths(&["rollout"]), Some(set), Some("rollout")),
            (paths(&["a", "b"]), None, Some("a,b")),
        ] {
            assert_eq!(started_from(&rules, environment).as_deref(), said);
        }
    }
}
