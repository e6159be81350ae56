//! Reads SCALE bytes into a [`Value`] by the types of live metadata.
//!
//! Invariant: the bytes come from the network, so depth and lengths are limited before anything is allocated. Composites of
//! one field become that field; a variant's single named field keeps its name, because events are read by it.

use subxt::ext::scale_decode::visitor::{DecodeError, TypeIdFor, Visitor, types};

use crate::value::{ShapeError, Value};

/// Deepest nesting read; subtensor's deepest type (a call in a call in an event) has under 20.
const MAX_DEPTH: usize = 64;
/// Most items read in one list.
const MAX_ITEMS: usize = 1 << 20;

type Registry = scale_info::PortableRegistry;

impl From<DecodeError> for ShapeError {
    fn from(error: DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// The visitor behind [`Value::decode`].
#[derive(Clone, Copy)]
pub(crate) struct Reader<'r> {
    types: &'r Registry,
    depth: usize,
}

impl<'r> Reader<'r> {
    pub(crate) fn new(types: &'r Registry) -> Self {
        Self { types, depth: 0 }
    }

    fn deeper(self) -> Result<Self, ShapeError> {
        if self.depth >= MAX_DEPTH {
            return Err(ShapeError(format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Whether the items of sequence or array `ty` are plain `u8`s, or compact ones (which are still bytes to us).
    fn byte_items(&self, ty: u32) -> Option<Items> {
        use scale_info::{TypeDef, TypeDefPrimitive::U8};
        let item = match &self.types.resolve(ty)?.type_def {
            TypeDef::Sequence(sequence) => sequence.type_param.id,
            TypeDef::Array(array) => array.type_param.id,
            _ => return None,
        };
        match &self.types.resolve(item)?.type_def {
            TypeDef::Primitive(U8) => Some(Items::Bytes),
            TypeDef::Compact(compact) => match self.types.resolve(compact.type_param.id)?.type_def {
                TypeDef::Primitive(U8) => Some(Items::CompactBytes),
                _ => None,
            },
            _ => None,
        }
    }
}

enum Items {
    Bytes,
    CompactBytes,
}

/// Reads a list's items by `next`, which tells how much input is left after each.
fn items<'s>(
    count: usize,
    mut next: impl FnMut() -> Option<(Result<Value, ShapeError>, &'s [u8])>,
    mut left: usize,
) -> Result<Vec<Value>, ShapeError> {
    if count > MAX_ITEMS {
        return Err(ShapeError(format!("a list of {count} items, at most {MAX_ITEMS} are read")));
    }
    let mut values = Vec::with_capacity(count.min(left));
    while let Some((value, rest)) = next() {
        values.push(value?);
        // Items of no size would let a few bytes claim a million of them.
        if rest.len() == left && values.len() > 64 {
            return Err(ShapeError("a long list of empty items".into()));
        }
        left = rest.len();
    }
    Ok(values)
}

fn narrow(values: Vec<Value>) -> Result<Value, ShapeError> {
    values.iter().map(Value::number).collect::<Result<Vec<u8>, _>>().map(Value::Bytes)
}

/// The methods of a visitor that take one scalar.
macro_rules! scalars {
    ($($method:ident($value:ident: $ty:ty) => $read:expr;)*) => {$(
        fn $method<'s, 't>(self, $value: $ty, _: TypeIdFor<Self>) -> Result<Self::Value<'s, 't>, ShapeError> {
            Ok($read)
        }
    )*};
}

impl<'r> Visitor for Reader<'r> {
    type Value<'scale, 'resolver> = Value;
    type Error = ShapeError;
    type TypeResolver = Registry;

    scalars! {
        visit_bool(value: bool) => Value::Bool(value);
        visit_char(value: char) => Value::Text(value.into());
        visit_u8(value: u8) => Value::Uint(value.into());
        visit_u16(value: u16) => Value::Uint(value.into());
        visit_u32(value: u32) => Value::Uint(value.into());
        visit_u64(value: u64) => Value::Uint(value.into());
        visit_u128(value: u128) => Value::Uint(value);
        visit_i8(value: i8) => Value::Int(value.into());
        visit_i16(value: i16) => Value::Int(value.into());
        visit_i32(value: i32) => Value::Int(value.into());
        visit_i64(value: i64) => Value::Int(value.into());
        visit_i128(value: i128) => Value::Int(value);
    }

    fn visit_u256<'t>(self, value: &[u8; 32], _: TypeIdFor<Self>) -> Result<Self::Value<'_, 't>, ShapeError> {
        Ok(Value::Bytes(value.to_vec()))
    }
    fn visit_i256<'t>(self, value: &[u8; 32], _: TypeIdFor<Self>) -> Result<Self::Value<'_, 't>, ShapeError> {
        Ok(Value::Bytes(value.to_vec()))
    }
    fn visit_str<'s, 't>(
        self,
        value: &mut types::Str<'s>,
        _: TypeIdFor<Self>,
    ) -> Result<Self::Value<'s, 't>, ShapeError> {
        Ok(Value::Text(value.as_str()?.to_owned()))
    }
    fn visit_bitsequence<'s, 't>(
        self,
        value: &mut types::BitSequence<'s>,
        _: TypeIdFor<Self>,
    ) -> Result<Self::Value<'s, 't>, ShapeError> {
        let bits: Vec<bool> = value.decode()?.collect::<Result<_, _>>().map_err(|e| ShapeError(e.to_string()))?;
        Ok(Value::List(bits.into_iter().map(Value::Bool).collect()))
    }
    fn visit_sequence<'s, 't>(
        self,
        value: &mut types::Sequence<'s, 't, Registry>,
        ty: TypeIdFor<Self>,
    ) -> Result<Self::Value<'s, 't>, ShapeError> {
        let (reader, count, input) = (self.deeper()?, value.remaining(), value.bytes_from_undecoded());
        let kind = self.byte_items(ty);
        if matches!(kind, Some(Items::Bytes)) {
            let bytes = input.get(..count).ok_or_else(|| ShapeError("ends within a list of bytes".into()))?.to_vec();
            value.skip_decoding()?;
            return Ok(Value::Bytes(bytes));
        }
        let next = || value.decode_item(reader).map(|item| (item, value.bytes_from_undecoded()));
        let list = items(count, next, input.len())?;
        if kind.is_some() { narrow(list) } else { Ok(Value::List(list)) }
    }
    fn visit_array<'s, 't>(
        self,
        value: &mut types::Array<'s, 't, Registry>,
        ty: TypeIdFor<Self>,
    ) -> Result<Self::Value<'s, 't>, ShapeError> {
        let (reader, count, input) = (self.deeper()?, value.remaining(), value.bytes_from_undecoded());
        let kind = self.byte_items(ty);
        if matches!(kind, Some(Items::Bytes)) {
            let bytes = input.get(..count).ok_or_else(|| ShapeError("ends within an array".into()))?.to_vec();
            value.skip_decoding()?;
            return Ok(Value::Bytes(bytes));
        }
        let next = || value.decode_item(reader).map(|item| (item, value.bytes_from_undecoded()));
        let list = items(count, next, input.len())?;
        if kind.is_some() { narrow(list) } else { Ok(Value::List(list)) }
    }
    fn visit_tuple<'s, 't>(
        self,
        value: &mut types::Tuple<'s, 't, Registry>,
        _: TypeIdFor<Self>,
    ) -> Result<Self::Value<'s, 't>, ShapeError> {
        let reader = self.deeper()?;
        let mut list = Vec::with_capacity(value.remaining());
        while let Some(item) = value.decode_item(reader) {
            list.push(item?);
        }
        Ok(collapse(list.into_iter().map(|value| (None, value)).collect(), true))
    }
    fn visit_composite<'s, 't>(
        self,
        value: &mut types::Composite<'s, 't, Registry>,
        _: TypeIdFor<Self>,
    ) -> Result<Self::Value<'s, 't>, ShapeError> {
        Ok(collapse(fields(value, self.deeper()?)?, true))
    }
    fn visit_variant<'s, 't>(
        self,
        value: &mut types::Variant<'s, 't, Registry>,
        _: TypeIdFor<Self>,
    ) -> Result<Self::Value<'s, 't>, ShapeError> {
        let name = value.name().to_owned();
        let fields = collapse(fields(value.fields(), self.deeper()?)?, false);
        Ok(Value::Variant(name, Box::new(fields)))
    }
}

type Fields = Vec<(Option<String>, Value)>;

fn fields(value: &mut types::Composite<'_, '_, Registry>, reader: Reader<'_>) -> Result<Fields, ShapeError> {
    let mut fields = Vec::with_capacity(value.remaining());
    loop {
        let name = value.peek_name().map(str::to_owned);
        let Some(item) = value.decode_item(reader) else { return Ok(fields) };
        let item = item.map_err(|error| match &name {
            Some(name) => ShapeError(format!("{name}: {error}")),
            None => error,
        })?;
        fields.push((name, item));
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
