//! What must hold of a definition before it is run.

use weir_filters::Hook;
use weir_output::exit::UsageError;
use weir_results::{
    cell::{Placement, ReceiveWork},
    topology::Topology,
};
use weir_service::{Io, Moderation, servers::ServerKind};
use weir_wire::DEFAULT_PORT;

use super::{
    definition::{BEHAVIOURS, Definition, PlacementRow},
    grid::{Grid, Overrides, check_distinct, check_not_empty},
    server::SAID_ALREADY,
    template::{Placeholder, Template},
};

impl Definition {
    /// Reads a definition that stands in `origin`, and checks that it can be run.
    ///
    /// # Errors
    /// What is wrong, where, and what would be right: a [`UsageError`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, UsageError> {
        let definition: Self =
            toml::from_str(text).map_err(|error| UsageError(format!("reading {origin}: {error}")))?;
        check(&definition).map_err(|error| UsageError(format!("in {origin}: {error}")))?;
        Ok(definition)
    }
}

/// Checks `definition`, and what each of its profiles makes of it.
fn check(definition: &Definition) -> Result<(), String> {
    check_as_run(definition, "grid.")?;
    for (profile, overrides) in &definition.profiles {
        let checked = check_ids(definition, overrides);
        let checked = checked.and_then(|()| check_as_run(&definition.changed(overrides), ""));
        checked.map_err(|error| format!("profiles.{profile}.{error}"))?;
    }
    Ok(())
}

/// Checks a definition without its profiles. `at` is where its grid was written.
fn check_as_run(definition: &Definition, at: &str) -> Result<(), String> {
    if definition.name.is_empty() || definition.name.contains('/') {
        return Err(format!("name = '{}': it must be a word without '/'", definition.name));
    }
    check_behaviour(definition)?;
    let server: ServerKind = definition.server.parse().map_err(|error| format!("server: {error}"))?;
    if definition.ready_within_s == 0 || definition.clients_within_s == Some(0) {
        return Err("ready_within_s and clients_within_s: nothing is done within no time".into());
    }
    if definition.runs == 0 {
        return Err("runs = 0: every cell needs at least one run".into());
    }
    check_load(definition, at)?;
    check_grid(&definition.grid, at)?;
    check_mix(definition, at)?;
    check_moderation(definition, at)?;
    check_conditions(definition, at)?;
    check_placements(definition, server)?;
    check_server_flags(&definition.server_flags)?;
    for (name, server) in &definition.external_server {
        check_command(&format!("external_server.{name}"), server.command.len())?;
    }
    for (name, client) in &definition.external_client {
        check_command(&format!("external_client.{name}"), client.command.len())?;
        if let Some(sleeps_s) = client.sleeps_s.filter(|sleeps_s| !sleeps_s.is_finite() || *sleeps_s < 0.0) {
            return Err(format!(
                "external_client.{name}.sleeps_s = {sleeps_s}: it must be 0 or more seconds"
            ));
        }
    }
    check_ports(definition)?;
    for rule in &definition.verdicts {
        rule.check().map_err(|error| format!("verdicts, '{}': {error}", rule.claim))?;
    }
    Ok(())
}

fn check_grid(grid: &Grid, at: &str) -> Result<(), String> {
    check_not_empty(&format!("{at}invalid_percent"), &grid.invalid_percent)?;
    if let Some(percent) = grid.invalid_percent.iter().find(|&&percent| percent > 100) {
        return Err(format!("{at}invalid_percent: {percent} is more than 100 percent"));
    }
    grid.check(at)
}

fn check_behaviour(definition: &Definition) -> Result<(), String> {
    let name = &definition.behaviour;
    if BEHAVIOURS.iter().all(|(known, _)| known != name) {
        let known = BEHAVIOURS.map(|(known, _)| known).join(", ");
        return Err(format!("unknown behaviour '{name}'; an experiment can use: {known}"));
    }
    match definition.clients {
        0 => Err("clients = 0: at least one must send".into()),
        1 => Ok(()),
        _ if definition.clients_stop() => Err(format!(
            "behaviour '{name}' ends the server, so the first of several clients would end it for the others; use frigg"
        )),
        _ => Ok(()),
    }
}

