//! Where a ledger must not lie. SQLite's log works among processes of one machine alone, and whether a lock reaches the
//! next machine depends on how the volume was mounted there.

use std::io;
use std::path::Path;

use rustix::fs::FsWord;

/// The name of the network file system that holds `folder`; `None` on any other.
pub(super) fn network_file_system(folder: &Path) -> io::Result<Option<&'static str>> {
    Ok(of_kind(rustix::fs::statfs(folder)?.f_type))
}

/// By the numbers of statfs(2).
const fn of_kind(kind: FsWord) -> Option<&'static str> {
    Some(match kind {
        0x6969 => "NFS",
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => "SMB",
        0x5346_414f => "AFS",
        0x7375_7245 => "Coda",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d5_network_file_systems_are_known_by_their_number() {
        let ext4 = 0xef53;
        let overlay = 0x794c_7630;
        let found = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42, ext4, overlay].map(of_kind);
        let expected = [
            Some("NFS"),
            Some("SMB"),
            Some("SMB"),
            Some("SMB"),
            None,
            None,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_disk_of_this_machine_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(network_file_system(folder.path()).unwrap(), None);
        assert_eq!(network_file_system(Path::new("/proc")).unwrap(), None);
        assert!(network_file_system(Path::new("/does/not/exist")).is_err());
    }
}
