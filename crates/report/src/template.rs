//! The templates of pages and pictures, filled.

use minijinja::{AutoEscape, Environment, Value};

/// `template` with what it names. Everything is escaped but what the template calls safe.
pub(super) fn filled(template: &'static str, named: Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.render_str(template, named)
}
