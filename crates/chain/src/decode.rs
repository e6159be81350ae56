//! Reads SCALE bytes into a [`Value`] by the types of live metadata.
//!
//! Invariant: bytes and types come from the network, so depth, lengths and the number of values are limited before anything is
//! allocated. (Own code rather than scale-decode's visitor, which after an error skips the rest of the value by unlimited recursion, and
//! counts through as many empty items as four bytes can claim.) Composites of one field become that field; a variant's single named
//! field keeps its name, because events are read by it.

use parity_scale_codec::{Compact, Decode};
use scale_info::{Field, PortableRegistry, TypeDef, TypeDefPrimitive, form::PortableForm};

use crate::value::{ShapeError, Value};

/// Deepest nesting read; subtensor's deepest type (a call in a call in an event) has under 20.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most values read at once; a metagraph of 4096 neurons has under 100,000.
const MAX_VALUES: usize = 4 << 20;
/// Most items of no size in one list.
const MAX_EMPTY_ITEMS: usize = 64;

/// A cursor over the bytes of one value.
pub(crate) struct Reader<'r, 'b> {
    types: &'r PortableRegistry,
    rest: &'b [u8],
    values: usize,
}

type Fields = Vec<(Option<String>, Value)>;

fn fail<T>(reason: impl Into<String>) -> Result<T, ShapeError> {
    Err(ShapeError(reason.into()))
}

impl<'r, 'b> Reader<'r, 'b> {
    pub(crate) fn new(types: &'r PortableRegistry, bytes: &'b [u8]) -> Self {
        Self { types, rest: bytes, values: 0 }
    }

