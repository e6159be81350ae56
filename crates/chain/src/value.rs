//! SCALE values by name: how anything on chain is read and written without knowing its Rust type.
//!
//! Invariant (design D6): a composite of one field is its field, so `u16`, `NetUid(u16)` and `Compact<NetUid>` read and write
//! alike; fields are found by name, so added ones do not matter and missing ones are named.

use scale_info::PortableRegistry;
use starling_keys::Account;
use subxt::ext::scale_value;

use crate::decode::Reader;

/// A decoded SCALE value, or an argument to encode.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No data: `()`, an empty composite, a variant without fields.
    Unit,
    /// A truth value.
    Bool(bool),
    /// Any unsigned number.
    Uint(u128),
    /// Any signed number.
    Int(i128),
    /// A string or a character.
    Text(String),
    /// A list or array of bytes: accounts, hashes, names.
    Bytes(Vec<u8>),
    /// A list, array, tuple, or composite without field names.
    List(Vec<Value>),
    /// A composite with field names.
    Record(Vec<(String, Value)>),
    /// A variant and its fields.
    Variant(String, Box<Value>),
}

/// Why a value is not what was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(pub(crate) String);

impl Value {
    /// Decodes one value of type `ty` from the start of `bytes`, which must hold nothing else.
    ///
    /// # Errors
    /// [`ShapeError`] for truncated, left-over, over-long or over-deep data.
    pub fn decode(bytes: &[u8], ty: u32, types: &PortableRegistry) -> Result<Self, ShapeError> {
        let mut reader = Reader::new(types, bytes);
        let value = reader.read(ty, false, 0)?;
        if !reader.rest().is_empty() {
            return Err(ShapeError(format!("{} of {} bytes are left over", reader.rest().len(), bytes.len())));
        }
        Ok(value)
    }

    /// Appends the encoding as type `ty`.
    ///
    /// # Errors
    /// [`ShapeError`] if the value does not fit the type.
    pub fn encode_to(&self, ty: u32, types: &PortableRegistry, out: &mut Vec<u8>) -> Result<(), ShapeError> {
        use subxt::ext::scale_encode::EncodeAsType as _;
        self.to_scale().encode_as_type_to(ty, types, out).map_err(|error| ShapeError(error.to_string()))
    }

    /// A variant without fields, or with the given ones.
    #[must_use]
    pub fn variant(name: &str, fields: Value) -> Self {
        Self::Variant(name.to_owned(), Box::new(fields))
    }

    /// A composite by field names.
    #[must_use]
    pub fn record(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Self::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// For the encoder.
    #[must_use]
    pub fn to_scale(&self) -> scale_value::Value {
        use scale_value::Value as Scale;
        match self {
            Self::Unit => Scale::unnamed_composite([]),
            Self::Bool(value) => Scale::bool(*value),
            Self::Uint(value) => Scale::u128(*value),
            Self::Int(value) => Scale::i128(*value),
            Self::Text(text) => Scale::string(text.clone()),
            Self::Bytes(bytes) => Scale::from_bytes(bytes),
            Self::List(items) => Scale::unnamed_composite(items.iter().map(Self::to_scale)),
            Self::Record(fields) => {
                Scale::named_composite(fields.iter().map(|(name, value)| (name.clone(), value.to_scale())))
            }
            Self::Variant(name, fields) => Scale::variant(name.clone(), fields.to_composite()),
        }
    }

    /// The value as the fields of a call or variant: a record by name, nothing as no field, else one unnamed field.
    #[must_use]
    pub fn to_composite(&self) -> scale_value::Composite<()> {
        match self {
            Self::Unit => scale_value::Composite::unnamed([]),
            Self::Record(fields) => {
                scale_value::Composite::named(fields.iter().map(|(name, value)| (name.clone(), value.to_scale())))
            }
            other => scale_value::Composite::unnamed([other.to_scale()]),
        }
    }

    /// What it is, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Unit => "nothing",
            Self::Bool(_) => "a bool",
            Self::Uint(_) | Self::Int(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Record(_) => "a record",
            Self::Variant(..) => "a variant",
        }
    }

    fn wanted<T>(&self, what: &str) -> Result<T, ShapeError> {
        Err(ShapeError(format!("expected {what}, found {}", self.kind())))
    }

