//! The systemd unit that runs a guard, with the least privilege.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use weir_filters::fun::service::reads_anywhere;
use weir_guard::meaning::{GuardHook, Service};
use weir_hooks::{Capability, ProgramType};
use weir_output::{exit::UsageError, terminal::printable};
use weir_service::guarding::network_path;

/// What a unit is made of.
pub(crate) struct GuardUnit<'a> {
    /// The absolute path of weir.
    pub(crate) program: &'a Path,
    /// The guard's absolute path.
    pub(crate) guard: &'a Path,
    pub(crate) services: &'a [Service],
}

/// Another user's socket is taken from its process (`pidfd_getfd`, `PTRACE_MODE_ATTACH_REALCREDS`).
const SYS_PTRACE: &str = Capability::SysPtrace.as_str();

impl GuardUnit<'_> {
    /// The unit's file (systemd.exec(5)).
    pub(crate) fn text(&self) -> Result<String, UsageError> {
        let mut capabilities = capabilities(&self.hooks());
        if self.services.iter().any(reads_anywhere) {
            capabilities.insert(Capability::Perfmon.as_str());
        }
        if self.services.iter().any(|service| service.known.is_some()) {
            // What the service sends is seen at the control group or tc.
            capabilities.insert(Capability::NetAdmin.as_str());
        }
        let (program, guard) = (word(self.program)?, word(self.guard)?);
        let call = [&program, "guard", "run", &guard].join(" ").replace('$', "$$");
        let name = self.name();
        let units: BTreeSet<_> =
            self.services.iter().filter_map(|service| service.at.unit.as_deref()).collect();
        let units: String = units.into_iter().map(|unit| format!(" {unit}")).collect();
        let processes = if capabilities.contains(SYS_PTRACE) { "default" } else { "invisible" };
        let is_home = |path: &Path| ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home));
        let home = if is_home(self.program) || is_home(self.guard) { "read-only" } else { "yes" };
        let folders = self.sample_folders()?;
        let network = self.network()?;
        let all: Vec<_> = capabilities.into_iter().collect();
        let all = all.join(" ");
        Ok(format!(
            "\
# Runs a guard, by `weir guard export unit`. To install it:
#   weir guard export unit {guard} > /etc/systemd/system/{name}.service
#   systemctl daemon-reload && systemctl enable --now {name}
[Unit]
Description=weir guard {guard}
After=network.target{units}

[Service]
Type=notify
ExecStart={call}
ExecReload=kill -HUP $MAINPID
Restart=on-failure

# A user of its own, with what the guard's hooks take and nothing else. The guard, its protocols and its lists must be readable for it.
DynamicUser=yes
AmbientCapabilities={all}
CapabilityBoundingSet={all}
# Before Linux 5.11 maps count as locked memory.
LimitMEMLOCK=infinity
UMask=0077
# Which sockets have its program, where it was killed.
RuntimeDirectory={name}
RuntimeDirectoryPreserve=yes
{folders}{network}
ProtectSystem=strict
ProtectHome={home}
ProtectProc={processes}
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
PrivateMounts=yes
PrivateTmp=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service bpf pidfd_getfd seccomp
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"
        ))
    }

    /// The setting that has it run in the services' network namespace.
    fn network(&self) -> Result<String, UsageError> {
        let networks: BTreeSet<_> =
            self.services.iter().map(|service| service.at.network.as_deref()).collect();
        match networks.into_iter().collect::<Vec<_>>()[..] {
            [] | [None] => Ok(String::new()),
            [Some(network)] => Ok(format!("NetworkNamespacePath={}\n", word(&network_path(network))?)),
            _ => {
                let why = "a unit runs in one network namespace: write a guard for the services of each";
                Err(UsageError(format!("the services are in several ('netns'), and {why}")))
            }
        }
    }

    /// Those that the services name, and all where one leaves it to weir.
    fn hooks(&self) -> Vec<GuardHook> {
        const ALL: [GuardHook; 4] = [GuardHook::Socket, GuardHook::Cgroup, GuardHook::Tc, GuardHook::Xdp];
        let is_named = |hook: &GuardHook| {
            self.services.iter().any(|service| service.at.hook.is_none_or(|named| named == *hook))
        };
        ALL.into_iter().filter(is_named).collect()
    }

    /// What the unit may be called.
    fn name(&self) -> String {
        let stem = self.guard.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !stem.is_empty() && stem.bytes().all(is_part) {
            format!("weir-guard-{stem}")
        } else {
            "weir-guard".to_owned()
        }
    }

    /// The settings that let it write samples: systemd makes folders of its own below /var/log and /var/lib.
    fn sample_folders(&self) -> Result<String, UsageError> {
        let beside = self.guard.parent().unwrap_or(Path::new("/"));
        let samples = self.services.iter().filter_map(|service| service.sample.as_ref());
        let folders: BTreeSet<PathBuf> =
            samples.filter_map(|sample| Some(beside.join(&sample.to).parent()?.to_owned())).collect();
        let mut settings = String::new();
        for folder in folders {
            let below = |root| folder.strip_prefix(root).ok().filter(|rest| !rest.as_os_str().is_empty());
            settings += &match (below("/var/log"), below("/var/lib")) {
                (Some(own), _) => format!("LogsDirectory={}\n", word(own)?),
                (_, Some(own)) => format!("StateDirectory={}\n", word(own)?),
                _ => format!(
                    "# Samples: the folder must be writable for its user.\nReadWritePaths={}\n",
                    word(&folder)?
                ),
            };
        }
        Ok(settings)
    }
}

