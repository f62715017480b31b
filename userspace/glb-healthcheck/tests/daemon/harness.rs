// SPDX-License-Identifier: GPL-2.0

//! A directory, a daemon and what it says.

use crate::backends::Web;
use crate::loopback::{address, free_port};
use crate::wait::{wait, LIMIT};
use serde_json::{json, Value};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A directory of a test's own, with the daemon's files.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) listen: SocketAddr,
}

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("glb-hc-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let address = address();
        Self {
            dir,
            listen: (address, free_port(address)).into(),
        }
    }

    /// A place that is set up for a table of this many web servers, which are checked fast.
    pub(crate) fn with_webs<const N: usize>(name: &str) -> (Self, [Web; N]) {
        let place = Self::new(name);
        let webs = std::array::from_fn(|_| Web::new());
        place.write(
            "src.json",
            &table(&fast(), &webs.each_ref().map(Web::backend)),
        );
        place.configure(&json!({}));
        (place, webs)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes the configuration: paths here, a command that keeps a line for each of its runs, and what a
    /// test adds.
    pub(crate) fn configure(&self, more: &Value) {
        let mut config = json!({
            "forwarding_table": {"src": self.path("src.json"), "dst": self.path("dst.json")},
            "reload_command": format!("cat /proc/uptime >> {}", self.path("runs").display()),
            "reload_interval_ms": 100,
            "listen": self.listen.to_string(),
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        self.write("conf", &config.to_string());
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glb-healthcheck"));
        command.arg("--config").arg(self.path("conf"));
        command.env_remove("NOTIFY_SOCKET");
        command
    }

    pub(crate) fn start(&self) -> Daemon<'_> {
        Daemon::start(self, |_| {})
    }

    /// Whether the backends of the first table are healthy in what was published.
    pub(crate) fn published(&self) -> Option<Vec<bool>> {
        let tree: Value = serde_json::from_str(&self.text("dst.json")).ok()?;
        let backends = tree["tables"][0]["backends"].as_array()?;
        backends.iter().map(|b| b["healthy"].as_bool()).collect()
    }

    pub(crate) fn wait_published(&self, healthy: &[bool]) {
        wait(&format!("{healthy:?} to be published"), || {
            (self.published().as_deref() == Some(healthy)).then_some(())
        });
    }

    /// When the reload command ran, in seconds.
    pub(crate) fn runs(&self) -> Vec<f64> {
        let first = |line: &str| line.split(' ').next().and_then(|word| word.parse().ok());
        self.text("runs").lines().filter_map(first).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A table's file. `timing` is for all, `backends` are complete.
pub(crate) fn table(timing: &Value, backends: &[Value]) -> String {
    let tree = json!({
        "healthchecks": timing,
        "tables": [{
            "name": "web",
            "hash_key": "12345678901234561234567890123456",
            "seed": "49a3d861d661ae5ab06ed9326871a2f5",
            "binds": [{"ip": "10.10.10.10", "proto": "tcp", "port": 80}],
            "backends": backends,
        }],
    });
    serde_json::to_string_pretty(&tree).unwrap()
}

/// Checks often, so that tests are short. Timeouts are long, for a busy machine.
pub(crate) fn fast() -> Value {
    json!({"interval_ms": 50, "timeout_ms": 60000, "trigger": 3})
}

/// A daemon that runs. It has told systemd that it is ready.
pub(crate) struct Daemon<'p> {
    pub(crate) child: Child,
    place: &'p Place,
    notified: UnixDatagram,
    /// What systemd was told.
    pub(crate) messages: Vec<String>,
}

impl<'p> Daemon<'p> {
    pub(crate) fn start(place: &'p Place, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = place.command();
        prepare(&mut command);
        Self::start_command(place, command)
    }

    /// As [`Self::start`], where the program is started by another.
    pub(crate) fn start_command(place: &'p Place, mut command: Command) -> Self {
        let socket = place.path("notify");
        let _ = fs::remove_file(&socket);
        let notified = UnixDatagram::bind(&socket).unwrap();
        notified.set_nonblocking(true).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(place.path("log"))
            .unwrap();
        command.env("NOTIFY_SOCKET", &socket);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut daemon = Self {
            child: command.spawn().unwrap(),
            place,
            notified,
            messages: Vec::new(),
        };
        daemon.wait_told("READY=1");
        daemon
    }

    /// Waits for a message to systemd that begins so; gives it whole.
    pub(crate) fn wait_told(&mut self, start: &str) -> String {
        let before = self.messages.len();
        let what = format!(
            "systemd to be told {start}; log:\n{}",
            self.place.text("log")
        );
        wait(&what, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended with {status}:\n{}", self.place.text("log"));
            }
            self.hear();
            let new = &self.messages[before..];
            new.iter()
                .find(|message| message.starts_with(start))
                .cloned()
        })
    }

    /// Whether systemd was told this so far.
    pub(crate) fn heard(&mut self, message: &str) -> bool {
        self.hear();
        self.messages.iter().any(|said| said == message)
    }

    fn hear(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.notified.recv(&mut buffer) {
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            self.messages.push(message);
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        // The shell's own kill: a minimal system has no other.
        let kill = format!("kill {name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    /// Has the files read again and waits until that is done.
    pub(crate) fn reload(&mut self) {
        self.signal("-HUP");
        self.wait_told("READY=1");
    }

    /// Ends it as systemd does.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        let child = &mut self.child;
        wait("the daemon to end", || child.try_wait().unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.place.listen, path).unwrap()
    }

    pub(crate) fn health(&self) -> Value {
        serde_json::from_str(&self.get("/health").1).unwrap()
    }

    /// Waits until the daemon says that it is so. A table is there before its publication has ended.
    pub(crate) fn wait_status(&self, status: &str) {
        wait(&format!("status {status}"), || {
            (self.health()["status"] == status).then_some(())
        });
    }

    /// Waits until a check of a backend says this as its last failure.
    pub(crate) fn wait_failure(&self, backend: usize, part: &str) {
        let mut last = Value::Null;
        let found = || {
            let health = self.health();
            last = health["tables"][0]["backends"][backend].clone();
            let checks = last["checks"].as_array()?;
            let failure = |check: &Value| check["last_failure"].as_str().map(str::to_owned);
            checks
                .iter()
                .filter_map(failure)
                .any(|said| said.contains(part))
                .then_some(())
        };
        wait(&format!("a failure that says {part:?}"), found);
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of the daemon:\n{}", self.place.text("log"));
        }
    }
}

/// A page: status and body.
pub(crate) fn get(from: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(from)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    Ok((status.expect("a status"), body.to_owned()))
}

/// Runs to the end: status, standard output, standard error.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().expect("not killed"),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The names in a directory.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