    /// A record's field.
    ///
    /// # Errors
    /// [`ShapeError`] naming the missing field and those there.
    pub fn get(&self, name: &str) -> Result<&Value, ShapeError> {
        let Self::Record(fields) = self else { return self.wanted(&format!("a record with `{name}`")) };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value).ok_or_else(|| {
            let known: Vec<_> = fields.iter().map(|(field, _)| field.as_str()).collect();
            ShapeError(format!("no field `{name}` among {}", known.join(", ")))
        })
    }

    /// A field of a record, or the value itself where the composite had only that field.
    #[must_use]
    pub fn field_or_self(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(self)
    }

    /// The item at `index` of a list, or of a record by position.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn at(&self, index: usize) -> Result<&Value, ShapeError> {
        let found = match self {
            Self::List(items) => items.get(index),
            Self::Record(fields) => fields.get(index).map(|(_, value)| value),
            _ => return self.wanted("a list"),
        };
        found.ok_or_else(|| ShapeError(format!("no item {index}")))
    }

    /// A variant's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        if let Self::Variant(name, _) = self { Some(name) } else { None }
    }

    /// The fields of the variant `name`, if it is that one.
    #[must_use]
    pub fn as_variant(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Variant(found, fields) if found == name => Some(fields),
            _ => None,
        }
    }

    /// `Option<T>` as one.
    ///
    /// # Errors
    /// [`ShapeError`] if it is none.
    pub fn optional(&self) -> Result<Option<&Value>, ShapeError> {
        match self {
            Self::Variant(name, fields) if name == "Some" => Ok(Some(fields)),
            Self::Variant(name, _) if name == "None" => Ok(None),
            _ => self.wanted("an option"),
        }
    }

    /// Any number that fits `T`.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn number<T: TryFrom<u128>>(&self) -> Result<T, ShapeError> {
        let number = match self {
            Self::Uint(number) => *number,
            Self::Int(number) if *number >= 0 => number.unsigned_abs(),
            _ => return self.wanted("an unsigned number"),
        };
        T::try_from(number).map_err(|_| ShapeError(format!("{number} does not fit its type here")))
    }

    /// Raw bits of a signed fixed-point number.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn signed(&self) -> Result<i128, ShapeError> {
        match self {
            Self::Int(number) => Ok(*number),
            Self::Uint(number) => i128::try_from(*number).map_err(|_| ShapeError(format!("{number} is too large"))),
            _ => self.wanted("a number"),
        }
    }

    /// # Errors
    /// [`ShapeError`].
    pub fn truth(&self) -> Result<bool, ShapeError> {
        if let Self::Bool(value) = self { Ok(*value) } else { self.wanted("a bool") }
    }

    /// # Errors
    /// [`ShapeError`].
    pub fn list(&self) -> Result<&[Value], ShapeError> {
        match self {
            Self::List(items) => Ok(items),
            // An empty list of bytes and an empty list of anything else look alike.
            Self::Bytes(bytes) if bytes.is_empty() => Ok(&[]),
            _ => self.wanted("a list"),
        }
    }

    /// A list with each item read by `read`.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn map<T>(&self, read: impl Fn(&Value) -> Result<T, ShapeError>) -> Result<Vec<T>, ShapeError> {
        self.list()?.iter().map(read).collect()
    }

    /// # Errors
    /// [`ShapeError`].
    pub fn bytes(&self) -> Result<&[u8], ShapeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::List(items) if items.is_empty() => Ok(&[]),
            _ => self.wanted("bytes"),
        }
    }

    /// Bytes that should be UTF-8, as people write names on chain; others are replaced.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn text(&self) -> Result<String, ShapeError> {
        if let Self::Text(text) = self {
            return Ok(text.clone());
        }
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// 32 bytes.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn hash(&self) -> Result<[u8; 32], ShapeError> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| ShapeError(format!("expected 32 bytes, found {}", bytes.len())))
    }

    /// An account.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn account(&self) -> Result<Account, ShapeError> {
        self.hash().map(Account)
    }
}

macro_rules! from_unsigned {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Value {
            fn from(number: $ty) -> Self {
                Self::Uint(number.into())
            }
        }
    )*};
}
from_unsigned!(u8, u16, u32, u64, u128);

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&Account> for Value {
    fn from(account: &Account) -> Self {
        Self::Bytes(account.0.to_vec())
    }
}

impl From<[u8; 32]> for Value {
    fn from(hash: [u8; 32]) -> Self {
        Self::Bytes(hash.to_vec())
    }
}

impl From<&[u16]> for Value {
    fn from(numbers: &[u16]) -> Self {
        Self::List(numbers.iter().map(|number| Self::from(*number)).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, dead_code)]
mod tests {
    use parity_scale_codec::{Compact, Encode};
    use scale_info::{MetaType, Registry, TypeInfo};

    use super::*;

    #[derive(Encode, TypeInfo)]
    struct NetUid(u16);
    #[derive(Encode, TypeInfo)]
    struct Wrapped {
        inner: NetUid,
    }
    #[derive(Encode, TypeInfo)]
    struct Bits {
        bits: i128,
    }
    /// As an old runtime might have it.
    #[derive(Encode, TypeInfo)]
    struct Old {
        netuid: u16,
        name: Vec<Compact<u8>>,
        price: Bits,
    }
    /// As a new one might: newtypes, a field more, another order.
    #[derive(Encode, TypeInfo)]
    struct New {
        added: Option<u64>,
        price: Bits,
        name: Vec<u8>,
        netuid: Wrapped,
    }
    #[derive(Encode, TypeInfo)]
    enum Event {
        Bare,
        One(NetUid),
        Named { who: [u8; 32] },
        Two(u8, bool),
    }
    #[derive(Encode, TypeInfo)]
    struct Nothing;
    #[derive(Encode, TypeInfo)]
    struct Nest(Option<Box<Nest>>, u8);

