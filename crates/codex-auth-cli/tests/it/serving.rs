//! An agent in the foreground that does not outlive its test.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::world::World;

/// A running `serve`.
pub(crate) struct Serving {
    child: Child,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

impl Serving {
    pub(crate) fn start(world: &World) -> Self {
        let mut serve = world.own_command(&["serve", "--json"]);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        let told = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line);
        let mut serving = Self { child, ready: Value::Null };
        told.expect("a line");
        serving.ready = serde_json::from_str(&line).expect("a ready line");
        serving
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_none()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