fn check_load(definition: &Definition, at: &str) -> Result<(), String> {
    let grid = &definition.grid;
    match (grid.rate.is_empty(), definition.duration_s) {
        (true, Some(_)) => Err(format!("duration_s: it goes with {at}rate")),
        (false, Some(0)) => Err("duration_s = 0: nothing is sent within no time".into()),
        (false, Some(_)) if !grid.packets.is_empty() => {
            Err(format!("{at}packets: duration_s and {at}rate give the packets already"))
        }
        (false, Some(_)) => Ok(()),
        (_, None) => check_not_empty(&format!("{at}packets"), &grid.packets),
    }
}

fn check_mix(definition: &Definition, at: &str) -> Result<(), String> {
    if definition.grid.mix.is_empty() {
        return Ok(());
    }
    if definition.behaviour == "load" {
        return Err(format!(
            "{at}mix: behaviour 'load' has an order of its own; use frigg, with grid.rate too"
        ));
    }
    if definition.placements.iter().any(|row| row.external_client.is_some()) {
        return Err(format!("{at}mix: an external client has its own order; leave mix out, or the client"));
    }
    Ok(())
}

fn check_moderation(definition: &Definition, at: &str) -> Result<(), String> {
    let is_moderated = definition.grid.moderation.iter().any(|&how| how != Moderation::Off);
    let unmoderated = |row: &&PlacementRow| row.io == Io::Simple || row.external_server.is_some();
    match definition.placements.iter().find(unmoderated).filter(|_| is_moderated) {
        None => Ok(()),
        Some(row) => Err(format!(
            "{at}moderation: placement '{}' reads one datagram a call, or isn't weir's own server, and naps never; \
             leave one of them out, or set io = \"batch\"",
            row.id()
        )),
    }
}

fn check_conditions(definition: &Definition, at: &str) -> Result<(), String> {
    let grid = &definition.grid;
    let is_load = definition.behaviour == "load";
    if !is_load && (definition.gets_percent > 0 || definition.duration_s.is_some()) {
        return Err("gets_percent and duration_s: they are for behaviour = \"load\"".into());
    }
    if definition.gets_percent > 100 {
        return Err(format!("gets_percent = {}: it is more than 100 percent", definition.gets_percent));
    }
    if definition.audit_every == Some(0) {
        return Err("audit_every = 0: leave it out for no audit".into());
    }
    let theirs = definition.placements.iter().find(|row| row.external_server.is_some());
    if let Some(row) = theirs.filter(|_| !grid.receive_buffer.is_empty()) {
        return Err(format!(
            "{at}receive_buffer: placement '{}' isn't weir's own server, and has a buffer of its own; leave one of them out",
            row.id()
        ));
    }
    if grid.receive_work.contains(&ReceiveWork::Server) && !grid.topology.contains(&Topology::Veth) {
        return Err(format!(
            "{at}receive_work: what loopback receives can't be steered; add topology = [\"veth\"]"
        ));
    }
    Ok(())
}