    fn registry<T: TypeInfo + 'static>() -> (u32, PortableRegistry) {
        let mut registry = Registry::new();
        let id = registry.register_type(&MetaType::new::<T>()).id;
        (id, registry.into())
    }

    fn read<T: TypeInfo + Encode + 'static>(value: &T) -> Value {
        let (ty, types) = registry::<T>();
        Value::decode(&value.encode(), ty, &types).unwrap()
    }

    #[test]
    fn a_newtype_a_moved_field_and_an_added_one_read_alike() {
        let name: Vec<_> = b"iota".iter().map(|byte| Compact(*byte)).collect();
        let old = read(&Old { netuid: 9, name, price: Bits { bits: -5 } });
        let new = read(&New {
            added: Some(1),
            price: Bits { bits: -5 },
            name: b"iota".to_vec(),
            netuid: Wrapped { inner: NetUid(9) },
        });
        for value in [old, new] {
            assert_eq!(value.get("netuid").unwrap().number::<u16>().unwrap(), 9);
            assert_eq!(value.get("name").unwrap().text().unwrap(), "iota");
            assert_eq!(value.get("price").unwrap().signed().unwrap(), -5);
        }
    }

    #[test]
    fn a_plain_number_writes_into_a_newtype() {
        let plain = Value::from(9_u16);
        for (ty, types) in [registry::<u16>(), registry::<NetUid>(), registry::<Wrapped>()] {
            let mut bytes = Vec::new();
            plain.encode_to(ty, &types, &mut bytes).unwrap();
            assert_eq!(bytes, [9, 0]);
        }
        let (ty, types) = registry::<Compact<u32>>();
        let mut bytes = Vec::new();
        plain.encode_to(ty, &types, &mut bytes).unwrap();
        assert_eq!(bytes, [36]);
        let (ty, types) = registry::<NetUid>();
        assert!(Value::from(70_000_u32).encode_to(ty, &types, &mut Vec::new()).is_err(), "no silent truncation");
    }

    #[test]
    fn a_list_of_one_stays_a_list() {
        let (ty, types) = registry::<Vec<u16>>();
        let one = Value::from([7_u16].as_slice());
        let mut bytes = Vec::new();
        one.encode_to(ty, &types, &mut bytes).unwrap();
        assert_eq!(bytes, vec![7_u16].encode());
        assert_eq!(Value::decode(&bytes, ty, &types).unwrap(), one);
    }

    #[test]
    fn variants_keep_what_names_they_have() {
        assert_eq!(read(&Event::Bare), Value::variant("Bare", Value::Unit));
        assert_eq!(read(&Event::One(NetUid(3))), Value::variant("One", Value::Uint(3)));
        let named = read(&Event::Named { who: [1; 32] });
        assert_eq!(named.as_variant("Named").unwrap().get("who").unwrap().hash().unwrap(), [1; 32]);
        let two = read(&Event::Two(4, true));
        assert_eq!(two.as_variant("Two").unwrap().at(1).unwrap(), &Value::Bool(true));
        assert_eq!(read(&Some(5_u64)).optional().unwrap(), Some(&Value::Uint(5)));
        assert_eq!(read(&None::<u64>).optional().unwrap(), None);
    }

    #[test]
    fn a_missing_field_is_named_with_those_there() {
        let error = read(&Event::Two(1, true)).get("x").unwrap_err();
        assert!(error.to_string().contains("`x`"), "{error}");
        let error =
            read(&New { added: None, price: Bits { bits: 0 }, name: vec![], netuid: Wrapped { inner: NetUid(1) } })
                .get("tempo")
                .unwrap_err()
                .to_string();
        assert!(error.contains("no field `tempo` among added, price, name, netuid"), "{error}");
    }

    #[test]
    fn truncated_left_over_and_inflated_data_are_errors() {
        let (ty, types) = registry::<Vec<u16>>();
        let good = vec![1_u16, 2, 3].encode();
        assert!(Value::decode(&good[..good.len() - 1], ty, &types).is_err());
        assert!(Value::decode(&[good.as_slice(), &[0]].concat(), ty, &types).is_err());
        // A length of a thousand million with nothing behind it; and as many items that take no room.
        let inflated = Compact(1_000_000_000_u32).encode();
        assert!(Value::decode(&inflated, ty, &types).is_err());
        for (ty, types) in [registry::<Vec<u8>>(), registry::<Vec<Nothing>>(), registry::<Vec<Compact<u8>>>()] {
            assert!(Value::decode(&inflated, ty, &types).is_err());
        }
    }

    #[test]
    fn nesting_without_end_is_an_error() {
        let (ty, types) = registry::<Nest>();
        assert!(Value::decode(&vec![1; 10_000], ty, &types).is_err());
    }
}
