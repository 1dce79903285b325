//! Bytes on their way: untouched, at once, and never a clean end where the upstream broke off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    client::Ask,
    upstream::{Act, Gate, LAST, Upstream, event, json, served, stream_head, whole},
    world::{FORMS, Form, Setup, World},
};

fn of(form: Form) -> Setup {
    Setup { form, ..Setup::default() }
}

/// Gives up soon on a head that does not come. Account 2 must manage within the same time on a busy machine.
fn soon_without_head(form: Form) -> Setup {
    Setup { form, config: |config| config.headers_within = Duration::from_millis(500), ..Setup::default() }
}

/// Gives up soon on a body that stalls.
fn soon_in_silence(form: Form) -> Setup {
    Setup { form, config: |config| config.silence = Duration::from_millis(100), ..Setup::default() }
}

#[tokio::test]
async fn a_request_and_its_answer_pass_untouched() {
    for form in FORMS {
        let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let answered = body.clone();
        let headers = "x-request-id: r1\r\ncontent-encoding: zstd\r\nopenai-model: m\r\nset-cookie: c=1\r\n";
        let upstream = Upstream::answering(move |_| whole(201, headers, &answered)).await;
        let world = World::before(&upstream, of(form)).await;
        let asked = Ask::turn().header("content-encoding", "zstd").header("originator", "codex_exec").body(&body);
        let asked = asked.header("cookie", "c=1").header("chatgpt-account-id", "face").header("X-Odd", "a,  b");
        let got = asked.send(world.port).await;
        assert_eq!((got.status(), got.is_whole), (201, true));
        assert!(got.body == body, "{form:?}: the answer's bytes differ");
        assert_eq!(got.header("x-request-id"), Some("r1"));
        assert_eq!((got.header("content-encoding"), got.header("set-cookie")), (Some("zstd"), None));
        let seen = upstream.seen().remove(0);
        assert!(seen.body == body, "{form:?}: the request's bytes differ");
        assert_eq!(seen.head.line, "POST /backend-api/codex/responses HTTP/1.1");
        let sent = |name: &str| seen.head.header(name).map(str::to_owned);
        assert_eq!(sent("authorization").as_deref(), Some("Bearer access-1"));
        assert_eq!(sent("chatgpt-account-id").as_deref(), Some("ws-1"));
        assert_eq!(sent("content-encoding").as_deref(), Some("zstd"));
        assert_eq!(sent("originator").as_deref(), Some("codex_exec"));
        assert_eq!((sent("x-odd").as_deref(), sent("cookie")), (Some("a,  b"), None));
        assert_eq!(sent("host"), Some(format!("127.0.0.1:{}", upstream.port)));
    }
}

#[tokio::test]
async fn a_query_goes_along() {
    let upstream = Upstream::answering(|_| served()).await;
    let world = World::before(&upstream, Setup::default()).await;
    let path = "/v1/responses?stream=true&x=%2F";
    Ask::stranger("POST", path).bearer(crate::support::world::TOKEN).send(world.port).await;
    assert_eq!(upstream.seen()[0].head.line, "POST /backend-api/codex/responses?stream=true&x=%2F HTTP/1.1");
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    for form in FORMS {
        let gates = [Gate::closed(), Gate::closed(), Gate::closed()];
        let [before_one, before_two, before_end] = gates.clone();
        let script = move |_: &_| {
            vec![
                Act::Send(stream_head("")),
                Act::Wait(before_one.clone()),
                Act::Send(event("one")),
                Act::Wait(before_two.clone()),
                Act::Send(event("two")),
                Act::Wait(before_end.clone()),
                Act::Send(LAST.to_vec()),
            ]
        };
        let upstream = Upstream::answering(script).await;
        let world = World::before(&upstream, of(form)).await;
        let mut line = Ask::turn().open(world.port).await;
        let [before_one, before_two, before_end] = gates;
        before_one.open();
        assert_eq!(line.head().await.map(|head| head.status()), Some(200));
        assert_eq!(line.piece().await, Ok(Some(b"data: one\n\n".to_vec())));
        before_two.open();
        assert_eq!(line.piece().await, Ok(Some(b"data: two\n\n".to_vec())));
        before_end.open();
        assert_eq!(line.piece().await, Ok(None));
        world.all_settled().await;
    }
}

