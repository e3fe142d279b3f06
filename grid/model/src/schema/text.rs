//! Shapes as text: for people, and for the fingerprint.

use std::fmt::{self, Write};

use super::Schema;

/// Writes a shape, with or without the names of types.
struct Printer<'a, W> {
    out: &'a mut W,
    names: bool,
}

impl Schema {
    /// The text that the fingerprint is taken of.
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        let written = Printer { out: &mut text, names: false }.schema(self);
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        text
    }

    /// The Rust name of a shape without parts.
    pub(super) fn simple_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unit => "()",
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "Str",
            Self::Bytes => "Bytes",
            Self::Uuid => "Uuid",
            _ => return None,
        })
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printer { out: f, names: true }.schema(self)
    }
}

impl<W: Write> Printer<'_, W> {
    fn schema(&mut self, schema: &Schema) -> fmt::Result {
        match schema {
            Schema::Option(inner) => self.generic("Option", &[inner]),
            Schema::List(inner) => self.generic("List", &[inner]),
            Schema::Set(inner) => self.generic("Set", &[inner]),
            Schema::Map(key, value) => self.generic("Map", &[key, value]),
            Schema::Tuple(parts) => {
                self.list("(", ")", parts.iter(), |printer, part| printer.schema(part))
            }
            Schema::Struct { name, fields } => self.record(name, fields),
            Schema::Enum { name, variants } => self.choice(name, variants),
            simple => self.out.write_str(simple.simple_name().unwrap_or_default()),
        }
    }

    fn generic(&mut self, name: &str, parts: &[&Schema]) -> fmt::Result {
        self.out.write_str(name)?;
        self.list("<", ">", parts.iter(), |printer, part| printer.schema(part))
    }

    fn record(&mut self, name: &str, fields: &[(String, Schema)]) -> fmt::Result {
        self.name("struct", name)?;
        self.list(" { ", " }", fields.iter(), |printer, (name, schema)| {
            write!(printer.out, "{name}: ")?;
            printer.schema(schema)
        })
    }

    fn choice(&mut self, name: &str, variants: &[(String, Schema)]) -> fmt::Result {
        self.name("enum", name)?;
        self.list(" { ", " }", variants.iter(), |printer, (name, schema)| {
            printer.out.write_str(name)?;
            match schema {
                Schema::Unit => Ok(()),
                Schema::Struct { fields, .. } => {
                    printer.list(" { ", " }", fields.iter(), |printer, (name, schema)| {
                        write!(printer.out, "{name}: ")?;
                        printer.schema(schema)
                    })
                }
                fields => printer.schema(fields),
            }
        })
    }

    fn name(&mut self, kind: &str, name: &str) -> fmt::Result {
        self.out.write_str(if self.names { name } else { kind })
    }

    fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        items: impl Iterator<Item = T>,
        mut each: impl FnMut(&mut Self, T) -> fmt::Result,
    ) -> fmt::Result {
        self.out.write_str(open)?;
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.write_str(", ")?;
            }
            each(self, item)?;
        }
        self.out.write_str(close)
    }
}
