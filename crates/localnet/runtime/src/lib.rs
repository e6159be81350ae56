//! The local chain's runtime: real FRAME, compiled natively, with the public chain's pallet indices (design D9, localnet.md).
//!
//! Types stand at the crate's root because Python's decoders match two-segment paths such as `*::RuntimeEvent`. The executor calls
//! [`dispatch`] inside externalities; there is no wasm blob.
#![allow(missing_docs)]

use frame_support::{
    derive_impl, parameter_types,
    traits::{ConstU16, ConstU32, ConstU64, VariantCountOf},
    weights::{
        Weight, WeightToFeeCoefficient, WeightToFeeCoefficients, WeightToFeePolynomial,
        constants::WEIGHT_REF_TIME_PER_SECOND,
    },
};
use sp_api::impl_runtime_apis;
use sp_core::{OpaqueMetadata, crypto::KeyTypeId};
use sp_runtime::{
    AccountId32, ApplyExtrinsicResult, MultiAddress, MultiSignature, Perbill, generic,
    traits::{BlakeTwo256, Block as BlockT, IdentityLookup},
    transaction_validity::{TransactionSource, TransactionValidity},
};
use sp_version::RuntimeVersion;
use starling_pallets::{
    check_nonce::CheckNonce,
    extension::SubtensorTransactionExtension,
    info::{
        Availability, DelegateInfo, DynamicInfo, HyperparamEntry, Metagraph, NeuronInfo, NeuronInfoLite,
        SelectiveMetagraph, SimSwapResult, StakeInfo, SubnetHyperparams, SubnetHyperparamsV2, SubnetInfo, SubnetInfov2,
        SubnetPrice, SubnetState,
    },
};

mod genesis;
pub mod metadata;
pub mod presentation;

pub use presentation::{Hyperparams, NotNewer, Presentation};

pub use genesis::{ENDOWED, dev_genesis};
pub use starling_pallets::aura::{PUBLIC_SLOT, SlotMillis};
pub use starling_pallets::subtensor::fork;

pub type AccountId = AccountId32;
pub type Balance = u64;
pub type BlockNumber = u32;
pub type Nonce = u32;
pub type Hash = sp_core::H256;
pub type Signature = MultiSignature;
pub type Address = MultiAddress<AccountId, ()>;
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// In the public chain's order (chain.md 8.1); those that this chain has no use for are left out, as older public runtimes did.
pub type TxExtension = (
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckMortality<Runtime>,
    CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
    SubtensorTransactionExtension<Runtime>,
    frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
);
pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;
pub type Executive =
    frame_executive::Executive<Runtime, Block, frame_system::ChainContext<Runtime>, Runtime, AllPalletsWithSystem>;

/// The public runtime of June 2026, whose interface this follows; [`presentation`] may show another `spec_version`.
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: std::borrow::Cow::Borrowed("node-subtensor"),
    impl_name: std::borrow::Cow::Borrowed("starling-localnet"),
    authoring_version: 1,
    spec_version: 425,
    impl_version: 1,
    apis: RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask
    )]
    pub struct Runtime;

    #[runtime::pallet_index(0)]
    pub type System = frame_system::Pallet<Runtime>;
    #[runtime::pallet_index(2)]
    pub type Timestamp = pallet_timestamp::Pallet<Runtime>;
    #[runtime::pallet_index(3)]
    pub type Aura = starling_pallets::aura::Pallet<Runtime>;
    #[runtime::pallet_index(5)]
    pub type Balances = pallet_balances::Pallet<Runtime>;
    #[runtime::pallet_index(6)]
    pub type TransactionPayment = pallet_transaction_payment::Pallet<Runtime>;
    #[runtime::pallet_index(7)]
    pub type SubtensorModule = starling_pallets::subtensor::Pallet<Runtime>;
    #[runtime::pallet_index(11)]
    pub type Utility = pallet_utility::Pallet<Runtime>;
    #[runtime::pallet_index(12)]
    pub type Sudo = pallet_sudo::Pallet<Runtime>;
    #[runtime::pallet_index(18)]
    pub type Commitments = starling_pallets::commitments::Pallet<Runtime>;
    #[runtime::pallet_index(19)]
    pub type AdminUtils = starling_pallets::admin_utils::Pallet<Runtime>;
    #[runtime::pallet_index(26)]
    pub type Drand = starling_pallets::drand::Pallet<Runtime>;
}

