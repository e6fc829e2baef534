//! Serving behind a program of somebody's object, in place of a filter of the catalogue.

use weir_filters::{FilterName, Hook, Parameter, Site};
use weir_hooks::{KernelFilter, ObjectFile};
use weir_wire::maps;

use super::{Between, Ready, ServeError, ServePlan, Served, ServerKind, serve_behind};

/// What the record calls the toolkit of a program that came as a file.
const TOOLKIT: &str = "object";

/// A program to serve behind.
#[derive(Clone, Copy)]
pub struct ObjectProgram<'a> {
    /// The file that holds it.
    pub file: &'a ObjectFile,
    /// Its name; may be left out where the file has one socket filter alone.
    pub program: Option<&'a str>,
    /// What its map `parameter` is set to; what the object says where nothing is given.
    pub parameter: Option<Parameter>,
}

/// Serves as [`super::serve`] does, behind `object`'s program at the socket: `plan`'s filter, toolkit and hook are
/// not looked at. `on_ready` hears the program's name too.
///
/// A map `parameter` is flipped by SIGUSR1, and verdicts are read from a map `verdicts`, where the object has them.
///
/// # Errors
/// The program or its maps don't fit the socket or the server, before the kernel is asked; or what [`super::serve`]
/// says.
pub fn serve_object(
    plan: ServePlan,
    object: ObjectProgram<'_>,
    on_ready: impl FnOnce(&str, Ready<'_>),
) -> Result<Served, ServeError> {
    let ObjectProgram { file, program, parameter } = object;
    let program = file.socket_filter(program)?;
    // Whatever the server, it reads this one where it is there.
    file.has_map(maps::VERDICTS)?;
    let needed = map_of(plan.kind).or(parameter.map(|_| maps::PARAMETER));
    if let Some(map) = needed
        && !file.has_map(map)?
    {
        let who = if map_of(plan.kind).is_some() { plan.kind.as_str() } else { "--parameter" };
        return Err(file.lacks_map(who, map).into());
    }
    let changeable = file.has_map(maps::PARAMETER)?;
    let names = (program.to_owned(), TOOLKIT.to_owned());
    let load = |_: &Site| KernelFilter::load_file(file, program, parameter);
    let plan = ServePlan { hook: Hook::Socket, filter: FilterName::Simple.into(), ..plan };
    serve_behind(&plan, Between { load, changeable, names: Some(names), control: None }, |ready| {
        on_ready(program, ready)
    })
}

/// The map that a server needs its program to have.
const fn map_of(server: ServerKind) -> Option<&'static str> {
    match server {
        ServerKind::Parameterized => Some(maps::PARAMETER),
        ServerKind::Print => Some(maps::CAPTURE),
        ServerKind::Count => Some(maps::COUNTER),
        _ => None,
    }
}
