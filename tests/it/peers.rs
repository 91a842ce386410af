//! Real peers from Debian's packages, each in a folder of its own on a free port, killed when dropped. A peer that is
//! not installed fails the test and says which package holds it: nothing is left out silently.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A running server.
pub struct Peer {
    /// Where it answers, without a slash at the end.
    pub url: String,
    command: Vec<String>,
    /// A path that answers 200 once it is up.
    ready: &'static str,
    address: SocketAddr,
    folder: TempDir,
    child: Child,
}

impl Peer {
    /// An Alertmanager without receivers or neighbours.
    pub fn alertmanager() -> Self {
        Self::alertmanager_with("route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n")
    }

    /// One with this configuration and without neighbours.
    pub fn alertmanager_with(text: &str) -> Self {
        Self::start("prometheus-alertmanager", "/-/ready", |folder, address| {
            let config = folder.join("alertmanager.yml");
            fs::write(&config, text).unwrap();
            vec![
                format!("--config.file={}", config.display()),
                format!("--storage.path={}", folder.join("data").display()),
                format!("--web.listen-address={address}"),
                "--cluster.listen-address=".to_owned(),
            ]
        })
    }

    /// A Prometheus with this configuration (its `prometheus.yml`).
    #[allow(dead_code, reason = "a peer that other files of this binary start")]
    pub fn prometheus(config: &str) -> Self {
        Self::start("prometheus", "/-/ready", |folder, address| {
            let file = folder.join("prometheus.yml");
            fs::write(&file, config).unwrap();
            vec![
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", folder.join("data").display()),
                format!("--web.listen-address={address}"),
                "--web.enable-lifecycle".to_owned(),
            ]
        })
    }

    #[allow(dead_code, reason = "a peer that other files of this binary start")]
    pub fn node_exporter() -> Self {
        Self::start("prometheus-node-exporter", "/metrics", |_, address| {
            vec![format!("--web.listen-address={address}")]
        })
    }

    fn start(
        package: &str,
        ready: &'static str,
        arguments: impl FnOnce(&Path, SocketAddr) -> Vec<String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        // Another build of a peer may be named: PROMETHEUS=path.
        let named = std::env::var(package.to_uppercase().replace('-', "_"));
        let program = named.unwrap_or_else(|_| installed(package, package).display().to_string());
        let mut command = vec![program];
        command.extend(arguments(folder.path(), address));
        let mut peer = Self {
            url: format!("http://{address}"),
            child: spawn(&command, folder.path()),
            command,
            ready,
            address,
            folder,
        };
        peer.wait();
        peer
    }

    /// The body of what it answers, whatever the status.
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.to_owned()
    }

    /// `kill -9`: it keeps nothing that is not on its disk.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The same server again, on the same port and folder.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.command, self.folder.path());
        self.wait();
    }

    fn wait(&mut self) {
        for _ in 0..1000 {
            if self.answers() {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status}:\n{}", self.command[0], self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{} is not ready:\n{}", self.command[0], self.log());
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else {
            return false;
        };
        let request = format!("GET {} HTTP/1.0\r\nHost: test\r\n\r\n", self.ready);
        let mut head = [0; 12];
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_exact(&mut head).is_ok()
            && head.ends_with(b" 200")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What `amtool` prints when asked about the Alertmanager at `url`.
pub fn amtool(url: &str, arguments: &[&str]) -> String {
    let output = Command::new(installed("amtool", "prometheus-alertmanager"))
        .arg(format!("--alertmanager.url={url}"))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "amtool {arguments:?}: {text}{errors}"
    );
    text
}

/// A port of the loopback that nobody listened on a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Where `program` is. Fails the test when `package` is not installed.
pub fn installed(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("{program} is not installed: apt-get install --no-install-recommends {package}")
        })
}

fn spawn(command: &[String], folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    Command::new(&command[0])
        .args(&command[1..])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
