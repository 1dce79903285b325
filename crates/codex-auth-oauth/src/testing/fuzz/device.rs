//! What must hold of the issuer's two answers to a sign-in by device code.

use std::time::Duration;

use codex_auth_core::testing::{check_silent, planted};
use http::Response;

use super::{NOW, is_code_word};
use crate::{
    device::{DeviceRhythm, Polling, Step, read_code},
    error::DeviceError,
};

const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// The answer that names the code.
pub(super) fn code(bytes: &[u8]) {
    for planted in planted(bytes) {
        if let Some(code) = read_code(&planted, NOW) {
            check_silent(&format!("{code:?}"));
        }
    }
    let Some(code) = read_code(bytes, NOW) else { return };
    assert!(!code.id.trim().is_empty());
    assert!(!code.user_code.is_empty() && code.user_code.chars().all(|letter| letter.is_ascii_graphic()));
    assert!((Duration::from_secs(1)..=LONGEST_PAUSE).contains(&code.interval), "{:?}", code.interval);
    for rhythm in [DeviceRhythm::CODEX, DeviceRhythm::OPENCODE] {
        let polling = Polling::new(rhythm, &code, NOW);
        assert!(polling.deadline() <= NOW.after(LONGEST_PAUSE), "nobody waits longer than the product's limit");
    }
}

/// An answer to the question whether the code was used. The first line is its status and what it asks to wait.
pub(super) fn poll(bytes: &[u8]) {
    let code = read_code(br#"{"device_auth_id":"d","user_code":"AB-12","interval":"5"}"#, NOW).expect("a code");
    for rhythm in [DeviceRhythm::CODEX, DeviceRhythm::OPENCODE] {
        let mut polling = Polling::new(rhythm, &code, NOW);
        let deadline = polling.deadline();
        for (now, fraction) in [(NOW, 0.0), (NOW.after(Duration::from_mins(2)), 0.5), (deadline, 0.999)] {
            match polling.step(&Ok(answer(bytes)), now, fraction) {
                Step::Granted(grant) => {
                    assert!(!grant.code.expose().trim().is_empty() && !grant.verifier.expose().trim().is_empty());
                    check_silent(&format!("{grant:?}"));
                }
                Step::Wait(pause) => {
                    assert!(now < deadline, "the time is over");
                    assert!(now.after(pause) <= deadline, "nobody sleeps past the end");
                    let is_last = now.after(pause) == deadline;
                    assert!(is_last || pause >= Duration::from_secs(1), "{pause:?}");
                }
                Step::Over(error) => check_refusal(&error),
            }
        }
    }
}

/// Of an answer nothing is kept but a word that looks like a code.
fn check_refusal(error: &DeviceError) {
    let (DeviceError::CodeRefused { code, .. } | DeviceError::Refused { code, .. }) = error else {
        return check_silent(error);
    };
    assert!(code.as_deref().is_none_or(is_code_word), "{code:?}");
}

fn answer(bytes: &[u8]) -> Response<Vec<u8>> {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, body) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let head = String::from_utf8_lossy(head).into_owned();
    let (status, wait) = head.split_once(' ').unwrap_or((&head, ""));
    let status = status.parse::<u16>().ok().filter(|status| (100..1000).contains(status)).unwrap_or(400);
    let plain = Response::builder().status(status);
    let whole = http::HeaderValue::from_bytes(wait.trim().as_bytes()).map(|wait| plain.header("retry-after", wait));
    let whole = whole.unwrap_or_else(|_| Response::builder().status(status));
    whole.body(body.to_vec()).expect("a status and a body")
}