#[tokio::test]
async fn a_long_stream_in_odd_pieces_arrives_whole() {
    for form in FORMS {
        let pieces: Vec<Vec<u8>> =
            (1..400_usize).map(|n| vec![u8::try_from(n % 251).unwrap(); n * 37 % 20_000 + 1]).collect();
        let chunks = pieces.iter().map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        let script: Vec<Act> =
            [stream_head("")].into_iter().chain(chunks).chain([LAST.to_vec()]).map(Act::Send).collect();
        let upstream = Upstream::answering(move |_| script.clone()).await;
        let world = World::before(&upstream, of(form)).await;
        let got = Ask::turn().send(world.port).await;
        assert!(got.is_whole && got.body == pieces.concat(), "{form:?}: {} bytes came", got.body.len());
        world.all_settled().await;
    }
}

/// Cuts account 1's answer after every byte; account 2 answers well.
async fn check_cuts(form: Form, answer: Vec<u8>) {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let cut = Arc::new(AtomicUsize::new(0));
    let (at, bytes) = (cut.clone(), answer.clone());
    let script = move |seen: &crate::support::upstream::Seen| match seen.account() {
        1 => vec![Act::Send(bytes[..at.load(Ordering::SeqCst)].to_vec()), Act::Close],
        _ => served(),
    };
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, of(form)).await;
    for length in 0..=answer.len() {
        cut.store(length, Ordering::SeqCst);
        world.first_again();
        let before = upstream.asked().len();
        let got = Ask::turn().send(world.port).await;
        let asked = upstream.asked().split_off(before);
        if length < head {
            assert_eq!((got.status(), got.is_whole), (200, true), "{form:?}, cut at {length} of the head");
            assert_eq!(asked, [1, 2], "{form:?}, cut at {length} of the head");
        } else {
            assert_eq!(got.is_whole, length == answer.len(), "{form:?}, cut at {length} of {}", answer.len());
            assert_eq!(asked, [1], "{form:?}, cut at {length}: bytes had gone out");
        }
        world.all_settled().await;
        world.clock.advance(Duration::from_mins(1));
    }
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_never_ends_cleanly() {
    for form in FORMS {
        check_cuts(form, [stream_head(""), event("one"), event("two"), LAST.to_vec()].concat()).await;
    }
}