/// What loading and attaching programs takes there, by name.
fn capabilities(hooks: &[GuardHook]) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    for hook in hooks {
        let program_type = match hook {
            GuardHook::Socket => ProgramType::Socket,
            GuardHook::Cgroup => ProgramType::CgroupSkb,
            GuardHook::Tc => ProgramType::Tc,
            GuardHook::Xdp => ProgramType::Xdp,
        };
        names.extend(program_type.needed().iter().map(|capability| capability.as_str()));
        names.extend((*hook == GuardHook::Socket).then_some(SYS_PTRACE));
    }
    names
}

/// A path as a word of a unit's file (systemd.syntax(7)), whose specifiers begin with '%'.
fn word(path: &Path) -> Result<String, UsageError> {
    let text =
        path.to_str().filter(|text| !text.contains(['"', '\'', '\\']) && !text.contains(char::is_control));
    let text = text.ok_or_else(|| unspeakable(path))?.replace('%', "%%");
    Ok(if text.contains(' ') { format!("\"{text}\"") } else { text })
}

fn unspeakable(path: &Path) -> UsageError {
    let path = path.display().to_string();
    let why = "it has quotes, backslashes or control characters; give the file another name";
    UsageError(format!("the path {} can't stand in a systemd unit: {why}", printable(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_of(text: &str) -> Result<String, UsageError> {
        word(Path::new(text))
    }

    #[test]
    fn paths_are_words_of_units() {
        assert_eq!(word_of("/etc/weir/dns.toml").ok().as_deref(), Some("/etc/weir/dns.toml"));
        assert_eq!(word_of("/srv/my guards/50%.toml").ok().as_deref(), Some("\"/srv/my guards/50%%.toml\""));
        for wrong in ["/a\"b", "/a\\b", "/a\nExecStart=/bin/sh", "/a'b"] {
            assert!(word_of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_hook_takes_what_its_programs_take() {
        let check = |hook, expected: &[&str]| {
            assert_eq!(capabilities(&[hook]).into_iter().collect::<Vec<_>>(), expected, "{hook:?}");
        };
        check(GuardHook::Socket, &["CAP_BPF", "CAP_SYS_PTRACE"]);
        check(GuardHook::Cgroup, &["CAP_BPF", "CAP_NET_ADMIN"]);
        check(GuardHook::Tc, &["CAP_BPF", "CAP_NET_ADMIN"]);
        check(GuardHook::Xdp, &["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]);
    }
}
