//! A backend that gives prepared answers, one blocking thread per connection. Prints its port and ends with its input.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring tool: pacing events by the clock is its work, standard output is its answer"
)]

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use codex_auth_bench::clock_nanos;
use codex_auth_bench::exchange::read_line;
use codex_auth_bench::shape::{self, BURST, EVENT, HEAD, HEADER, SMALL_EVENTS, Shape};

/// Time between two paced events.
const PACE: Duration = Duration::from_millis(10);
/// How much of a long stream is written at once.
const WRITE: usize = 64 * 1024;
const STACK: usize = 128 * 1024;

/// The small answer, prepared.
struct Prepared {
    small: Vec<u8>,
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(move || accept(&listener));
    // The one who started us holds our input open as long as we are needed.
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn accept(listener: &TcpListener) {
    let mut small = HEAD.to_vec();
    for _ in 0..SMALL_EVENTS {
        shape::chunk(&mut small, &shape::event(0));
    }
    small.extend_from_slice(b"0\r\n\r\n");
    let prepared = Arc::new(Prepared { small });
    for stream in listener.incoming().flatten() {
        let prepared = prepared.clone();
        // A peer that leaves ends its thread with an error, which is how most of them end.
        let serve = move || drop(serve(stream, &prepared));
        if thread::Builder::new().stack_size(STACK).spawn(serve).is_err() {
            return;
        }
    }
}

fn serve(stream: TcpStream, prepared: &Prepared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(8 * 1024, stream.try_clone()?);
    let mut stream = stream;
    while let Some(asked) = read_request(&mut reader)? {
        match asked {
            Shape::Small => stream.write_all(&prepared.small)?,
            Shape::Long { chunk } => long(&mut stream, asked, chunk)?,
            Shape::Paced { events } => paced(&mut stream, events)?,
            Shape::Held => {
                let mut burst = HEAD.to_vec();
                (0..BURST / EVENT).for_each(|_| shape::chunk(&mut burst, &shape::event(0)));
                stream.write_all(&burst)?;
                return reader.read_to_end(&mut Vec::new()).map(drop);
            }
        }
    }
    Ok(())
}

/// Reads a request with its body; `None` when the peer is done.
fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Shape>> {
    let mut line = Vec::with_capacity(256);
    if read_line(reader, &mut line).is_err() {
        return Ok(None);
    }
    let (mut length, mut asked) = (0_u64, Shape::Small);
    loop {
        read_line(reader, &mut line)?;
        if line.is_empty() {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let Some((name, value)) = text.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        } else if name.eq_ignore_ascii_case(HEADER) {
            asked = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
    Ok(Some(asked))
}

fn long(stream: &mut TcpStream, asked: Shape, chunk: usize) -> io::Result<()> {
    stream.write_all(HEAD)?;
    let data = vec![b'x'; chunk];
    let mut block = Vec::with_capacity(WRITE + 2 * chunk);
    let chunks = asked.length().unwrap_or(0) / chunk;
    for number in 1..=chunks {
        shape::chunk(&mut block, &data);
        if block.len() >= WRITE || number == chunks {
            stream.write_all(&block)?;
            block.clear();
        }
    }
    stream.write_all(b"0\r\n\r\n")
}

fn paced(stream: &mut TcpStream, events: usize) -> io::Result<()> {
    stream.write_all(HEAD)?;
    let mut next = Instant::now();
    let mut block = Vec::with_capacity(2 * EVENT);
    for _ in 0..events {
        next += PACE;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        block.clear();
        shape::chunk(&mut block, &shape::event(clock_nanos()));
        stream.write_all(&block)?;
    }
    stream.write_all(b"0\r\n\r\n")
}
