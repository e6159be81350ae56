//! One runtime version: its live metadata, and every name looked up in it.
//!
//! Invariant: pallets, calls, storage, runtime APIs, errors and extensions are found by name (design D6); what is not there is
//! [`ChainError::Absent`] with the spec version, never a guess.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use frame_metadata::RuntimeMetadata;
use parity_scale_codec::{Compact, Decode as _, DecodeAll as _, Encode as _};
use scale_info::{PortableRegistry, TypeDef};
use subxt::{
    ArcMetadata, Metadata, OfflineClient, OfflineClientAtBlock, SubstrateConfig,
    config::substrate::{H256, SpecVersionForRange},
    ext::{frame_decode::storage::StorageHasher, scale_value::Composite},
};

use crate::{ChainError, decode::MAX_DEPTH, value::Value};

/// Newest metadata version this client reads.
pub const NEWEST_METADATA: u32 = 16;

/// Metadata of one runtime version and what is built from it.
#[derive(Debug)]
pub struct Runtime {
    /// The runtime's `spec_version`.
    pub spec: u32,
    metadata: ArcMetadata,
    transactions: OfflineClientAtBlock<SubstrateConfig>,
}

/// A storage entry's key and how to read its value.
#[derive(Debug)]
pub struct StorageQuery {
    /// The full key.
    pub key: Vec<u8>,
    what: String,
    ty: u32,
    default: Option<Vec<u8>>,
}

/// A runtime API call's name and arguments, and how to read its answer.
#[derive(Debug)]
pub struct ApiQuery {
    /// `Trait_method`, as `state_call` takes it.
    pub function: String,
    /// The arguments, SCALE.
    pub arguments: Vec<u8>,
    ty: u32,
}

/// A call as it was read from its bytes: pallet, name, arguments by name.
pub type ReadCall = (String, String, Vec<(String, Value)>);

/// An error variant as metadata describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleError {
    /// The pallet.
    pub pallet: String,
    /// The variant.
    pub name: String,
    /// Its documentation on chain.
    pub docs: String,
}

impl Runtime {
    /// From the bytes of `RuntimeMetadataPrefixed`, V14 to V16.
    ///
    /// # Errors
    /// [`ChainError::Decode`].
    pub fn new(bytes: &[u8], spec: u32, transaction_version: u32, genesis: [u8; 32]) -> Result<Self, ChainError> {
        let decode = |reason: String| ChainError::Decode { what: "the runtime's metadata".into(), spec, reason };
        let metadata = read_metadata(bytes).map_err(decode)?.arc();
        if let Some(ty) = endless(metadata.types()) {
            return Err(decode(format!("its type {ty} contains itself, or nests too deep")));
        }
        let every_block = SpecVersionForRange { block_range: 0..u64::MAX, spec_version: spec, transaction_version };
        let config = SubstrateConfig::builder()
            .set_genesis_hash(H256(genesis))
            .set_spec_version_for_block_ranges([every_block])
            .set_metadata_for_spec_versions([(spec, Arc::clone(&metadata))])
            .build();
        let transactions =
            OfflineClient::new_with_config(config).at_block(0_u64).map_err(|error| decode(error.to_string()))?;
        Ok(Self { spec, metadata, transactions })
    }

    /// The builder of extrinsics for this runtime.
    pub fn transactions(&self) -> &OfflineClientAtBlock<SubstrateConfig> {
        &self.transactions
    }

    fn absent(&self, what: String) -> ChainError {
        ChainError::Absent { what, spec: self.spec }
    }

    /// True if the call exists.
    pub fn has_call(&self, pallet: &str, call: &str) -> bool {
        self.metadata.pallet_by_name(pallet).is_some_and(|pallet| pallet.call_variant_by_name(call).is_some())
    }

    /// True if the storage entry exists.
    pub fn has_storage(&self, pallet: &str, entry: &str) -> bool {
        self.metadata.pallet_by_name(pallet).and_then(|pallet| pallet.storage()?.entry_by_name(entry)).is_some()
    }

    /// True if the event exists.
    pub fn has_event(&self, pallet: &str, event: &str) -> bool {
        let events = self.metadata.pallet_by_name(pallet).and_then(|pallet| pallet.event_variants());
        events.is_some_and(|events| events.iter().any(|known| known.name == event))
    }

    /// True if the runtime API method exists.
    pub fn has_api(&self, api: &str, method: &str) -> bool {
        self.metadata.runtime_api_trait_by_name(api).is_some_and(|api| api.method_by_name(method).is_some())
    }

