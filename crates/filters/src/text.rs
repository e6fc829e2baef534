//! Values as the command line and records write them: one way to show, read and save them.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use thiserror::Error;

/// Saves a value as it is displayed; with [`deserialize`] what `#[serde(with = "weir_filters::text")]` means.
pub fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// Reads a saved text as the command line would.
pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// Has serde save types as they are displayed and read them as the command line does.
#[macro_export]
macro_rules! saved_as_text {
    ($($type:ty),+) => {$(
        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> ::std::result::Result<S::Ok, S::Error> {
                $crate::text::serialize(self, to)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> ::std::result::Result<Self, D::Error> {
                $crate::text::deserialize(from)
            }
        }
    )+};
}

/// Gives an enum names. `Side::name { Server = "weir-server", Client = "weir-client" }`, behind the method's documentation,
/// makes that method, `ALL`, which has the values in that order, and how a value is displayed. With `"hook",` before the type
/// a value is read, too, where the text is what an [`UnknownName`] calls it. `"hook", Hook::as_str` alone makes of a method
/// and an `ALL` that are there how a value is displayed and read.
#[macro_export]
macro_rules! names {
    ($(#[$doc:meta])+ $($what:literal,)? $type:ident::$name:ident { $($value:ident = $text:expr),+ }) => {
        impl $type {
            /// Each of them, in order.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$value),+];

            $(#[$doc])+
            pub const fn $name(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }

        $crate::names! { $($what,)? $type::$name }
    };
    ($($what:literal,)? $type:ident::$name:ident) => {
        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.$name())
            }
        }

        $(
            impl ::std::str::FromStr for $type {
                type Err = $crate::UnknownName;

                fn from_str(name: &str) -> ::std::result::Result<Self, Self::Err> {
                    $crate::UnknownName::find($what, name, &Self::ALL, Self::$name)
                }
            }
        )?
    };
}

/// A name that none of those has that there are.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("unknown {kind} '{name}'; there are: {known}")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    known: String,
}

impl UnknownName {
    /// Finds the row called `name`, or says which rows there are.
    pub fn find<T: Copy>(
        kind: &'static str,
        name: &str,
        rows: &[T],
        name_of: impl Fn(T) -> &'static str,
    ) -> Result<T, Self> {
        rows.iter().copied().find(|&row| name_of(row) == name).ok_or_else(|| Self {
            kind,
            name: name.to_owned(),
            known: rows.iter().map(|&row| name_of(row)).collect::<Vec<_>>().join(", "),
        })
    }
}
