//! Server and client against real sockets on the loopback interface.

mod behaviours;
mod client;
mod harness;
mod load;
mod moderation;
mod server;
mod stop_handle;
mod wire;
