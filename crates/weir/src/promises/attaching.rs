//! How long a filter takes from its parameters to its place in the kernel.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Instant,
};

use anyhow::Context as _;
use weir_filters::{FilterName, Site, Toolkit};
use weir_hooks::KernelFilter;

use super::{Bound, PromisedFigure};

/// Filters generated, loaded and attached with each toolkit, in turn.
const TIMES: usize = 30;

pub(super) fn measure() -> anyhow::Result<Vec<PromisedFigure>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    let (mut fun, mut aya) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        fun.push(attach(&socket, Toolkit::Fun)?);
        aya.push(attach(&socket, Toolkit::Aya)?);
    }
    Ok(figures! {
        "from parameters to attached in the kernel, valid-command by fun", "ms": fun => Bound::AtMost(5.0);
        "  the same by aya, compiled before", "ms": aya;
    })
}

/// Generated (or found), loaded, verified and attached: milliseconds; what comes after isn't counted.
fn attach(socket: &UdpSocket, toolkit: Toolkit) -> anyhow::Result<f64> {
    let started = Instant::now();
    let filter = KernelFilter::load(FilterName::ValidCommand.into(), toolkit, &Site::socket())?;
    let attached = filter.attach(socket)?;
    let taken = started.elapsed();
    drop(attached);
    Ok(taken.as_secs_f64() * 1e3)
}