parameter_types! {
    pub BlockWeights: frame_system::limits::BlockWeights = frame_system::limits::BlockWeights::with_sensible_defaults(
        Weight::from_parts(WEIGHT_REF_TIME_PER_SECOND.saturating_mul(4), u64::MAX),
        Perbill::from_percent(75),
    );
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = Block;
    type AccountId = AccountId;
    type Nonce = Nonce;
    type Lookup = sp_runtime::traits::AccountIdLookup<AccountId, ()>;
    type AccountData = pallet_balances::AccountData<Balance>;
    type BlockWeights = BlockWeights;
    type BlockHashCount = ConstU32<2400>;
    type Version = presentation::Version;
    type SS58Prefix = ConstU16<42>;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = ();
    type MinimumPeriod = ConstU64<1>;
    type WeightInfo = ();
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Runtime {
    type Balance = Balance;
    type ExistentialDeposit = ConstU64<500>;
    type AccountStore = System;
    type MaxLocks = ConstU32<50>;
    type MaxReserves = ConstU32<50>;
    type ReserveIdentifier = [u8; 8];
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
}

/// 0.0005 rao per unit of reference time (chain.md 8.3).
pub struct WeightFee;

impl WeightToFeePolynomial for WeightFee {
    type Balance = Balance;
    fn polynomial() -> WeightToFeeCoefficients<Balance> {
        [WeightToFeeCoefficient {
            coeff_integer: 0,
            coeff_frac: Perbill::from_parts(500_000),
            negative: false,
            degree: 1,
        }]
        .into_iter()
        .collect()
    }
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = pallet_transaction_payment::FungibleAdapter<Balances, ()>;
    type OperationalFeeMultiplier = frame_support::traits::ConstU8<5>;
    type WeightToFee = WeightFee;
    /// One rao per byte.
    type LengthToFee = frame_support::weights::IdentityFee<Balance>;
    type FeeMultiplierUpdate = ();
    type WeightInfo = ();
}

impl pallet_utility::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type PalletsOrigin = OriginCaller;
    type WeightInfo = ();
}

impl pallet_sudo::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type WeightInfo = ();
}

impl starling_pallets::subtensor::Config for Runtime {
    type Currency = Balances;
    type Commitments = Commitments;
    type Beacon = Drand;
    type MinTempo = ConstU16<2>;
    type MaxTempo = ConstU16<50_400>;
    type RemovedStorage = presentation::RemovedStorage;
}

impl starling_pallets::aura::Config for Runtime {
    type SlotDuration = starling_pallets::aura::Pace;
}

impl starling_pallets::commitments::Config for Runtime {
    type Subnets = SubtensorModule;
    type Beacon = Drand;
}

impl starling_pallets::admin_utils::Config for Runtime {}
impl starling_pallets::drand::Config for Runtime {}

/// Accounts look themselves up.
pub type SelfLookup = IdentityLookup<AccountId>;
/// Session keys: none, blocks are authored by the node itself.
pub const NO_KEYS: KeyTypeId = KeyTypeId(*b"none");