    /// What was not read.
    pub(crate) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// One value of type `ty`; `compact` if it stands inside a `Compact`.
    pub(crate) fn read(&mut self, ty: u32, compact: bool, depth: usize) -> Result<Value, ShapeError> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return fail(format!("nested deeper than {MAX_DEPTH}, or more than {MAX_VALUES} values"));
        }
        let Some(found) = self.types.resolve(ty) else { return fail(format!("metadata lacks type {ty}")) };
        match &found.type_def {
            TypeDef::Primitive(primitive) if compact => self.compact(primitive),
            TypeDef::Primitive(primitive) => self.primitive(primitive),
            TypeDef::Compact(inner) => self.read(inner.type_param.id, true, depth + 1),
            TypeDef::Composite(def) => {
                let fields = self.fields(&def.fields, compact, depth)?;
                Ok(collapse(fields, true))
            }
            TypeDef::Tuple(def) => {
                let mut fields = Vec::with_capacity(def.fields.len());
                for field in &def.fields {
                    fields.push((None, self.read(field.id, compact && def.fields.len() == 1, depth + 1)?));
                }
                Ok(collapse(fields, true))
            }
            TypeDef::Variant(def) => {
                let [index] = self.array()?;
                let Some(variant) = def.variants.iter().find(|variant| variant.index == index) else {
                    return fail(format!("no variant {index} in {}", found.path));
                };
                let fields = self.fields(&variant.fields, false, depth)?;
                Ok(Value::Variant(variant.name.clone(), Box::new(collapse(fields, false))))
            }
            TypeDef::Sequence(def) => {
                let count = self.scale::<Compact<u32>>()?.0 as usize;
                self.list(def.type_param.id, count, depth)
            }
            TypeDef::Array(def) => self.list(def.type_param.id, def.len as usize, depth),
            TypeDef::BitSequence(_) => fail("a bit sequence, which no runtime read here has"),
        }
    }

    fn fields(&mut self, fields: &[Field<PortableForm>], compact: bool, depth: usize) -> Result<Fields, ShapeError> {
        let compact = compact && fields.len() == 1;
        let read = |field: &Field<PortableForm>| {
            let value = self.read(field.ty.id, compact, depth + 1);
            let value = value.map_err(|error| match &field.name {
                Some(name) => ShapeError(format!("{name}: {error}")),
                None => error,
            });
            Ok((field.name.clone(), value?))
        };
        fields.iter().map(read).collect()
    }

    fn list(&mut self, item: u32, count: usize, depth: usize) -> Result<Value, ShapeError> {
        let item_type = self.types.resolve(item).map(|ty| &ty.type_def);
        if let Some(TypeDef::Primitive(TypeDefPrimitive::U8)) = item_type {
            return Ok(Value::Bytes(self.take(count)?.to_vec()));
        }
        if count > self.rest.len().max(MAX_EMPTY_ITEMS) {
            return fail(format!("a list of {count} items in {} bytes", self.rest.len()));
        }
        // `Vec<Compact<u8>>` is how the chain writes names: bytes to everybody but the codec.
        let bytes = match item_type {
            Some(TypeDef::Compact(inner)) => {
                let inner = self.types.resolve(inner.type_param.id).map(|ty| &ty.type_def);
                matches!(inner, Some(TypeDef::Primitive(TypeDefPrimitive::U8)))
            }
            _ => false,
        };
        if bytes {
            let read = |_| self.read(item, false, depth + 1)?.number::<u8>();
            return (0..count).map(read).collect::<Result<_, _>>().map(Value::Bytes);
        }
        (0..count).map(|_| self.read(item, false, depth + 1)).collect::<Result<_, _>>().map(Value::List)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], ShapeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return fail(format!("wants {count} bytes where {} are left", self.rest.len()));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| ShapeError("too short".into()))
    }

    fn scale<T: Decode>(&mut self) -> Result<T, ShapeError> {
        T::decode(&mut self.rest).map_err(|error| ShapeError(error.to_string()))
    }

    fn primitive(&mut self, primitive: &TypeDefPrimitive) -> Result<Value, ShapeError> {
        use TypeDefPrimitive as P;
        Ok(match primitive {
            P::Bool => Value::Bool(self.scale()?),
            P::Char => match char::from_u32(u32::from_le_bytes(self.array()?)) {
                Some(char) => Value::Text(char.into()),
                None => return fail("not a character"),
            },
            P::Str => {
                let count = self.scale::<Compact<u32>>()?.0 as usize;
                match std::str::from_utf8(self.take(count)?) {
                    Ok(text) => Value::Text(text.to_owned()),
                    Err(_) => return fail("text that is not UTF-8"),
                }
            }
            P::U8 => Value::from(u8::from_le_bytes(self.array()?)),
            P::U16 => Value::from(u16::from_le_bytes(self.array()?)),
            P::U32 => Value::from(u32::from_le_bytes(self.array()?)),
            P::U64 => Value::from(u64::from_le_bytes(self.array()?)),
            P::U128 => Value::from(u128::from_le_bytes(self.array()?)),
            P::I8 => Value::Int(i8::from_le_bytes(self.array()?).into()),
            P::I16 => Value::Int(i16::from_le_bytes(self.array()?).into()),
            P::I32 => Value::Int(i32::from_le_bytes(self.array()?).into()),
            P::I64 => Value::Int(i64::from_le_bytes(self.array()?).into()),
            P::I128 => Value::Int(i128::from_le_bytes(self.array()?)),
            P::U256 | P::I256 => Value::Bytes(self.take(32)?.to_vec()),
        })
    }

    fn compact(&mut self, primitive: &TypeDefPrimitive) -> Result<Value, ShapeError> {
        use TypeDefPrimitive as P;
        let largest = match primitive {
            P::U8 => u8::MAX.into(),
            P::U16 => u16::MAX.into(),
            P::U32 => u32::MAX.into(),
            P::U64 => u64::MAX.into(),
            P::U128 => u128::MAX,
            _ => return fail("a compact of something that is no unsigned number"),
        };
        let number = self.scale::<Compact<u128>>()?.0;
        if number > largest { fail(format!("{number} does not fit its type")) } else { Ok(Value::Uint(number)) }
    }
}

/// Fields as a value: nothing, the single field itself (always if unnamed, named ones if `newtype`), a record or a list.
fn collapse(mut fields: Fields, newtype: bool) -> Value {
    match fields.len() {
        0 => return Value::Unit,
        1 if newtype || fields.iter().all(|(name, _)| name.is_none()) => {
            if let Some((_, value)) = fields.pop() {
                return value;
            }
        }
        _ => {}
    }
    if fields.iter().all(|(name, _)| name.is_some()) {
        Value::Record(fields.into_iter().map(|(name, value)| (name.unwrap_or_default(), value)).collect())
    } else {
        Value::List(fields.into_iter().map(|(_, value)| value).collect())
    }
}