    /// The key of a storage entry, with all its keys given.
    ///
    /// # Errors
    /// [`ChainError::Absent`], [`ChainError::Arguments`].
    pub fn storage(&self, pallet: &str, entry: &str, keys: &[Value]) -> Result<StorageQuery, ChainError> {
        self.storage_keyed(pallet, entry, keys, 0)
    }

    /// A map without its last key: what the keys of all entries begin with.
    ///
    /// # Errors
    /// As [`Runtime::storage`].
    pub fn storage_prefix(&self, pallet: &str, entry: &str, keys: &[Value]) -> Result<StorageQuery, ChainError> {
        self.storage_keyed(pallet, entry, keys, 1)
    }

    fn storage_keyed(
        &self,
        pallet: &str,
        entry: &str,
        keys: &[Value],
        open: usize,
    ) -> Result<StorageQuery, ChainError> {
        let what = format!("storage {pallet}.{entry}");
        let storage = self.metadata.pallet_by_name(pallet).and_then(|pallet| pallet.storage());
        let storage = storage.ok_or_else(|| self.absent(what.clone()))?;
        let entry = storage.entry_by_name(entry).ok_or_else(|| self.absent(what.clone()))?;
        let wrong = |reason: String| ChainError::Arguments { call: what.clone(), spec: self.spec, reason };
        if entry.keys().len() != keys.len() + open {
            return Err(wrong(format!("it has {} keys, this client knows {}", entry.keys().len(), keys.len() + open)));
        }
        let mut key = Vec::with_capacity(128);
        key.extend(sp_crypto_hashing::twox_128(storage.prefix().as_bytes()));
        key.extend(sp_crypto_hashing::twox_128(entry.name().as_bytes()));
        for (info, value) in entry.keys().zip(keys) {
            let mut encoded = Vec::new();
            value
                .encode_to(info.key_id, self.metadata.types(), &mut encoded)
                .map_err(|error| wrong(error.to_string()))?;
            hash_key(info.hasher, &encoded, &mut key);
        }
        Ok(StorageQuery { key, what, ty: entry.value_ty(), default: entry.default_value().map(<[u8]>::to_vec) })
    }

    /// Reads what the node returned for a query: `None` for an optional entry that is not set.
    ///
    /// # Errors
    /// [`ChainError::Decode`].
    pub fn read_storage(&self, query: &StorageQuery, bytes: Option<&[u8]>) -> Result<Option<Value>, ChainError> {
        let Some(bytes) = bytes.or(query.default.as_deref()) else { return Ok(None) };
        Value::decode(bytes, query.ty, self.metadata.types())
            .map(Some)
            .map_err(ChainError::decode(query.what.clone(), self.spec))
    }

    /// A runtime API call; `arguments` in the order of the trait.
    ///
    /// # Errors
    /// [`ChainError::Absent`] (metadata V14 describes no runtime API at all), [`ChainError::Arguments`].
    pub fn api(&self, api: &str, method: &str, arguments: &[Value]) -> Result<ApiQuery, ChainError> {
        let function = format!("{api}_{method}");
        let found = self.metadata.runtime_api_trait_by_name(api).and_then(|api| api.method_by_name(method));
        let found = found.ok_or_else(|| self.absent(format!("runtime API {function}")))?;
        let wrong = |reason: String| ChainError::Arguments { call: function.clone(), spec: self.spec, reason };
        if found.inputs().len() != arguments.len() {
            return Err(wrong(format!(
                "it takes {} arguments, this client knows {}",
                found.inputs().len(),
                arguments.len()
            )));
        }
        let mut encoded = Vec::new();
        for (input, value) in found.inputs().zip(arguments) {
            value
                .encode_to(input.id, self.metadata.types(), &mut encoded)
                .map_err(|error| wrong(format!("{}: {error}", input.name)))?;
        }
        Ok(ApiQuery { ty: found.output_ty(), arguments: encoded, function })
    }

    /// A runtime API call whose arguments are SCALE already: for those whose types metadata does not describe.
    ///
    /// # Errors
    /// [`ChainError::Absent`].
    pub fn api_encoded(&self, api: &str, method: &str, arguments: Vec<u8>) -> Result<ApiQuery, ChainError> {
        let function = format!("{api}_{method}");
        let found = self.metadata.runtime_api_trait_by_name(api).and_then(|api| api.method_by_name(method));
        let found = found.ok_or_else(|| self.absent(format!("runtime API {function}")))?;
        Ok(ApiQuery { ty: found.output_ty(), arguments, function })
    }

