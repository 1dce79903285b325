//! A person with a browser: opens the printed address, follows the redirect, reads the page, or pastes what it shows.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use crate::world::{Said, World};

/// Runs a sign-in and completes it in a browser; also what the last page said.
pub(crate) fn sign_in(world: &World, command: Command) -> (Said, String) {
    attended(world, command, |address, _| open(address).expect("somebody listens"))
}

/// Runs a sign-in and types a line into it: what `line` makes of the address the browser ends at.
pub(crate) fn paste(world: &World, command: Command, line: impl FnOnce(&str) -> String) -> Said {
    paste_at(world, command, str::to_owned, line)
}

/// The same by a browser that reaches the issuer at another address than the program does.
pub(crate) fn paste_at(
    world: &World,
    mut command: Command,
    reaches: impl FnOnce(&str) -> String,
    line: impl FnOnce(&str) -> String,
) -> Said {
    command.stdin(Stdio::piped());
    let (said, _) = attended(world, command, |address, child| {
        let ends_at = ends_at(&reaches(address));
        let mut input = child.stdin.take().expect("piped");
        writeln!(input, "{}", line(&ends_at)).expect("typed");
        ends_at
    });
    said
}

/// Runs a sign-in to its end. Once it has printed the address, `act` plays the person.
fn attended(world: &World, mut command: Command, act: impl FnOnce(&str, &mut Child) -> String) -> (Said, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut talk = BufReader::new(child.stderr.take().expect("piped"));
    let (mut heard, mut page) = (String::new(), String::new());
    let mut act = Some(act);
    while act.is_some() {
        let mut line = String::new();
        if talk.read_line(&mut line).expect("text") == 0 {
            break;
        }
        heard.push_str(&line);
        if line.trim().contains("/oauth/authorize?")
            && let Some(act) = act.take()
        {
            page = act(line.trim(), &mut child);
        }
    }
    talk.read_to_string(&mut heard).expect("text");
    let output = child.wait_with_output().expect("it ends");
    let said = world.said(&std::process::Output { stderr: heard.into_bytes(), ..output });
    (said, page)
}

/// Fetches an address on this machine, through redirects.
pub(crate) fn open(address: &str) -> io::Result<String> {
    let answer = fetch(address)?;
    location(&answer).map_or_else(|| Ok(answer.clone()), |next| open(&next))
}

/// Where the sign-in page sends the browser to; nobody goes there.
pub(crate) fn ends_at(address: &str) -> String {
    location(&fetch(address).expect("the issuer answers")).expect("a redirect")
}

fn fetch(address: &str) -> io::Result<String> {
    let (host, path) = address.trim_start_matches("http://").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn location(answer: &str) -> Option<String> {
    answer.lines().find_map(|line| line.strip_prefix("location: ")).map(|next| next.trim().to_owned())
}
