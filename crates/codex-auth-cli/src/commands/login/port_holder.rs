//! Who holds the port the browser comes back to: read from the kernel's tables where it shows them, and the command
//! that tells it elsewhere.

use std::{fmt, path::Path};

use codex_auth_oauth::LoginError;

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pid: u32,
    program: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (process {})", self.program, self.pid)
    }
}

/// The process that listens on `port`, if the kernel shows it to us: not those of other users.
pub(super) fn holder(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| text(Path::new(path)));
    let sockets: Vec<u64> = tables.iter().flat_map(|table| listening(table, port)).collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))).find_map(
        |(pid, home): (u32, _)| {
            let open = std::fs::read_dir(home.join("fd")).ok()?.flatten();
            let mut links = open.filter_map(|file| std::fs::read_link(file.path()).ok());
            links.any(|link| link.to_str().and_then(socket).is_some_and(|socket| sockets.contains(&socket))).then(
                || {
                    let name = text(&home.join("comm"));
                    Holder { pid, program: printable(name.trim()) }
                },
            )
        },
    )
}

/// What a person should know when nobody can come back to one of `ports`, line by line.
pub(super) fn guidance(error: &LoginError, ports: &[u16], in_wsl: bool) -> Vec<String> {
    let by_code = "Or sign in without the callback port: codex-multi-auth login --device-auth".to_owned();
    let mut lines = Vec::new();
    match error {
        LoginError::PortBusy { .. } => {
            for port in ports {
                lines.push(format!(
                    "Could not listen on port {port} for the OAuth callback \u{2014} another process already holds it."
                ));
                lines.extend(holder(*port).map(|holder| format!("  It is {holder}.")));
                lines.extend(commands(*port, in_wsl).iter().map(|command| format!("  To see it: {command}")));
            }
            if in_wsl {
                lines.push("Windows and WSL share these ports: the process may be on either side.".to_owned());
            }
            lines.push("Close it, then retry.".to_owned());
        }
        LoginError::Listen { port, why } => lines.push(format!(
            "Could not listen on port {port} for the OAuth callback ({why}). The sign-in page sends the browser to this \
             port only."
        )),
        LoginError::TimedOut { port, .. } => lines.push(format!(
            "No OAuth callback arrived on port {port} before the sign-in window closed."
        )),
        LoginError::Cancelled
        | LoginError::Denied { .. }
        | LoginError::NotEntitled
        | LoginError::MissingCode
        | LoginError::Paste(_)
        | LoginError::Device(_)
        | LoginError::ExchangeRefused { .. }
        | LoginError::ExchangeUnanswered { .. }
        | LoginError::NoTokens
        | LoginError::OtherWorkspace { .. }
        | LoginError::NotKept(_) => return lines,
    }
    lines.push(by_code);
    lines
}

/// The commands that show who listens on `port`, by system.
pub(super) fn commands(port: u16, in_wsl: bool) -> Vec<String> {
    let windows = format!("Get-NetTCPConnection -LocalPort {port}");
    let linux = format!("ss -lptn 'sport = :{port}'");
    match (cfg!(target_os = "linux"), in_wsl) {
        (true, true) => vec![linux, format!("powershell.exe {windows}")],
        (true, false) => vec![linux],
        (false, _) if cfg!(windows) => vec![windows],
        (false, _) => vec![format!("lsof -nP -iTCP:{port} -sTCP:LISTEN")],
    }
}

/// Socket numbers that listen on `port`, from a table of the kernel: `sl local_address rem_address st … inode`.
fn listening(table: &str, port: u16) -> Vec<u64> {
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let local = columns.nth(1)?;
        let state = columns.nth(1)?;
        let inode = columns.nth(5)?;
        let at = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        (state == LISTENS && at == port).then(|| inode.parse().ok())?
    };
    table.lines().skip(1).filter_map(row).collect()
}

const LISTENS: &str = "0A";

/// The number in `socket:[123]`.
fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A process names itself as it likes.
fn printable(name: &str) -> String {
    name.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').collect()
}

#[expect(clippy::disallowed_methods, reason = "files of the kernel, not of ours")]
fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:05AF 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000000000000000 100 0 0 10 0
   1: 0100007F:05B1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31338 1 0000000000000000 100 0 0 10 0
   2: 0100007F:05AF 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 31339 1 0000000000000000 20 4 30 10 -1
   3: 00000000:05AF 00000000
";
    const TABLE_6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:05AF 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 41337 1 0000000000000000 100 0 0 10 0
";

    #[test]
    fn only_a_listener_on_that_port_holds_it() {
        assert_eq!(listening(TABLE, 1455), [31337]);
        assert_eq!(listening(TABLE, 1457), [31338]);
        assert!(listening(TABLE, 1456).is_empty());
        assert_eq!(listening(TABLE_6, 1455), [41337]);
        assert!(listening("", 1455).is_empty());
        assert!(listening("no\ntable\n at all : 0A", 1455).is_empty());
    }

    #[test]
    fn a_link_names_its_socket() {
        assert_eq!(socket("socket:[31337]"), Some(31337));
        assert_eq!(socket("/dev/null"), None);
        assert_eq!(socket("socket:[x]"), None);
        assert_eq!(printable("no\u{1b}[31m"), "no[31m");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let found = holder(port).expect("our own process");
        assert_eq!(found.pid, std::process::id());
        assert!(!found.program.is_empty() && found.to_string().ends_with(&format!("(process {})", found.pid)));
        drop(listener);
    }

    const BY_CODE: &str = "Or sign in without the callback port: codex-multi-auth login --device-auth";

    #[test]
    fn nobody_is_accused_where_nobody_holds_the_port() {
        let waited = std::time::Duration::from_mins(5);
        let late = LoginError::TimedOut { port: 1455, waited, browser_opened: true };
        let lines = guidance(&late, &[1455, 1457], true);
        assert_eq!(lines, ["No OAuth callback arrived on port 1455 before the sign-in window closed.", BY_CODE]);
        let denied = LoginError::Listen { port: 1455, why: "permission denied".to_owned() };
        let lines = guidance(&denied, &[1455, 1457], false);
        assert!(lines[0].contains("(permission denied)") && !lines.concat().contains("process"), "{lines:?}");
        assert_eq!((lines.len(), lines[1].as_str()), (2, BY_CODE));
        assert!(guidance(&LoginError::Cancelled, &[1455], false).is_empty());
    }

    #[test]
    fn a_busy_port_is_told_with_the_command_of_each_side() {
        let lines = guidance(&LoginError::PortBusy { port: 9 }, &[9], true);
        let first = "Could not listen on port 9 for the OAuth callback \u{2014} another process already holds it.";
        assert_eq!(lines[0], first);
        let sides = lines.iter().filter(|line| line.starts_with("  To see it: ")).count();
        assert_eq!(sides, if cfg!(target_os = "linux") { 2 } else { 1 }, "{lines:?}");
        assert_eq!(lines[lines.len() - 2..], ["Close it, then retry.", BY_CODE]);
    }

    #[test]
    fn the_command_fits_the_system() {
        let all = commands(1455, false);
        assert!(all.iter().all(|command| command.contains("1455")), "{all:?}");
        if cfg!(target_os = "linux") {
            assert_eq!(all, ["ss -lptn 'sport = :1455'"]);
            assert_eq!(commands(1455, true)[1], "powershell.exe Get-NetTCPConnection -LocalPort 1455");
        }
    }
}
