//! The proxy as its clients and its upstream see it: real sockets, every byte scripted.

mod agent;
mod bodies;
mod guard;
mod invalidation;
mod refusals;
mod rotation;
mod streaming;
mod support;
mod token_door;
