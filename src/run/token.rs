//! Where the token for writes is kept: in `token_file`, else in a file that gated makes beside its database and
//! that a command on the same host finds.

use std::fmt::Write as _;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use ring::rand::SecureRandom as _;
use ring::rand::SystemRandom;

/// Name of the file beside the database.
const FILE: &str = "token";
/// 256 random bits.
const TOKEN_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read the token in {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot make a token in {path}")]
    Make { path: PathBuf, source: io::Error },
    #[error("the token in {path} is empty")]
    Empty { path: PathBuf },
}

/// The token's text for a daemon: read from `token_file`, else from beside `database`, made there if it is missing.
pub fn keep(token_file: Option<&Path>, database: &Path) -> Result<String, TokenError> {
    if token_file.is_none() {
        let path = beside(database);
        make(&path).map_err(|source| TokenError::Make { path, source })?;
    }
    find(token_file, database)
}

/// The token's text for a command: read, never made.
pub fn find(token_file: Option<&Path>, database: &Path) -> Result<String, TokenError> {
    let path = token_file.map_or_else(|| beside(database), Path::to_owned);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(TokenError::Empty { path }),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(TokenError::Read { path, source }),
    }
}

fn beside(database: &Path) -> PathBuf {
    database.with_file_name(FILE)
}

/// Writes a fresh token to `path` unless one is there. It appears whole: two daemons that start at once end with
/// the same one, and a crash leaves no half of it.
fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(folder)?;
    }
    let fresh = path.with_file_name(format!("{FILE}.{}", std::process::id()));
    let mut file: File = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(format!("{}\n", random()?).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn random() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn made_once_for_its_owner_only_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("data/gated.db");
        assert!(matches!(
            find(None, &database),
            Err(TokenError::Read { .. })
        ));
        let token = keep(None, &database).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(keep(None, &database).unwrap(), token);
        assert_eq!(find(None, &database).unwrap(), token);
        let path = folder.path().join("data/token");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names = fs::read_dir(folder.path().join("data")).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
        let other = folder.path().join("other/gated.db");
        assert_ne!(keep(None, &other).unwrap(), token);
    }

    #[test]
    fn a_given_file_is_read_and_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let (file, database) = (folder.path().join("t"), folder.path().join("gated.db"));
        assert!(matches!(
            keep(Some(&file), &database),
            Err(TokenError::Read { .. })
        ));
        fs::write(&file, " \n").unwrap();
        assert!(matches!(
            keep(Some(&file), &database),
            Err(TokenError::Empty { .. })
        ));
        fs::write(&file, "secret\n").unwrap();
        assert_eq!(keep(Some(&file), &database).unwrap(), "secret");
        assert!(!folder.path().join("token").exists());
    }
}
