//! A runtime of the real pallets, and hands to drive it with.

use frame_support::{
    BoundedVec, assert_ok, derive_impl,
    traits::{BuildGenesisConfig, ConstU16, ConstU64, Hooks, VariantCountOf},
};
use sp_io::TestExternalities;
use sp_runtime::{AccountId32, BuildStorage, DispatchError, traits::IdentityLookup};
use starling_pallets::{admin_utils, check_nonce::CheckNonce, commitments, drand, extension, subtensor, types::NetUid};

pub type Block = frame_system::mocking::MockBlockU32<Test>;
pub type Subtensor = subtensor::Pallet<Test>;
pub type Params = subtensor::params::SubnetParams;
pub type Genesis = subtensor::GenesisConfig<Test>;
pub type Extensions = (CheckNonce<Test>, extension::SubtensorTransactionExtension<Test>);

/// TAO in rao.
pub const TAO: u64 = 1_000_000_000;
/// The subnet that genesis makes.
pub const NET: NetUid = 1;
/// What every coldkey of the tests starts with.
pub const ENDOWMENT: u64 = 10_000 * TAO;

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
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system::Pallet<Test>;
    #[runtime::pallet_index(5)]
    pub type Balances = pallet_balances::Pallet<Test>;
    #[runtime::pallet_index(7)]
    pub type SubtensorModule = starling_pallets::subtensor::Pallet<Test>;
    #[runtime::pallet_index(18)]
    pub type Commitments = starling_pallets::commitments::Pallet<Test>;
    #[runtime::pallet_index(19)]
    pub type AdminUtils = starling_pallets::admin_utils::Pallet<Test>;
    #[runtime::pallet_index(26)]
    pub type Drand = starling_pallets::drand::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId32;
    type Lookup = IdentityLookup<AccountId32>;
    type Nonce = u32;
    type AccountData = pallet_balances::AccountData<u64>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = u64;
    type ExistentialDeposit = ConstU64<500>;
    type AccountStore = System;
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
}

impl subtensor::Config for Test {
    type Currency = Balances;
    type Commitments = Commitments;
    type Beacon = Drand;
    type MinTempo = ConstU16<2>;
    type MaxTempo = ConstU16<50_400>;
    type RemovedStorage = RemovedStorage;
}

frame_support::parameter_types! {
    /// As newer runtimes; a test may say otherwise.
    pub static RemovedStorage: bool = false;
}

impl commitments::Config for Test {
    type Subnets = SubtensorModule;
    type Beacon = Drand;
}

impl admin_utils::Config for Test {}
impl drand::Config for Test {}

/// The account of 32 such bytes.
pub fn account(byte: u8) -> AccountId32 {
    AccountId32::new([byte; 32])
}

/// Subnet 1's owner: coldkey 1, hotkey 101.
pub fn owner() -> AccountId32 {
    account(1)
}

pub fn signed(who: &AccountId32) -> RuntimeOrigin {
    RuntimeOrigin::signed(who.clone())
}

/// Every place open: short tempo, no waiting, plain weights. Tests tighten what they are about.
pub fn open_params() -> Params {
    Params {
        tempo: 10,
        min_allowed_weights: 0,
        weights_set_rate_limit: 0,
        serving_rate_limit: 0,
        commit_reveal_enabled: false,
        ..Params::default()
    }
}

pub fn open_genesis() -> Genesis {
    Genesis { subnet: open_params(), subnet_owner: Some((owner(), account(101))), ..Genesis::fast() }
}

/// Runs a test at block 1 of a chain with this genesis; coldkeys 1 to 40 are rich.
pub fn chain(genesis: Genesis, test: impl FnOnce()) {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: (1..=40).map(|byte| (account(byte), ENDOWMENT)).collect(),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut externalities = TestExternalities::new(storage);
    externalities.execute_with(|| {
        genesis.build();
        next_block();
        test();
    });
}

/// The usual chain: [`open_genesis`].
pub fn open(test: impl FnOnce()) {
    chain(open_genesis(), test);
}

pub fn now() -> u64 {
    Subtensor::now()
}

/// One block with its hooks.
pub fn next_block() {
    let next = System::block_number() + 1;
    System::reset_events();
    System::set_block_number(next);
    Subtensor::on_initialize(next);
}

pub fn run_to(block: u64) {
    while now() < block {
        next_block();
    }
}

/// Registers hotkey `100 + byte` of coldkey `byte` and says its uid.
pub fn register(byte: u8) -> u16 {
    assert_ok!(Subtensor::burned_register(signed(&account(byte)), NET, account(100 + byte)));
    subtensor::Uids::<Test>::get(NET, account(100 + byte)).unwrap()
}

/// [`register`], then stake and a validator permit, as after an epoch.
pub fn validator(byte: u8, tao: u64) -> u16 {
    let uid = register(byte);
    assert_ok!(Subtensor::add_stake(signed(&account(byte)), account(100 + byte), NET, tao));
    subtensor::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
    uid
}

pub fn hotkey(byte: u8) -> AccountId32 {
    account(100 + byte)
}

/// Sets plain weights.
pub fn set_weights(hotkey: &AccountId32, weights: &[(u16, u16)]) -> Result<(), DispatchError> {
    let (uids, values) = weights.iter().copied().unzip();
    Subtensor::set_weights(signed(hotkey), NET, uids, values, 0)
}

/// All events of `SubtensorModule` in this block.
pub fn events() -> Vec<subtensor::Event<Test>> {
    System::events()
        .into_iter()
        .filter_map(|record| match record.event {
            RuntimeEvent::SubtensorModule(event) => Some(event),
            _ => None,
        })
        .collect()
}

pub fn raw(bytes: &[u8]) -> commitments::CommitmentInfo {
    let field = commitments::Data::Raw(BoundedVec::try_from(bytes.to_vec()).unwrap());
    commitments::CommitmentInfo { fields: BoundedVec::try_from(vec![field]).unwrap() }
}
