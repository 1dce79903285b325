//! nginx as a neighbour: no buffering, kept connections on both sides, no log, loopback only.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::child::{self, Echo};

use super::running::Running;

const PROGRAM: &str = "nginx";
const READY: Duration = Duration::from_secs(5);

/// Its version, after an attempt to install it where that is possible; `None` where it is not to be had.
pub(crate) fn version() -> Option<String> {
    ask().or_else(|| {
        install();
        ask()
    })
}

fn ask() -> Option<String> {
    // It tells its version on standard error.
    let answer = Command::new(PROGRAM).arg("-v").output().ok()?;
    let text = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
    text.rsplit_once('/').map(|(_, version)| version.to_owned())
}

fn install() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "-q", "-y", "--no-install-recommends", "nginx-light"]);
    // In run level 1 Debian starts no service after installing it.
    install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    // Without nginx its cells stay empty, and the page says so.
    let _refused = child::run(&mut install, Duration::from_mins(3), Echo::Silent);
}

/// Starts it in `dir`, in front of the backend; tells its port.
pub(crate) fn start(dir: &Path, backend: u16) -> Result<(Running, u16), String> {
    let io = |e: std::io::Error| format!("set up nginx in {}: {e}", dir.display());
    fs::create_dir_all(dir).map_err(io)?;
    let port = free_port().map_err(io)?;
    let file = dir.join("nginx.conf");
    fs::write(&file, configuration(dir, port, backend)).map_err(io)?;
    let running =
        Running::start_silent(Command::new(PROGRAM).arg("-e").arg(dir.join("error.log")).arg("-c").arg(&file))?;
    let deadline = Instant::now() + READY;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > deadline {
            return Err("nginx did not come up".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok((running, port))
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn configuration(dir: &Path, port: u16, backend: u16) -> String {
    let dir = dir.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {dir}/{name};\n"))
        .concat();
    format!(
        "daemon off;\nworker_processes auto;\npid {dir}/pid;\nerror_log {dir}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 10000000;\n{temporary}\
         \x20 upstream backend {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 10000000; }}\n\
         \x20 server {{\n    listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://backend;\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_buffering off;\n\
         \x20   }}\n  }}\n}}\n"
    )
}
