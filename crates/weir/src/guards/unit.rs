//! The systemd unit that runs a guard, with the least privilege.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use weir_guard::meaning::Service;
use weir_hooks::Capability;
use weir_output::{exit::UsageError, terminal::printable};
use weir_service::guarding::network_path;

use super::{
    HOOKS,
    capabilities::{at_hook, in_order, named, needed, possible_hooks},
    together::name_of,
};

/// What a guard's unit is made of.
pub(crate) struct GuardUnit<'a> {
    /// The absolute path of weir.
    pub(crate) program: &'a Path,
    /// The guard's absolute path.
    pub(crate) guard: &'a Path,
    pub(crate) services: &'a [Service],
}

/// Where the guards of the template are, as its instances name them.
const INSTANCES: &str = "/etc/weir/guards/%i.toml";

/// The unit `weir-guard@.service`, each of whose instances runs a guard of /etc/weir/guards, at any hook.
///
/// # Errors
/// The path of weir can't stand in a unit.
pub(crate) fn template(program: &Path) -> Result<String, UsageError> {
    let every_hook = HOOKS.into_iter().flat_map(at_hook);
    let capabilities = in_order(every_hook);
    Ok(Settings {
        install: "systemctl enable --now weir-guard@NAME      for /etc/weir/guards/NAME.toml".to_owned(),
        program: word(program)?,
        guard: INSTANCES.to_owned(),
        after: String::new(),
        capabilities,
        is_home: is_home(program),
        run: "%i".to_owned(),
        folders: "LogsDirectory=weir\n".to_owned(),
        is_kept: false,
    }
    .text())
}

fn is_home(path: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home))
}

impl GuardUnit<'_> {
    /// The unit's file (systemd.exec(5)).
    ///
    /// # Errors
    /// A path can't stand in a unit.
    pub(crate) fn text(&self) -> Result<String, UsageError> {
        let hooks = |service| possible_hooks(service).into_iter().map(move |hook| (service, hook));
        let guard = word(self.guard)?;
        let name = self.name();
        let units: BTreeSet<_> =
            self.services.iter().filter_map(|service| service.at.unit.as_deref()).collect();
        Ok(Settings {
            install: format!(
                "weir guard export unit {guard} > /etc/systemd/system/{name}.service\n\
                 #   systemctl daemon-reload && systemctl enable --now {name}"
            ),
            program: word(self.program)?,
            guard,
            after: units.into_iter().map(|unit| format!(" {unit}")).collect(),
            capabilities: needed(self.services.iter().flat_map(hooks)),
            is_home: is_home(self.program) || is_home(self.guard),
            run: name_of(self.guard),
            folders: self.sample_folders()? + &self.network()?,
            is_kept: self.services.iter().any(|service| service.at.keep),
        }
        .text())
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

/// What differs from unit to unit, in its words.
struct Settings {
    install: String,
    program: String,
    guard: String,
    /// Units that it comes behind, each with a space before it.
    after: String,
    capabilities: Vec<Capability>,
    /// Whether something of it is in a home.
    is_home: bool,
    /// What its folder in /run/weir is called.
    run: String,
    /// Settings of folders to write to, and of the network namespace, a line each.
    folders: String,
    /// Whether a program stays when it ends.
    is_kept: bool,
}

impl Settings {
    fn text(&self) -> String {
        let Self { install, program, guard, after, run, folders, .. } = self;
        let call = [program, "guard", "run", guard].join(" ").replace('$', "$$");
        let processes =
            if self.capabilities.contains(&Capability::SysPtrace) { "default" } else { "invisible" };
        let home = if self.is_home { "read-only" } else { "yes" };
        let all = named(&self.capabilities);
        let user = if self.is_kept {
            "# Root, who has the folder of what is kept, with what the guard's hooks take and nothing else. The guard, its protocols and its lists\n\
             # must be readable for everybody.\nUser=root\nReadWritePaths=/sys/fs/bpf"
        } else {
            "# A user of its own, with what the guard's hooks take and nothing else. The guard, its protocols and its lists must be readable\n\
             # for it.\nDynamicUser=yes"
        };
        format!(
            "\
# Runs a guard, by `weir guard export unit`. To install it:
#   {install}
[Unit]
Description=weir guard {guard}
After=network.target{after}

[Service]
Type=notify
ExecStart={call}
# Its files are read anew; one with an error changes nothing.
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure

{user}
AmbientCapabilities={all}
CapabilityBoundingSet={all}
# Before Linux 5.11 maps count as locked memory.
LimitMEMLOCK=infinity
UMask=0077
# `weir guard status` asks there; and which sockets have its program, where it was killed.
RuntimeDirectory=weir/{run}
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
{folders}ProtectSystem=strict
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
        )
    }
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
}