    /// Pallet, call and arguments by name, from a call's bytes.
    ///
    /// # Errors
    /// [`ChainError::Decode`].
    pub fn read_call(&self, bytes: &[u8]) -> Result<ReadCall, ChainError> {
        let wrong = || ChainError::decode("the call data", self.spec);
        let value =
            Value::decode(bytes, self.metadata.outer_enums().call_enum_ty(), self.metadata.types()).map_err(wrong())?;
        let no_call = || wrong()(crate::value::ShapeError("it is no call".into()));
        let Value::Variant(pallet, call) = value else { return Err(no_call()) };
        let Value::Variant(name, fields) = *call else { return Err(no_call()) };
        match *fields {
            Value::Record(args) => Ok((pallet, name, args)),
            Value::Unit => Ok((pallet, name, Vec::new())),
            _ => Err(no_call()),
        }
    }

    /// Reads a runtime API's answer.
    ///
    /// # Errors
    /// [`ChainError::Decode`].
    pub fn read_api(&self, query: &ApiQuery, bytes: &[u8]) -> Result<Value, ChainError> {
        Value::decode(bytes, query.ty, self.metadata.types())
            .map_err(ChainError::decode(format!("runtime API {}", query.function), self.spec))
    }

    /// The arguments of a call in the runtime's own order, after a check that both sides mean the same ones.
    ///
    /// # Errors
    /// [`ChainError::Absent`], [`ChainError::Arguments`] naming an argument that only one side knows.
    pub fn call(&self, pallet: &str, call: &str, arguments: &[(&str, Value)]) -> Result<Composite<()>, ChainError> {
        let name = format!("{pallet}.{call}");
        let found = self.metadata.pallet_by_name(pallet).and_then(|pallet| pallet.call_variant_by_name(call));
        let found = found.ok_or_else(|| self.absent(format!("call {name}")))?;
        let wrong = |reason: String| ChainError::Arguments { call: name.clone(), spec: self.spec, reason };
        for (argument, _) in arguments {
            if !found.fields.iter().any(|field| field.name.as_deref() == Some(*argument)) {
                return Err(wrong(format!("it has no argument `{argument}`")));
            }
        }
        let mut fields = Vec::with_capacity(found.fields.len());
        for field in &found.fields {
            let field_name = field.name.clone().unwrap_or_default();
            let value = arguments.iter().find(|(argument, _)| *argument == field_name).map(|(_, value)| value);
            let value = value.ok_or_else(|| wrong(format!("it wants an argument `{field_name}`")))?;
            // Encoded once here so that a misfit is told with the argument's name.
            value
                .encode_to(field.ty.id, self.metadata.types(), &mut Vec::new())
                .map_err(|error| wrong(format!("argument `{field_name}`: {error}")))?;
            fields.push((field_name, value.to_scale()));
        }
        Ok(Composite::Named(fields))
    }

    /// A pallet's calls and the names of their arguments, in the runtime's own order; none if there is no such pallet.
    pub fn calls(&self, pallet: &str) -> Vec<(String, Vec<String>)> {
        let variants = self.metadata.pallet_by_name(pallet).and_then(|pallet| pallet.call_variants()).unwrap_or(&[]);
        let arguments = |call: &scale_info::Variant<scale_info::form::PortableForm>| {
            call.fields.iter().map(|field| field.name.clone().unwrap_or_default()).collect()
        };
        variants.iter().map(|call| (call.name.clone(), arguments(call))).collect()
    }

    /// Whether an enum type used as a call's argument path has a variant: used for `Commitments` data, whose variants carry sizes.
    pub fn has_variant(&self, type_name: &str, variant: &str) -> bool {
        self.metadata.types().types.iter().any(|ty| {
            ty.ty.path.ident().as_deref() == Some(type_name)
                && matches!(&ty.ty.type_def, TypeDef::Variant(def) if def.variants.iter().any(|v| v.name == variant))
        })
    }

    /// A pallet's error by the indices inside `DispatchError::Module`, which are this very runtime's.
    pub fn module_error(&self, pallet: u8, error: u8) -> Option<ModuleError> {
        let pallet = self.metadata.pallet_by_error_index(pallet)?;
        let variant = pallet.error_variant_by_index(error)?;
        Some(ModuleError {
            pallet: pallet.name().to_owned(),
            name: variant.name.clone(),
            docs: variant.docs.join(" ").trim().to_owned(),
        })
    }
}

