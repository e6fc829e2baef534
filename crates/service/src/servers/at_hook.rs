//! A program at its hook: made so that it is told of packets that are several datagrams where it must be, and in generic XDP
//! where a driver lets such packets in.

use std::net::SocketAddr;

use weir_filters::{GsoView, Hook, Site, SuperPackets};
use weir_hooks::{HookError, KernelFilter, XdpMode, gso_layout};

use super::attachments::AttachPlaces;

/// A hook to attach a program to, and how one is loaded for it.
pub(crate) struct AtHook<L> {
    pub(crate) hook: Hook,
    /// Whose packets it decides.
    pub(crate) listen: SocketAddr,
    /// What becomes of packets that are several datagrams.
    pub(crate) super_packets: SuperPackets,
    /// Between which a program at hook reuseport picks.
    pub(crate) workers: u32,
    pub(crate) load: L,
}

/// A program that is attached.
pub(crate) struct AttachedFilter {
    pub(crate) filter: KernelFilter,
    pub(crate) places: AttachPlaces,
    /// Why it isn't in the XDP mode that it might have been in.
    pub(crate) fallback: Option<String>,
}

impl<L: Fn(&Site) -> Result<KernelFilter, HookError>> AtHook<L> {
    /// Loads the program and has `attach` attach it; `untold` is told why one that tells super-packets couldn't be loaded.
    ///
    /// # Errors
    /// What the kernel says; or such packets can come in, and no program here can tell them.
    pub(crate) fn attach(
        &self,
        mode: XdpMode,
        attach: impl Fn(&KernelFilter, XdpMode) -> Result<AttachPlaces, HookError>,
        untold: &mut Option<HookError>,
    ) -> Result<AttachedFilter, HookError> {
        let filter = self.load(mode, untold)?;
        match attach(&filter, mode) {
            Ok(places) => Ok(AttachedFilter { filter, places, fallback: None }),
            Err(refusal) if self.hook == Hook::Xdp && mode == XdpMode::Auto => {
                self.fall_back(attach, refusal, untold)
            }
            Err(error) => Err(error),
        }
    }

    /// Where an ordinary program was refused because super-packets can come in: one that tells them, in generic mode at every
    /// interface, since it is for no driver. Where there is none the refusal stays.
    fn fall_back(
        &self,
        attach: impl Fn(&KernelFilter, XdpMode) -> Result<AttachPlaces, HookError>,
        refusal: HookError,
        untold: &mut Option<HookError>,
    ) -> Result<AttachedFilter, HookError> {
        let HookError::SuperPackets { fallback, .. } = &refusal else { return Err(refusal) };
        let reason = fallback.as_deref().unwrap_or("a program in the driver can't");
        let told = format!("to tell packets of several datagrams; {reason}");
        let generic = self.load(XdpMode::Generic, untold).and_then(|filter| {
            let places = attach(&filter, XdpMode::Generic)?;
            Ok(AttachedFilter { filter, places, fallback: Some(told) })
        });
        generic.map_err(|_| refusal)
    }

    /// A program that tells super-packets, where it must and the kernel lets it, or else one that doesn't, and why to `untold`;
    /// attaching that is refused if any can come.
    fn load(&self, mode: XdpMode, untold: &mut Option<HookError>) -> Result<KernelFilter, HookError> {
        let site = self.site(mode);
        match (self.load)(&site) {
            Err(error) if site.gso.is_some() => {
                *untold = Some(error);
                (self.load)(&Site { gso: None, ..site })
            }
            loaded => loaded,
        }
    }

    /// Where it runs in that mode.
    pub(crate) fn site(&self, mode: XdpMode) -> Site {
        let Self { hook, listen, super_packets, workers, .. } = *self;
        let is_cut_by_the_driver = hook == Hook::Xdp && mode != XdpMode::Generic;
        let sees_whole = hook.gso() == GsoView::Untold && !is_cut_by_the_driver;
        let must_tell = sees_whole && super_packets == SuperPackets::Drop;
        let gso = must_tell.then(|| gso_layout(hook).ok()).flatten();
        Site { super_packets, gso, workers, ..Site::new(hook, listen) }
    }
}
