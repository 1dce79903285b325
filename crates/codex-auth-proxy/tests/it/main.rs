//! The proxy as its clients and its upstream see it: real sockets, every byte scripted.

mod support;
mod streaming;