#[tokio::test]
async fn a_sized_answer_cut_at_any_byte_never_ends_cleanly() {
    for form in FORMS {
        check_cuts(form, b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello there".to_vec()).await;
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_before_answering_anybody_is_a_503() {
    for form in FORMS {
        let upstream = Upstream::answering(|_| vec![Act::Send(b"HTTP/1.1 200 O".to_vec()), Act::Close]).await;
        let world = World::before(&upstream, of(form)).await;
        let got = Ask::turn().send(world.port).await;
        assert_eq!((got.status(), got.header("retry-after")), (503, Some("5")));
        assert_eq!(upstream.asked(), [1, 2, 3]);
    }
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_left() {
    for form in FORMS {
        let script = |seen: &crate::support::upstream::Seen| match seen.account() {
            1 => vec![Act::Hang],
            _ => served(),
        };
        let upstream = Upstream::answering(script).await;
        let world = World::before(&upstream, soon_without_head(form)).await;
        assert_eq!(Ask::turn().send(world.port).await.status(), 200);
        assert_eq!(upstream.asked(), [1, 2]);
        upstream.left(1).await;
        world.all_settled().await;
    }
}

#[tokio::test]
async fn an_upstream_that_stalls_breaks_the_answer() {
    for form in FORMS {
        let script = |_: &_| vec![Act::Send([stream_head(""), event("one")].concat()), Act::Hang];
        let upstream = Upstream::answering(script).await;
        let world = World::before(&upstream, soon_in_silence(form)).await;
        let got = Ask::turn().send(world.port).await;
        assert_eq!((got.text().as_str(), got.is_whole), ("data: one\n\n", false));
        upstream.left(1).await;
        world.all_settled().await;
    }
}

#[tokio::test]
async fn a_stalled_refusal_does_not_hold_the_request_up() {
    let script = |seen: &crate::support::upstream::Seen| match seen.account() {
        1 => vec![Act::Send(b"HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\n{".to_vec()), Act::Hang],
        _ => served(),
    };
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, soon_in_silence(Form::Inline)).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    upstream.left(1).await;
}

/// Lets a client leave once it has heard `bytes` of an answer that never ends.
async fn check_leaving(form: Form, bytes: Vec<u8>) {
    let (begun, script) = (!bytes.is_empty(), move |_: &_| vec![Act::Send(bytes.clone()), Act::Hang]);
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, of(form)).await;
    let mut line = Ask::turn_of("s").open(world.port).await;
    upstream.came(1).await;
    if begun {
        line.head().await.unwrap();
        line.piece().await.unwrap();
    }
    assert_eq!(world.in_flight(), 1);
    drop(line);
    upstream.left(1).await;
    world.all_settled().await;
    let first = &world.proxy.rotation().pool().accounts[0].account;
    assert_eq!((first.rests.len(), upstream.asked()), (0, vec![1]), "{form:?}: nobody is to blame");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstream_call() {
    for form in FORMS {
        check_leaving(form, Vec::new()).await;
        check_leaving(form, [stream_head(""), event("one")].concat()).await;
    }
}

#[tokio::test]
async fn a_connection_the_upstream_closed_is_not_used_again() {
    for form in FORMS {
        let closing = |_: &_| [json(200, "{}"), vec![Act::Close]].concat();
        let upstream = Upstream::answering(closing).await;
        let world = World::before(&upstream, of(form)).await;
        let mut line = Ask::turn().open(world.port).await;
        for round in 1..=10 {
            let got = line.answer().await;
            assert_eq!((got.status(), got.is_whole), (200, true), "{form:?}");
            assert_eq!(upstream.asked(), vec![1; round], "{form:?}");
            line.repeat(&Ask::turn(), world.port).await;
        }
    }
}

#[tokio::test]
async fn an_account_whose_stream_ends_in_a_spent_quota_rests() {
    for form in FORMS {
        let failed = r#"{"type":"response.failed","response":{"error":{"code":"usage_limit_reached"}}}"#;
        let gate = Gate::closed();
        let passed = gate.clone();
        let script = move |seen: &crate::support::upstream::Seen| match seen.account() {
            1 => {
                let begun = event(r#"{"type":"response.created","response":{}}"#);
                let end = [event(failed), LAST.to_vec()].concat();
                vec![Act::Send([stream_head(""), begun].concat()), Act::Wait(passed.clone()), Act::Send(end)]
            }
            _ => served(),
        };
        let upstream = Upstream::answering(script).await;
        let world = World::before(&upstream, of(form)).await;
        let mut line = Ask::turn().open(world.port).await;
        line.head().await.unwrap();
        line.piece().await.unwrap();
        gate.open();
        let end = line.piece().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&end).contains("usage_limit_reached"), "{form:?}: it passes as it came");
        world.all_settled().await;
        Ask::turn().send(world.port).await;
        assert_eq!(upstream.asked(), [1, 2], "{form:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_after_the_terminal_event_was_served() {
    for form in FORMS {
        let done = event(r#"{"type":"response.completed","response":{}}"#);
        let script = move |_: &_| vec![Act::Send([stream_head(""), done.clone()].concat()), Act::Hang];
        let upstream = Upstream::answering(script).await;
        let world = World::before(&upstream, of(form)).await;
        let mut line = Ask::turn().open(world.port).await;
        line.head().await.unwrap();
        line.piece().await.unwrap();
        world.all_settled().await;
        drop(line);
        upstream.left(1).await;
    }
}
