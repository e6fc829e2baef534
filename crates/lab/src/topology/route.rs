//! Links, addresses and neighbours of one namespace, through rtnetlink(7), a request at a time.

use std::{future::Future, io, net::IpAddr};

use futures_util::{StreamExt as _, TryStreamExt as _, pin_mut};
use rtnetlink::{
    Handle, new_connection,
    packet_route::{
        address::{AddressAttribute, AddressFlags, AddressMessage},
        link::LinkMessage,
    },
};
use tokio::runtime::{Builder, Runtime};

/// A connection to the namespace that it was opened in, whichever the thread is in later.
#[derive(Debug)]
pub(super) struct Route {
    /// Drives the connection while a request waits, on the thread that waits.
    runtime: Runtime,
    handle: Handle,
}

impl Route {
    pub(super) fn open() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let handle = runtime.block_on(async {
            let (connection, handle, _) = new_connection()?;
            tokio::spawn(connection);
            io::Result::Ok(handle)
        })?;
        Ok(Self { runtime, handle })
    }

    /// The interface `name`.
    pub(super) fn link(&self, name: &str) -> io::Result<LinkMessage> {
        let found = self.handle.link().get().match_name(name).execute();
        self.wait(async move {
            pin_mut!(found);
            found.next().await.unwrap_or(Err(rtnetlink::Error::RequestFailed))
        })
    }

    /// Makes an interface.
    pub(super) fn add_link(&self, link: LinkMessage) -> io::Result<()> {
        self.wait(self.handle.link().add(link).execute())
    }

    /// Sets what `link` names of the interface whose index it has.
    pub(super) fn set_link(&self, link: LinkMessage) -> io::Result<()> {
        self.wait(self.handle.link().set(link).execute())
    }

    /// Takes an interface away, and with it the other end of its pair.
    pub(super) fn delete_link(&self, index: u32) -> io::Result<()> {
        self.wait(self.handle.link().del(index).execute())
    }

    /// Gives the interface `index` an address that can be used at once: nobody else can have it.
    pub(super) fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        let mut request = self.handle.address().add(index, address, prefix);
        request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        self.wait(request.execute())
    }

    /// The addresses of the interface `index`.
    pub(super) fn addresses(&self, index: u32) -> io::Result<Vec<IpAddr>> {
        let request = self.handle.address().get().set_link_index_filter(index).execute();
        let found: Vec<AddressMessage> = self.wait(request.try_collect())?;
        let address = |message: AddressMessage| {
            message.attributes.into_iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(address),
                _ => None,
            })
        };
        Ok(found.into_iter().filter_map(address).collect())
    }

    /// Says once and for all which link-layer address `address` has behind the interface `index`.
    pub(super) fn add_neighbour(&self, index: u32, address: IpAddr, mac: &[u8]) -> io::Result<()> {
        self.wait(self.handle.neighbours().add(index, address).link_layer_address(mac).execute())
    }

    fn wait<T>(&self, request: impl Future<Output = Result<T, rtnetlink::Error>>) -> io::Result<T> {
        self.runtime.block_on(request).map_err(|error| match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other),
        })
    }
}
