//! A person with a browser: opens the printed address, follows the redirect, reads the page.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use crate::world::{Said, World};

/// Runs a sign-in and completes it in a browser; also what the last page said.
pub(crate) fn sign_in(world: &World, mut command: Command) -> (Said, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut talk = BufReader::new(child.stderr.take().expect("piped"));
    let (mut heard, mut page) = (String::new(), String::new());
    while page.is_empty() {
        let mut line = String::new();
        if talk.read_line(&mut line).expect("text") == 0 {
            break;
        }
        heard.push_str(&line);
        if line.trim().contains("/oauth/authorize?") {
            page = open(line.trim()).expect("somebody listens");
        }
    }
    talk.read_to_string(&mut heard).expect("text");
    let output = child.wait_with_output().expect("it ends");
    let said = world.said(&std::process::Output { stderr: heard.into_bytes(), ..output });
    (said, page)
}

/// Fetches an address on this machine, through redirects.
pub(crate) fn open(address: &str) -> io::Result<String> {
    let (host, path) = address.trim_start_matches("http://").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    location.map_or_else(|| Ok(answer.clone()), |next| open(next.trim()))
}
