//! The kernel, what this process may ask of it, and the compilers.

use std::{fmt, fs, io, process::Command};

use weir_filters::{FilterName, Hook, Site, Toolkit};
use weir_hooks::{Capability, HookError, KernelFilter, Obstacle, Privileges, ProgramType};

use super::Check;

pub(super) fn findings() -> Vec<Check> {
    let privileges = Privileges::of_this_thread();
    let mut all = vec![kernel(), btf(), jit(), tracefs(&privileges)];
    all.extend(needs().map(|(needed, what_for)| capability(needed, &what_for, &privileges)));
    all.extend(TOOLS.map(|(name, what_for)| tool(name, what_for)));
    all
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// What weir is tried on (docs/kernels.md).
const OLDEST: (u32, u32) = (5, 10);

fn kernel() -> Check {
    let release = read("/proc/sys/kernel/osrelease");
    match version(&release) {
        Some(version) if version >= OLDEST => Check::ok("kernel", release),
        _ => Check::gap(
            "kernel",
            if release.is_empty() { "unknown: /proc is not mounted".to_owned() } else { release },
            "weir is made for Linux 5.10 and newer; boot one",
        ),
    }
}

/// Major and minor number of a release such as 6.12.3-generic.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn btf() -> Check {
    const PATH: &str = "/sys/kernel/btf/vmlinux";
    match fs::metadata(PATH) {
        Ok(file) => Check::ok("kernel BTF", format!("{PATH}, {} kB", file.len() / 1000)),
        Err(error) => Check::gap(
            "kernel BTF",
            format!("{PATH}: {error}"),
            "the experiments' audit of drops needs it: a kernel with CONFIG_DEBUG_INFO_BTF",
        ),
    }
}

fn jit() -> Check {
    const PATH: &str = "/proc/sys/net/core/bpf_jit_enable";
    match read(PATH).as_str() {
        // A network namespace of its own doesn't show the setting; a program tells.
        "" if is_compiled() => Check::ok("BPF JIT", format!("on; {PATH} isn't shown here")),
        "1" => Check::ok("BPF JIT", "on"),
        "2" => Check::ok("BPF JIT", "on, and writes to the kernel's log"),
        found => Check::gap(
            "BPF JIT",
            if found.is_empty() {
                format!("{PATH} isn't shown here, and no program can be asked")
            } else {
                "off".to_owned()
            },
            format!("where it is off programs are interpreted, some ten times slower: `echo 1 > {PATH}`"),
        ),
    }
}

/// Whether the kernel makes machine code of a program.
fn is_compiled() -> bool {
    load_one().and_then(|program| program.facts()).is_ok_and(|facts| facts.jited_bytes > 0)
}

/// The smallest program of the catalogue.
fn load_one() -> Result<KernelFilter, HookError> {
    KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &Site::socket())
}

fn tracefs(privileges: &io::Result<Privileges>) -> Check {
    let mounts = read("/proc/self/mounts");
    let is_it = |line: &&str| line.split(' ').nth(2) == Some("tracefs");
    match mounts.lines().find(is_it).and_then(|line| line.split(' ').nth(1)) {
        Some(folder) => Check::ok("tracefs", folder),
        None if read("/proc/filesystems").contains("tracefs") && has(privileges, Capability::SysAdmin) => {
            Check::ok("tracefs", "not mounted; a server that needs it mounts it for itself")
        }
        None => Check::gap(
            "tracefs",
            "not mounted",
            "the servers snoop and printk need it: be root, or `mount -t tracefs tracefs /sys/kernel/tracing`",
        ),
    }
}

/// Capabilities, and what needs each.
fn needs() -> [(Capability, String); 4] {
    let takes = |hook, one| ProgramType::at(hook).is_some_and(|program| program.needed().contains(&one));
    let hooks = |one| Hook::named(|hook| takes(hook, one));
    [
        (Capability::Bpf, "loading any program".to_owned()),
        (Capability::NetAdmin, hooks(Capability::NetAdmin)),
        (Capability::Perfmon, format!("{}, and the servers snoop and printk", hooks(Capability::Perfmon))),
        (Capability::SysAdmin, "BPF statistics, network namespaces and the experiments".to_owned()),
    ]
}

/// Whether this process has it, where bpf(2) asks for it.
fn has(privileges: &io::Result<Privileges>, capability: Capability) -> bool {
    privileges.as_ref().is_ok_and(|found| found.has(capability) && found.is_in_first_user_namespace())
}

fn capability(capability: Capability, needed_for: &str, privileges: &io::Result<Privileges>) -> Check {
    let name = capability.as_str();
    let one = [capability].into_iter().collect();
    let gap = |found: String, remedy: &dyn fmt::Display| {
        Check::gap(name, found, format!("needed for {needed_for}: {remedy}"))
    };
    let found = match privileges {
        Ok(found) => found,
        Err(error) => {
            return gap(format!("unknown: /proc/thread-self/status: {error}"), &Obstacle::Unknown(one));
        }
    };
    if !found.has(capability) {
        return gap(
            "this process doesn't have it".to_owned(),
            &Obstacle::Capabilities { needed: one, lacking: one },
        );
    }
    if !found.is_in_first_user_namespace() {
        return gap("there, in a user namespace".to_owned(), &Obstacle::UserNamespace);
    }
    // A process may have it and be kept from the call all the same.
    let refused = (capability == Capability::Bpf).then(load_one).and_then(Result::err);
    match refused.and_then(|error| error.obstacle()) {
        Some(obstacle) => gap("there, and loading a program is refused".to_owned(), &obstacle),
        None => Check::ok(name, "there"),
    }
}

/// Programs that building weir uses, and what needs each.
const TOOLS: [(&str, &str); 2] = [
    ("bpf-linker", "building weir: `scripts/setup.sh` installs it"),
    ("clang", "building the toolkit c: install clang and libbpf's headers, then build weir again"),
];

fn tool(name: &str, needed_for: &str) -> Check {
    // Debian's clang has its version in its name, unless the package that chooses one is there.
    let versions = (MIN_VERSION..=MAX_VERSION).rev().map(|version| format!("{name}-{version}"));
    let said = std::iter::once(name.to_owned()).chain(versions).find_map(|name| {
        let output = Command::new(name).arg("--version").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    });
    match said {
        Some(said) => Check::ok(name, said.lines().next().unwrap_or("there")),
        None => Check::gap(name, "not on PATH", format!("needed for {needed_for}")),
    }
}

/// Versions that a compiler may have in its name.
const MIN_VERSION: u32 = 14;
const MAX_VERSION: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        let check = |release, expected| assert_eq!(version(release), expected, "{release}");
        check("6.12.3-generic", Some((6, 12)));
        check("5.8", Some((5, 8)));
        check("", None);
        check("next", None);
    }
}
