//! Reading postcard bytes by a shape alone.

use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::Schema;

/// Bytes that are no value of the shape: where inside the value, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no {shape} at {place} (byte {offset}): expected {expected}")]
#[non_exhaustive]
pub struct DumpError {
    /// The shape that was read.
    pub shape: String,
    /// The place inside the value, such as `todos[3].text`.
    pub place: String,
    /// The byte at which it failed.
    pub offset: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

/// A failure on its way out; the place is collected from the inside to the outside.
struct Failure {
    place: Vec<String>,
    expected: &'static str,
}

type Read<T> = Result<T, Failure>;

fn fail<T>(expected: &'static str) -> Read<T> {
    Err(Failure { place: Vec::new(), expected })
}

fn within<T>(result: Read<T>, place: impl FnOnce() -> String) -> Read<T> {
    result.map_err(|mut failure| {
        failure.place.push(place());
        failure
    })
}

pub(super) fn to_json(schema: &Schema, bytes: &[u8]) -> Result<Value, DumpError> {
    let mut reader = Reader { bytes };
    let read = reader.value(schema).and_then(|value| match reader.bytes {
        [] => Ok(value),
        _ => fail("the value's end"),
    });
    read.map_err(|failure| DumpError {
        shape: schema.to_string(),
        place: std::iter::once("value".to_owned()).chain(failure.place.into_iter().rev()).collect(),
        offset: bytes.len() - reader.bytes.len(),
        expected: failure.expected,
    })
}

/// Elements that take no bytes are counted, not listed, beyond this number.
const MAX_EMPTY: u64 = 1 << 16;

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn value(&mut self, schema: &Schema) -> Read<Value> {
        Ok(match schema {
            Schema::Unit => Value::Null,
            Schema::Bool => Value::Bool(self.flag()?),
            Schema::Option(inner) => {
                if self.flag()? {
                    self.value(inner)?
                } else {
                    Value::Null
                }
            }
            Schema::List(inner) | Schema::Set(inner) => Value::Array(self.elements(inner)?),
            Schema::Map(key, value) => self.entries(key, value)?,
            Schema::Tuple(parts) => self.tuple(parts)?,
            Schema::Struct { fields, .. } => Value::Object(self.fields(fields)?),
            Schema::Enum { variants, .. } => self.variant(variants)?,
            Schema::Char | Schema::String => Value::String(self.text()?),
            Schema::Bytes => self.block()?.iter().map(|byte| Value::from(*byte)).collect(),
            Schema::Uuid => match Uuid::from_slice(self.block()?) {
                Ok(id) => Value::String(id.to_string()),
                Err(_) => return fail("the 16 bytes of a Uuid"),
            },
            number => self.number(number)?,
        })
    }

    fn number(&mut self, schema: &Schema) -> Read<Value> {
        Ok(match schema {
            Schema::U8 => Value::from(self.take::<1>()?[0]),
            Schema::I8 => Value::from(i8::from_le_bytes(self.take()?)),
            Schema::F32 => Value::from(f32::from_le_bytes(self.take()?)),
            Schema::F64 => Value::from(f64::from_le_bytes(self.take()?)),
            Schema::I16 | Schema::I32 | Schema::I64 | Schema::I128 => {
                let raw = self.varint(schema)?;
                whole((raw >> 1) as i128 ^ -((raw & 1) as i128))
            }
            _ => unsigned(self.varint(schema)?),
        })
    }

    /// Reads a variable-length integer of at most the width of the shape.
    fn varint(&mut self, schema: &Schema) -> Read<u128> {
        let bits = match schema {
            Schema::U16 | Schema::I16 => 16,
            Schema::U32 | Schema::I32 => 32,
            Schema::U64 | Schema::I64 => 64,
            _ => 128,
        };
        let mut value = 0_u128;
        for shift in (0..bits).step_by(7) {
            let [byte] = self.take::<1>()?;
            let part = u128::from(byte & 0x7f);
            if part.checked_shl(shift).is_none_or(|moved| moved >> shift != part) {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                let fits = bits == 128 || value >> bits == 0;
                return if fits { Ok(value) } else { fail("an integer of its width") };
            }
        }
        fail("an integer of its width")
    }

    fn take<const N: usize>(&mut self) -> Read<[u8; N]> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<N>() else {
            return fail("more bytes");
        };
        self.bytes = rest;
        Ok(*head)
    }

    fn flag(&mut self) -> Read<bool> {
        match self.take::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => fail("0 or 1"),
        }
    }

    fn len(&mut self) -> Read<u64> {
        Ok(self.varint(&Schema::U64)? as u64)
    }

    fn block(&mut self) -> Read<&[u8]> {
        let len = usize::try_from(self.len()?).unwrap_or(usize::MAX);
        let Some((head, rest)) = self.bytes.split_at_checked(len) else {
            return fail("as many bytes as the length says");
        };
        self.bytes = rest;
        Ok(head)
    }

    fn text(&mut self) -> Read<String> {
        match std::str::from_utf8(self.block()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => fail("UTF-8"),
        }
    }

    /// The number of elements, refused where it could not be true.
    fn count(&mut self) -> Read<u64> {
        let count = self.len()?;
        let most = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX).max(MAX_EMPTY);
        if count <= most { Ok(count) } else { fail("at most as many elements as bytes") }
    }

    fn elements(&mut self, inner: &Schema) -> Read<Vec<Value>> {
        let count = self.count()?;
        (0..count).map(|index| within(self.value(inner), || format!("[{index}]"))).collect()
    }

    /// An object where the keys are names, else an array of pairs, as serde's JSON has it.
    fn entries(&mut self, key: &Schema, value: &Schema) -> Read<Value> {
        let mut object = Map::new();
        let mut pairs = Vec::new();
        let named = key.is_name();
        for index in 0..self.count()? {
            let key = within(self.value(key), || format!(".key {index}"))?;
            let value = within(self.value(value), || format!("[{key}]"))?;
            match key {
                Value::String(name) if named => drop(object.insert(name, value)),
                other if named => drop(object.insert(other.to_string(), value)),
                key => pairs.push(Value::Array(vec![key, value])),
            }
        }
        Ok(if named { Value::Object(object) } else { Value::Array(pairs) })
    }

    /// One part stands for itself, as it does in serde's JSON.
    fn tuple(&mut self, parts: &[Schema]) -> Read<Value> {
        if let [only] = parts {
            return self.value(only);
        }
        let read = |(index, part)| within(self.value(part), || format!(".{index}"));
        parts.iter().enumerate().map(read).collect::<Read<Vec<_>>>().map(Value::Array)
    }

    fn fields(&mut self, fields: &[(String, Schema)]) -> Read<Map<String, Value>> {
        let read = |(name, schema): &(String, Schema)| {
            Ok((name.clone(), within(self.value(schema), || format!(".{name}"))?))
        };
        fields.iter().map(read).collect()
    }

    fn variant(&mut self, variants: &[(String, Schema)]) -> Read<Value> {
        let index = usize::try_from(self.varint(&Schema::U32)?).unwrap_or(usize::MAX);
        let Some((name, schema)) = variants.get(index) else { return fail("a known variant") };
        if *schema == Schema::Unit {
            return Ok(Value::String(name.clone()));
        }
        let content = within(self.value(schema), || format!(".{name}"))?;
        Ok(Value::Object(Map::from_iter([(name.clone(), content)])))
    }
}

/// JSON numbers end at 64 bits; what is larger is shown as text.
fn whole(value: i128) -> Value {
    Number::from_i128(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

fn unsigned(value: u128) -> Value {
    Number::from_u128(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}
