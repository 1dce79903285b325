//! Runs the official client as if we were not there: same streams, same signals, same job control, same end.

use std::{
    io,
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};
use signal_hook::{
    consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH},
    flag,
    iterator::{Handle, SignalsInfo, exfiltrator::WithOrigin},
    low_level::{emulate_default_handler, siginfo::Cause},
};

/// How the child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It returned this code.
    Exit(u8),
    /// This signal ended it.
    Signal(i32),
}

enum Event {
    Arrived(i32),
    Stopped,
    Ended(io::Result<Ended>),
}

/// What is done about a signal or a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    PassOn(i32),
    StopToo,
    Wake,
    Nothing,
}

/// Of a stop and a continuation the later one counts. Signals that wait together are told by their number and not by
/// their time, so their handlers write down which one was last.
#[derive(Debug, Clone, Default)]
struct Woken {
    /// Since the last continuation that was dealt with.
    since: Arc<AtomicBool>,
    last: Arc<AtomicUsize>,
}

impl Woken {
    const STOP: usize = 1;
    const GO: usize = 2;

    fn listen(&self) -> io::Result<()> {
        flag::register(SIGCONT, self.since.clone())?;
        flag::register_usize(SIGTSTP, self.last.clone(), Self::STOP)?;
        flag::register_usize(SIGCONT, self.last.clone(), Self::GO)?;
        Ok(())
    }

    fn since_a_stop(&self) -> bool {
        self.last.load(Ordering::SeqCst) == Self::GO
    }
}

/// Starts the child and stays beside it until it ends.
pub(crate) fn run(mut command: Command) -> io::Result<Ended> {
    // From before the child exists, so that no signal falls between.
    let mut signals = SignalsInfo::<WithOrigin>::new([
        SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2, SIGWINCH,
    ])?;
    let woken = Woken::default();
    woken.listen()?;
    let child = command.spawn()?;
    let pid = Pid::from_child(&child);
    let (tell, events) = mpsc::channel();
    let listening: Handle = signals.handle();
    let tell_signal = tell.clone();
    thread::spawn(move || {
        for arrived in signals.forever() {
            // What the terminal sends reaches the whole foreground group, so the child has it already; a second copy
            // would count as a second key press.
            let is_from_terminal = matches!(arrived.cause, Cause::Kernel) && arrived.signal != SIGCONT;
            if !is_from_terminal && tell_signal.send(Event::Arrived(arrived.signal)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || watch(pid, &tell));
    let ended = stay(pid, &events, &woken);
    listening.close();
    ended
}

fn stay(pid: Pid, events: &mpsc::Receiver<Event>, woken: &Woken) -> io::Result<Ended> {
    loop {
        let next = match events.recv().map_err(|_| io::Error::other("the child is no longer watched"))? {
            Event::Ended(ended) => return ended,
            Event::Stopped => on_stop(woken.since.load(Ordering::SeqCst)),
            Event::Arrived(signal) => on_signal(signal, woken.since_a_stop()),
        };
        match next {
            Move::PassOn(signal) => pass_on(pid, signal),
            // On waking, the child is woken with us.
            Move::StopToo => {
                let _stopped_and_woken = emulate_default_handler(SIGTSTP);
                wake(pid);
            }
            Move::Wake => {
                woken.since.store(false, Ordering::SeqCst);
                wake(pid);
            }
            Move::Nothing => {}
        }
    }
}

/// The whole foreground group was stopped, or the child stopped itself: we stop too, so that the shell takes over. If
/// somebody woke us since (`is_woken`), the stop is over already, and nobody would wake us a second time.
fn on_stop(is_woken: bool) -> Move {
    if is_woken { Move::Nothing } else { Move::StopToo }
}

/// A stop that we were woken from since is over for the child as well: handed on now, it would stop for good.
fn on_signal(signal: i32, is_woken: bool) -> Move {
    match signal {
        SIGCONT => Move::Wake,
        SIGTSTP if is_woken => Move::Nothing,
        signal => Move::PassOn(signal),
    }
}

/// Reports every stop and the end of the child.
fn watch(pid: Pid, tell: &mpsc::Sender<Event>) {
    loop {
        let event = match waitpid(Some(pid), WaitOptions::UNTRACED) {
            Ok(Some((_, status))) => match ended(status) {
                Some(ended) => Event::Ended(Ok(ended)),
                None if status.stopped() => Event::Stopped,
                None => continue,
            },
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(error) => Event::Ended(Err(error.into())),
        };
        let is_last = matches!(event, Event::Ended(_));
        if tell.send(event).is_err() || is_last {
            return;
        }
    }
}

fn ended(status: WaitStatus) -> Option<Ended> {
    if let Some(code) = status.exit_status() {
        return Some(Ended::Exit(u8::try_from(code).unwrap_or(1)));
    }
    status.terminating_signal().map(Ended::Signal)
}

fn pass_on(pid: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // The child may have just ended; then there is nobody to tell.
        let _gone = kill_process(pid, signal);
    }
}

fn wake(pid: Pid) {
    let _gone = kill_process(pid, Signal::CONT);
}

impl Ended {
    /// Ends this process the same way: by the same signal, so that a shell sees no difference, or with the same code.
    pub(crate) fn repeat(self) -> ExitCode {
        match self {
            Self::Exit(code) => ExitCode::from(code),
            Self::Signal(signal) => {
                let _survived = emulate_default_handler(signal);
                ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn of_a_stop_and_a_continuation_the_later_one_counts() {
        let woken = Woken::default();
        woken.listen().expect("handlers");
        let after = |signal| {
            raise(signal).expect("to ourselves");
            woken.since_a_stop()
        };
        assert_eq!([SIGTSTP, SIGCONT, SIGTSTP, SIGCONT].map(after), [false, true, false, true]);
    }

    #[test]
    fn what_is_over_when_we_wake_stops_nobody_again() {
        let cases = [
            (on_stop(false), Move::StopToo),
            (on_stop(true), Move::Nothing),
            (on_signal(SIGTSTP, false), Move::PassOn(SIGTSTP)),
            (on_signal(SIGTSTP, true), Move::Nothing),
            (on_signal(SIGCONT, true), Move::Wake),
            (on_signal(SIGCONT, false), Move::Wake),
            (on_signal(SIGINT, true), Move::PassOn(SIGINT)),
        ];
        for (found, expect) in cases {
            assert_eq!(found, expect);
        }
    }
}
