//! How a command finds the daemon, its token, its ledger, and the name of who types.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use anyhow::Context as _;

use super::cli::Global;
use super::cli::Speaker;
use super::config;
use super::remote::Daemon;
use super::token;
use super::token::TokenError;
use crate::runbook::Grade;

/// Where a daemon listens unless somebody says.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9755);

pub(super) struct Reach {
    pub daemon: Daemon,
    /// The ledger's file.
    pub storage: PathBuf,
    /// The journal's folder, where there is to be one.
    pub journal: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

impl Reach {
    /// The configuration says where the daemon listens and where its token is; without one the flags do.
    pub async fn new(global: &Global) -> anyhow::Result<Self> {
        let config = configured(global)?;
        let listen = match (global.listen, &config) {
            (Some(listen), _) => listen,
            (None, Some(config)) => tokio::net::lookup_host(&config.server.listen)
                .await
                .ok()
                .and_then(|mut found| found.next())
                .context("[server] listen is no address")?,
            (None, None) => SocketAddr::from(LISTEN),
        };
        let mut storage = config
            .as_ref()
            .map_or_else(|| config::DATABASE.into(), |config| config.storage.clone());
        if let Some(folder) = &global.data {
            storage = folder.join(config::DATABASE);
        }
        Ok(Self {
            daemon: Daemon::new(listen)?,
            storage,
            journal: config
                .as_ref()
                .and_then(|config| Some(config.journal.as_ref()?.path.clone())),
            token_file: config.and_then(|config| config.server.token_file),
        })
    }

    pub fn token(&self) -> Result<String, TokenError> {
        token::find(self.token_file.as_deref(), &self.storage)
    }
}

/// The configuration; `None` where there is none. One that was broken since gated read it does not keep people from a
/// gated that runs on with the old: the fault is told, and what it says of where gated is counts.
fn configured(global: &Global) -> anyhow::Result<Option<config::Config>> {
    let Ok(source) = config::read_config(&global.config) else {
        return Ok(None);
    };
    let (config, mut faults) = config::Config::as_far_as_it_goes(source, &config::environment);
    let path = global.config.display();
    faults.faults.retain(|it| it.grade == Grade::Error);
    if !faults.is_empty() {
        let text = faults.render(false);
        let _ = writeln!(std::io::stderr(), "{text}\n\nwarning: {path} is broken");
    }
    if config.is_none() && global.listen.is_none() {
        anyhow::bail!(
            "nobody knows where gated listens: mend {path}, or say --listen ADDR (and --data DIR, where its token is)"
        );
    }
    Ok(config)
}

/// Who speaks: as said, else `$USER`, else the login name.
pub(super) fn speaker(said: &Speaker) -> anyhow::Result<String> {
    let named = |name: String| Some(name).filter(|name| !name.trim().is_empty());
    let user = || std::env::var("USER").ok().and_then(named);
    let name = said.by.clone().or_else(user).or_else(login_name);
    name.context("nobody knows who says so: give a name with --by")
}

/// The name that the system's list of users gives to this process' user.
fn login_name() -> Option<String> {
    let user = fs::metadata("/proc/self").ok()?.uid().to_string();
    let list = fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = list.lines();
    lines.find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == user).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks_is_said_or_known() {
        let by = Some("ada".to_owned());
        assert_eq!(speaker(&Speaker { by }).unwrap(), "ada");
        assert!(!speaker(&Speaker { by: None }).unwrap().is_empty());
        assert!(login_name().is_some_and(|name| !name.is_empty()));
    }
}