fn check_placements(definition: &Definition, server: ServerKind) -> Result<(), String> {
    let rows = &definition.placements;
    check_distinct("placements: id", &rows.iter().map(PlacementRow::id).collect::<Vec<_>>())?;
    if rows.is_empty() {
        return Err("placements is empty: name at least one".into());
    }
    let missing = |kind: &str, name: &str| format!("a placement names {kind}.{name}, which isn't defined");
    for row in rows {
        if row.placement == Placement::Sender
            && (row.hook != Hook::Tc || definition.grid.topology != [Topology::Veth])
        {
            return Err(format!(
                "placements, '{}': what the sender's kernel drops is dropped on its interface: hook = \"tc\", and \
                 grid.topology = [\"veth\"]",
                row.id()
            ));
        }
        match &row.external_server {
            None => {
                weir_hooks::loadable(row.filter.into(), row.toolkit, row.hook).map_err(|gap| {
                    format!(
                        "placement '{}': {} with {} at {}: {gap}",
                        row.id(),
                        row.filter,
                        row.toolkit,
                        row.hook
                    )
                })?;
                let misfit = |misfit| format!("placement '{}': {misfit}", row.id());
                server.check(row.filter, row.toolkit, row.hook).map_err(misfit)?;
            }
            Some(name) if !definition.external_server.contains_key(name) => {
                return Err(missing("external_server", name));
            }
            Some(_) => {}
        }
        if let Some(name) = &row.guard {
            if !definition.guard.contains_key(name) {
                return Err(missing("guard", name));
            }
            if row.placement != Placement::Kernel || row.external_server.is_some() {
                return Err(format!(
                    "placement '{}': a guard's program decides in the kernel before weir's own server: placement = \"kernel\", \
                     and no external_server",
                    row.id()
                ));
            }
        }
        if let Some(name) = &row.external_client
            && !definition.external_client.contains_key(name)
        {
            return Err(missing("external_client", name));
        }
        if row.external_client.is_some() && definition.clients_stop() {
            return Err(format!(
                "placement '{}': behaviour '{}' ends the server, and an external client doesn't tell what its GET returned; use frigg",
                row.id(),
                definition.behaviour
            ));
        }
    }
    Ok(())
}

/// A run has one port.
fn check_ports(definition: &Definition) -> Result<(), String> {
    let external = definition.external_server.iter();
    let external = external.map(|(name, server)| (format!("external_server.{name}.port"), server.port));
    for (what, port) in external.chain([("port".to_owned(), definition.port)]) {
        match (port, definition.port) {
            (Some(0), _) => return Err(format!("{what} = 0: leave it out for a free port each run")),
            (Some(its), Some(all)) if its != all => {
                return Err(format!(
                    "{what} = {its}, and port = {all}: a run has one port; leave one of them out"
                ));
            }
            _ => {}
        }
    }
    definition.placements.iter().try_for_each(|row| check_told(definition, row))
}

/// Whoever is not weir's own is told a port that isn't given.
fn check_told(definition: &Definition, row: &PlacementRow) -> Result<(), String> {
    if definition.port_of(row.external_server.as_deref()).is_some() {
        return Ok(());
    }
    let (servers, clients) = (&definition.external_server, &definition.external_client);
    let server = row.external_server.as_ref().map(|name| ("server", name, &servers[name].command));
    let client = row.external_client.as_ref().map(|name| ("client", name, &clients[name].command));
    let is_told = |command: &[Template]| command.iter().any(|word| word.names(Placeholder::Port));
    match [server, client].into_iter().flatten().find(|(_, _, command)| !is_told(command)) {
        None => Ok(()),
        Some((side, name, _)) => Err(format!(
            "placement '{}': external_{side}.{name} isn't told the port, which is a free one each run: put {{port}} into \
             its command, or give the one that it always uses as `port`, such as port = {DEFAULT_PORT}",
            row.id()
        )),
    }
}

fn check_server_flags(flags: &[String]) -> Result<(), String> {
    let named = |word: &str| {
        SAID_ALREADY.iter().find(|(flag, _)| {
            word == *flag || word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
        })
    };
    match flags.iter().find_map(|word| named(word)) {
        None => Ok(()),
        Some((flag, instead)) => Err(format!("server_flags: {flag} is the harness's own; {instead}")),
    }
}

/// The placements that a profile chooses are there.
fn check_ids(definition: &Definition, overrides: &Overrides) -> Result<(), String> {
    let Some(ids) = &overrides.placements else { return Ok(()) };
    check_not_empty("placements", ids)?;
    let known: Vec<_> = definition.placements.iter().map(PlacementRow::id).collect();
    match ids.iter().find(|id| !known.contains(&id.as_str())) {
        Some(id) => Err(format!("placements: unknown placement '{id}'; there are: {}", known.join(", "))),
        None => Ok(()),
    }
}

fn check_command(what: &str, words: usize) -> Result<(), String> {
    if words == 0 {
        Err(format!("{what}.command is empty: name the program and its arguments"))
    } else {
        Ok(())
    }
}