/// The metadata in `RuntimeMetadataPrefixed`. (Not `Metadata::decode_from`: it guesses at other forms, and of bytes that begin with
/// their own length it does so for ever.)
fn read_metadata(bytes: &[u8]) -> Result<Metadata, String> {
    let rest = bytes.strip_prefix(b"meta").ok_or("it does not begin with `meta`")?;
    let found = RuntimeMetadata::decode_all(&mut &*rest).map_err(|error| error.to_string())?;
    let made = match found {
        RuntimeMetadata::V14(metadata) => Metadata::from_v14(metadata),
        RuntimeMetadata::V15(metadata) => Metadata::from_v15(metadata),
        RuntimeMetadata::V16(metadata) => Metadata::from_v16(metadata),
        other => {
            return Err(format!("it is of version {}, this client reads 14 to {NEWEST_METADATA}", other.version()));
        }
    };
    made.map_err(|error| error.to_string())
}

/// A type that contains itself other than through a list or a variant, or nests deeper than any value that is read: no runtime has
/// one, and an encoder that follows it never comes back.
fn endless(types: &PortableRegistry) -> Option<u32> {
    let inner = |id: u32| -> Vec<u32> {
        match types.resolve(id).map(|ty| &ty.type_def) {
            Some(TypeDef::Composite(def)) => def.fields.iter().map(|field| field.ty.id).collect(),
            Some(TypeDef::Tuple(def)) => def.fields.iter().map(|field| field.id).collect(),
            Some(TypeDef::Array(def)) => vec![def.type_param.id],
            Some(TypeDef::Compact(def)) => vec![def.type_param.id],
            _ => Vec::new(),
        }
    };
    // Depth first, without recursion: the depth is the sender's choice. `depths` has the types that are done.
    let (mut depths, mut open) = (HashMap::new(), HashSet::new());
    for start in types.types.iter().map(|ty| ty.id) {
        if depths.contains_key(&start) {
            continue;
        }
        let mut path = vec![(start, inner(start), 0)];
        open.insert(start);
        while let Some((id, rest, deepest)) = path.last_mut() {
            match rest.pop() {
                Some(next) if open.contains(&next) => return Some(next),
                Some(next) => match depths.get(&next) {
                    Some(depth) => *deepest = (*deepest).max(1 + depth),
                    None => {
                        // Looked at again once its depth is known.
                        rest.push(next);
                        open.insert(next);
                        path.push((next, inner(next), 0));
                    }
                },
                None if *deepest > MAX_DEPTH => return Some(*id),
                None => {
                    open.remove(id);
                    depths.insert(*id, *deepest);
                    path.pop();
                }
            }
        }
    }
    None
}

fn hash_key(hasher: StorageHasher, encoded: &[u8], key: &mut Vec<u8>) {
    match hasher {
        StorageHasher::Blake2_128 => key.extend(sp_crypto_hashing::blake2_128(encoded)),
        StorageHasher::Blake2_256 => key.extend(sp_crypto_hashing::blake2_256(encoded)),
        StorageHasher::Blake2_128Concat => key.extend(sp_crypto_hashing::blake2_128(encoded)),
        StorageHasher::Twox128 => key.extend(sp_crypto_hashing::twox_128(encoded)),
        StorageHasher::Twox256 => key.extend(sp_crypto_hashing::twox_256(encoded)),
        StorageHasher::Twox64Concat => key.extend(sp_crypto_hashing::twox_64(encoded)),
        StorageHasher::Identity => {}
    }
    use StorageHasher::{Blake2_128Concat, Identity, Twox64Concat};
    if matches!(hasher, Blake2_128Concat | Twox64Concat | Identity) {
        key.extend(encoded);
    }
}

/// The argument of `Metadata_metadata_at_version`.
pub fn metadata_request(version: u32) -> Vec<u8> {
    version.encode()
}

/// The metadata bytes in the answer of `Metadata_metadata_at_version`: `None` if the node does not have that version.
///
/// # Errors
/// [`ChainError::Decode`].
pub fn metadata_answer(bytes: &[u8]) -> Result<Option<&[u8]>, ChainError> {
    let broken = || ChainError::Decode { what: "the runtime's metadata".into(), spec: 0, reason: "truncated".into() };
    let (flag, mut rest) = bytes.split_first().ok_or_else(broken)?;
    if *flag == 0 {
        return Ok(None);
    }
    let length = Compact::<u32>::decode(&mut rest).map_err(|_| broken())?.0 as usize;
    rest.get(..length).map(Some).ok_or_else(broken)
}