impl_runtime_apis! {
    impl sp_api::Core<Block> for Runtime {
        fn version() -> RuntimeVersion {
            <presentation::Version as frame_support::traits::Get<_>>::get()
        }
        fn execute_block(block: <Block as BlockT>::LazyBlock) {
            Executive::execute_block(block);
        }
        fn initialize_block(header: &<Block as BlockT>::Header) -> sp_runtime::ExtrinsicInclusionMode {
            Executive::initialize_block(header)
        }
    }

    impl sp_api::Metadata<Block> for Runtime {
        fn metadata() -> OpaqueMetadata {
            OpaqueMetadata::new(metadata::at_version(14).unwrap_or_default())
        }
        fn metadata_at_version(version: u32) -> Option<OpaqueMetadata> {
            metadata::at_version(version).map(OpaqueMetadata::new)
        }
        fn metadata_versions() -> Vec<u32> {
            Runtime::metadata_versions()
        }
    }

    impl sp_block_builder::BlockBuilder<Block> for Runtime {
        fn apply_extrinsic(extrinsic: <Block as BlockT>::Extrinsic) -> ApplyExtrinsicResult {
            Executive::apply_extrinsic(extrinsic)
        }
        fn finalize_block() -> <Block as BlockT>::Header {
            Executive::finalize_block()
        }
        fn inherent_extrinsics(data: sp_inherents::InherentData) -> Vec<<Block as BlockT>::Extrinsic> {
            data.create_extrinsics()
        }
        fn check_inherents(block: <Block as BlockT>::LazyBlock, data: sp_inherents::InherentData) -> sp_inherents::CheckInherentsResult {
            data.check_extrinsics(&block)
        }
    }

    impl sp_transaction_pool::runtime_api::TaggedTransactionQueue<Block> for Runtime {
        fn validate_transaction(source: TransactionSource, tx: <Block as BlockT>::Extrinsic, block_hash: <Block as BlockT>::Hash) -> TransactionValidity {
            Executive::validate_transaction(source, tx, block_hash)
        }
    }

    impl frame_system_rpc_runtime_api::AccountNonceApi<Block, AccountId, Nonce> for Runtime {
        fn account_nonce(account: AccountId) -> Nonce {
            System::account_nonce(account)
        }
    }

    impl pallet_transaction_payment_rpc_runtime_api::TransactionPaymentApi<Block, Balance> for Runtime {
        fn query_info(uxt: <Block as BlockT>::Extrinsic, len: u32) -> pallet_transaction_payment_rpc_runtime_api::RuntimeDispatchInfo<Balance> {
            TransactionPayment::query_info(uxt, len)
        }
        fn query_fee_details(uxt: <Block as BlockT>::Extrinsic, len: u32) -> pallet_transaction_payment::FeeDetails<Balance> {
            TransactionPayment::query_fee_details(uxt, len)
        }
        fn query_weight_to_fee(weight: Weight) -> Balance {
            TransactionPayment::weight_to_fee(weight)
        }
        fn query_length_to_fee(length: u32) -> Balance {
            TransactionPayment::length_to_fee(length)
        }
    }

    impl sp_genesis_builder::GenesisBuilder<Block> for Runtime {
        fn build_state(config: Vec<u8>) -> sp_genesis_builder::Result {
            frame_support::genesis_builder_helper::build_state::<RuntimeGenesisConfig>(config)
        }
        fn get_preset(id: &Option<sp_genesis_builder::PresetId>) -> Option<Vec<u8>> {
            frame_support::genesis_builder_helper::get_preset::<RuntimeGenesisConfig>(id, |_| None)
        }
        fn preset_names() -> Vec<sp_genesis_builder::PresetId> {
            Vec::new()
        }
    }

    impl starling_pallets::apis::NeuronInfoRuntimeApi<Block> for Runtime {
        fn get_neurons(netuid: u16) -> Vec<NeuronInfo> {
            SubtensorModule::neurons(netuid)
        }
        fn get_neuron(netuid: u16, uid: u16) -> Option<NeuronInfo> {
            SubtensorModule::neuron(netuid, uid)
        }
        fn get_neurons_lite(netuid: u16) -> Vec<NeuronInfoLite> {
            SubtensorModule::neurons_lite(netuid)
        }
        fn get_neuron_lite(netuid: u16, uid: u16) -> Option<NeuronInfoLite> {
            SubtensorModule::neuron_lite(netuid, uid)
        }
    }

    impl starling_pallets::apis::SubnetInfoRuntimeApi<Block> for Runtime {
        fn get_subnet_info(netuid: u16) -> Option<SubnetInfo> {
            SubtensorModule::subnet_info(netuid)
        }
        fn get_subnets_info() -> Vec<Option<SubnetInfo>> {
            SubtensorModule::networks().into_iter().map(SubtensorModule::subnet_info).collect()
        }
        fn get_subnet_info_v2(netuid: u16) -> Option<SubnetInfov2> {
            SubtensorModule::subnet_info_v2(netuid)
        }
        fn get_subnets_info_v2() -> Vec<Option<SubnetInfov2>> {
            SubtensorModule::networks().into_iter().map(SubtensorModule::subnet_info_v2).collect()
        }
        fn get_subnet_hyperparams(netuid: u16) -> Option<SubnetHyperparams> {
            SubtensorModule::hyperparams(netuid)
        }
        fn get_subnet_hyperparams_v2(netuid: u16) -> Option<SubnetHyperparamsV2> {
            SubtensorModule::hyperparams_v2(netuid)
        }
        fn get_subnet_hyperparams_v3(netuid: u16) -> Option<Vec<HyperparamEntry>> {
            SubtensorModule::hyperparams_v3(netuid)
        }
        fn get_metagraph(netuid: u16) -> Option<Metagraph> {
            SubtensorModule::metagraph(netuid)
        }
        fn get_all_metagraphs() -> Vec<Option<Metagraph>> {
            SubtensorModule::networks().into_iter().map(SubtensorModule::metagraph).collect()
        }
        fn get_all_dynamic_info() -> Vec<Option<DynamicInfo>> {
            SubtensorModule::networks().into_iter().map(SubtensorModule::dynamic_info).collect()
        }
        fn get_dynamic_info(netuid: u16) -> Option<DynamicInfo> {
            SubtensorModule::dynamic_info(netuid)
        }
        fn get_mechagraph(netuid: u16, mecid: u8) -> Option<Metagraph> {
            SubtensorModule::mechagraph(netuid, mecid)
        }
        fn get_all_mechagraphs() -> Vec<Option<Metagraph>> {
            SubtensorModule::mechagraphs()
        }
        fn get_selective_metagraph(netuid: u16, metagraph_indexes: Vec<u16>) -> Option<SelectiveMetagraph> {
            SubtensorModule::selective_metagraph(netuid, &metagraph_indexes)
        }
        fn get_selective_mechagraph(netuid: u16, subid: u8, metagraph_indexes: Vec<u16>) -> Option<SelectiveMetagraph> {
            SubtensorModule::selective_mechagraph(netuid, subid, &metagraph_indexes)
        }
        fn get_subnet_state(netuid: u16) -> Option<SubnetState> {
            SubtensorModule::subnet_state(netuid)
        }
        /// This chain never dissolves a subnet.
        fn get_subnet_to_prune() -> Option<u16> {
            None
        }
        fn get_next_epoch_start_block(netuid: u16) -> Option<u64> {
            SubtensorModule::next_epoch_block(netuid, SubtensorModule::now())
        }
        fn get_subnet_account_id(netuid: u16) -> Option<AccountId> {
            SubtensorModule::exists(netuid).then(|| SubtensorModule::subnet_account(netuid))
        }
    }

    impl starling_pallets::apis::StakeInfoRuntimeApi<Block> for Runtime {
        fn get_stake_info_for_coldkey(coldkey_account: AccountId) -> Vec<StakeInfo> {
            SubtensorModule::stakes_of(&coldkey_account)
        }
        fn get_stake_info_for_coldkeys(coldkey_accounts: Vec<AccountId>) -> Vec<(AccountId, Vec<StakeInfo>)> {
            coldkey_accounts
                .into_iter()
                .map(|coldkey| {
                    let stakes = SubtensorModule::stakes_of(&coldkey);
                    (coldkey, stakes)
                })
                .collect()
        }
        fn get_stake_info_for_hotkey_coldkey_netuid(hotkey_account: AccountId, coldkey_account: AccountId, netuid: u16) -> Option<StakeInfo> {
            SubtensorModule::stake_info(&hotkey_account, &coldkey_account, netuid)
        }
        fn get_stake_availability_for_coldkeys(coldkey_accounts: Vec<AccountId>, netuids: Option<Vec<u16>>) -> Availability {
            SubtensorModule::availability(coldkey_accounts, netuids)
        }
        /// The pool takes no fee.
        fn get_stake_fee(_: Option<(AccountId, u16)>, _: AccountId, _: Option<(AccountId, u16)>, _: AccountId, _: u64) -> u64 {
            0
        }
    }

    impl starling_pallets::apis::DelegateInfoRuntimeApi<Block> for Runtime {
        fn get_delegates() -> Vec<DelegateInfo> {
            SubtensorModule::delegates()
        }
        fn get_delegate(delegate_account: AccountId) -> Option<DelegateInfo> {
            SubtensorModule::delegate(&delegate_account)
        }
        fn get_delegated(delegatee_account: AccountId) -> Vec<(DelegateInfo, (parity_scale_codec::Compact<u16>, parity_scale_codec::Compact<u64>))> {
            SubtensorModule::delegated(&delegatee_account)
        }
    }

    impl starling_pallets::apis::SwapRuntimeApi<Block> for Runtime {
        fn current_alpha_price(netuid: u16) -> u64 {
            SubtensorModule::alpha_price_rao(netuid)
        }
        fn current_alpha_price_all() -> Vec<SubnetPrice> {
            SubtensorModule::prices()
        }
        fn sim_swap_tao_for_alpha(netuid: u16, tao: u64) -> SimSwapResult {
            SubtensorModule::simulate_buy(netuid, tao)
        }
        fn sim_swap_alpha_for_tao(netuid: u16, alpha: u64) -> SimSwapResult {
            SubtensorModule::simulate_sell(netuid, alpha)
        }
    }

    impl starling_pallets::apis::SubnetRegistrationRuntimeApi<Block> for Runtime {
        fn get_network_registration_cost() -> u64 {
            SubtensorModule::lock_cost(SubtensorModule::now())
        }
    }
}

/// Call a runtime API function by name inside externalities; `None` if there is no such function.
pub fn dispatch(method: &str, data: &[u8]) -> Option<Vec<u8>> {
    if !Presentation::now().has_function(method) {
        return None;
    }
    api::dispatch(method, data)
}

/// The inherent that sets the block's time, milliseconds since 1970.
#[must_use]
pub fn timestamp_set(now: u64) -> pallet_timestamp::Call<Runtime> {
    pallet_timestamp::Call::set { now }
}
