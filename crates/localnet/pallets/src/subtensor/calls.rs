//! Calls of `SubtensorModule`: public indices, argument names, order and types (chain.md 1). Each only hands over to its rule file.

use frame_support::pallet_macros::pallet_section;

/// The call enum, pasted into the pallet.
#[pallet_section]
mod calls {
    // Dispatch weights are round numbers, not measurements: they bound the fee (0.0005 rao per unit) and nothing on this chain
    // competes for block space.
    const LIGHT: u64 = 20_000_000;
    const HEAVY: u64 = 200_000_000;

    fn free<C>(_: &C) -> (Weight, DispatchClass, Pays) {
        (Weight::from_parts(HEAVY, 0), DispatchClass::Normal, Pays::No)
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Sets the caller's weights on mechanism 0. Fails with `CommitRevealEnabled` where the subnet wants commits.
        #[pallet::call_index(0)]
        #[pallet::weight(free(&netuid))]
        pub fn set_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            dests: Vec<u16>,
            weights: Vec<u16>,
            version_key: u64,
        ) -> DispatchResult {
            Self::do_set_weights(origin, netuid, 0, dests, weights, version_key)
        }

        /// Sets the caller's weights on a mechanism.
        #[pallet::call_index(119)]
        #[pallet::weight(free(&netuid))]
        pub fn set_mechanism_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            mecid: MechId,
            dests: Vec<u16>,
            weights: Vec<u16>,
            version_key: u64,
        ) -> DispatchResult {
            Self::do_set_weights(origin, netuid, mecid, dests, weights, version_key)
        }

        /// Sets weights on several subnets; failures are reported by event, the call succeeds.
        #[pallet::call_index(80)]
        #[pallet::weight(free(&netuids))]
        pub fn batch_set_weights(
            origin: OriginFor<T>,
            netuids: Vec<Compact<NetUid>>,
            weights: Vec<Vec<(Compact<u16>, Compact<u16>)>>,
            version_keys: Vec<Compact<u64>>,
        ) -> DispatchResult {
            Self::do_batch_set_weights(origin, netuids, weights, version_keys)
        }

        /// Commits to weights by hash (chain.md 5.1).
        #[pallet::call_index(96)]
        #[pallet::weight(free(&netuid))]
        pub fn commit_weights(origin: OriginFor<T>, netuid: NetUid, commit_hash: H256) -> DispatchResult {
            Self::do_commit_weights(origin, netuid, 0, commit_hash)
        }

        /// Commits to a mechanism's weights by hash.
        #[pallet::call_index(115)]
        #[pallet::weight(free(&netuid))]
        pub fn commit_mechanism_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            mecid: MechId,
            commit_hash: H256,
        ) -> DispatchResult {
            Self::do_commit_weights(origin, netuid, mecid, commit_hash)
        }

        /// Commits to weights that are encrypted to a round of the beacon (chain.md 5.2).
        #[pallet::call_index(113)]
        #[pallet::weight(free(&netuid))]
        pub fn commit_timelocked_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            commit: BoundedVec<u8, ConstU32<5_000>>,
            reveal_round: u64,
            commit_reveal_version: u16,
        ) -> DispatchResult {
            Self::do_commit_timelocked_weights(origin, netuid, 0, commit, reveal_round, commit_reveal_version)
        }

        /// The same for a mechanism, version 4.
        #[pallet::call_index(117)]
        #[pallet::weight(free(&netuid))]
        pub fn commit_crv3_mechanism_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            mecid: MechId,
            commit: BoundedVec<u8, ConstU32<5_000>>,
            reveal_round: u64,
        ) -> DispatchResult {
            Self::do_commit_timelocked_weights(origin, netuid, mecid, commit, reveal_round, TIMELOCK_VERSION)
        }

        /// The same for a mechanism.
        #[pallet::call_index(118)]
        #[pallet::weight(free(&netuid))]
        pub fn commit_timelocked_mechanism_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            mecid: MechId,
            commit: BoundedVec<u8, ConstU32<5_000>>,
            reveal_round: u64,
            commit_reveal_version: u16,
        ) -> DispatchResult {
            Self::do_commit_timelocked_weights(origin, netuid, mecid, commit, reveal_round, commit_reveal_version)
        }

        /// Commits on several subnets; failures are reported by event, the call succeeds.
        #[pallet::call_index(100)]
        #[pallet::weight(free(&netuids))]
        pub fn batch_commit_weights(
            origin: OriginFor<T>,
            netuids: Vec<Compact<NetUid>>,
            commit_hashes: Vec<H256>,
        ) -> DispatchResult {
            Self::do_batch_commit_weights(origin, netuids, commit_hashes)
        }

        /// Reveals committed weights in their reveal epoch.
        #[pallet::call_index(97)]
        #[pallet::weight(free(&netuid))]
        pub fn reveal_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            uids: Vec<u16>,
            values: Vec<u16>,
            salt: Vec<u16>,
            version_key: u64,
        ) -> DispatchResult {
            Self::do_reveal_weights(origin, netuid, 0, uids, values, salt, version_key)
        }

        /// Reveals a mechanism's committed weights in their reveal epoch.
        #[pallet::call_index(116)]
        #[pallet::weight(free(&netuid))]
        pub fn reveal_mechanism_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            mecid: MechId,
            uids: Vec<u16>,
            values: Vec<u16>,
            salt: Vec<u16>,
            version_key: u64,
        ) -> DispatchResult {
            Self::do_reveal_weights(origin, netuid, mecid, uids, values, salt, version_key)
        }

        /// Reveals several commits of one subnet, oldest first; all or nothing.
        #[pallet::call_index(98)]
        #[pallet::weight(free(&netuid))]
        pub fn batch_reveal_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            uids_list: Vec<Vec<u16>>,
            values_list: Vec<Vec<u16>>,
            salts_list: Vec<Vec<u16>>,
            version_keys: Vec<u64>,
        ) -> DispatchResult {
            Self::do_batch_reveal_weights(origin, netuid, uids_list, values_list, salts_list, version_keys)
        }

        /// Buys alpha for TAO (1:1 on the root network) and stakes it to a hotkey.
        #[pallet::call_index(2)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn add_stake(
            origin: OriginFor<T>,
            hotkey: AccountId,
            netuid: NetUid,
            amount_staked: u64,
        ) -> DispatchResult {
            Self::do_add_stake(origin, hotkey, netuid, amount_staked)
        }

        /// Takes alpha from a hotkey and sells it for TAO (1:1 on the root network).
        #[pallet::call_index(3)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn remove_stake(
            origin: OriginFor<T>,
            hotkey: AccountId,
            netuid: NetUid,
            amount_unstaked: u64,
        ) -> DispatchResult {
            Self::do_remove_stake(origin, hotkey, netuid, amount_unstaked)
        }

        /// [`Self::add_stake`] while one alpha costs at most `limit_price` rao.
        #[pallet::call_index(88)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn add_stake_limit(
            origin: OriginFor<T>,
            hotkey: AccountId,
            netuid: NetUid,
            amount_staked: u64,
            limit_price: u64,
            allow_partial: bool,
        ) -> DispatchResult {
            Self::do_add_stake_limit(origin, hotkey, netuid, amount_staked, limit_price, allow_partial)
        }

        /// [`Self::remove_stake`] while one alpha yields at least `limit_price` rao.
        #[pallet::call_index(89)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn remove_stake_limit(
            origin: OriginFor<T>,
            hotkey: AccountId,
            netuid: NetUid,
            amount_unstaked: u64,
            limit_price: u64,
            allow_partial: bool,
        ) -> DispatchResult {
            Self::do_remove_stake_limit(origin, hotkey, netuid, amount_unstaked, limit_price, allow_partial)
        }

        /// Removes all stake at a hotkey on a subnet, if the price allows.
        #[pallet::call_index(103)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn remove_stake_full_limit(
            origin: OriginFor<T>,
            hotkey: AccountId,
            netuid: NetUid,
            limit_price: Option<u64>,
        ) -> DispatchResult {
            Self::do_remove_stake_full(origin, hotkey, netuid, limit_price)
        }

        /// Removes all stake at a hotkey, on every subnet and on root.
        #[pallet::call_index(83)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn unstake_all(origin: OriginFor<T>, hotkey: AccountId) -> DispatchResult {
            Self::do_unstake_all(origin, hotkey, false)
        }

        /// Sells all alpha at a hotkey and stakes what it yields to the same hotkey on root.
        #[pallet::call_index(84)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn unstake_all_alpha(origin: OriginFor<T>, hotkey: AccountId) -> DispatchResult {
            Self::do_unstake_all(origin, hotkey, true)
        }

        /// Moves stake to another hotkey, also on another subnet.
        #[pallet::call_index(85)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn move_stake(
            origin: OriginFor<T>,
            origin_hotkey: AccountId,
            destination_hotkey: AccountId,
            origin_netuid: NetUid,
            destination_netuid: NetUid,
            alpha_amount: u64,
        ) -> DispatchResult {
            let netuids = (origin_netuid, destination_netuid);
            Self::do_move_stake(origin, (origin_hotkey, destination_hotkey), netuids, alpha_amount)
        }

        /// Gives stake to another coldkey.
        #[pallet::call_index(86)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn transfer_stake(
            origin: OriginFor<T>,
            destination_coldkey: AccountId,
            hotkey: AccountId,
            origin_netuid: NetUid,
            destination_netuid: NetUid,
            alpha_amount: u64,
        ) -> DispatchResult {
            let netuids = (origin_netuid, destination_netuid);
            Self::do_transfer_stake(origin, destination_coldkey, hotkey, netuids, alpha_amount)
        }

        /// Moves stake to another subnet, at the same hotkey.
        #[pallet::call_index(87)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn swap_stake(
            origin: OriginFor<T>,
            hotkey: AccountId,
            origin_netuid: NetUid,
            destination_netuid: NetUid,
            alpha_amount: u64,
        ) -> DispatchResult {
            Self::do_swap_stake(origin, hotkey, (origin_netuid, destination_netuid), alpha_amount, None)
        }

        /// [`Self::swap_stake`] while the relative price is at least `limit_price` rao.
        #[pallet::call_index(90)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn swap_stake_limit(
            origin: OriginFor<T>,
            hotkey: AccountId,
            origin_netuid: NetUid,
            destination_netuid: NetUid,
            alpha_amount: u64,
            limit_price: u64,
            allow_partial: bool,
        ) -> DispatchResult {
            let limit = Limit { price: limit_price, partial: allow_partial };
            Self::do_swap_stake(origin, hotkey, (origin_netuid, destination_netuid), alpha_amount, Some(limit))
        }

        /// Lends shares of a hotkey's weight on a subnet to others, after a cooldown.
        #[pallet::call_index(67)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn set_children(
            origin: OriginFor<T>,
            hotkey: AccountId,
            netuid: NetUid,
            children: Vec<(u64, AccountId)>,
        ) -> DispatchResult {
            Self::do_set_children(origin, hotkey, netuid, children)
        }

        /// Sets what a child keeps of what it earns with other coldkeys' stake.
        #[pallet::call_index(75)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn set_childkey_take(origin: OriginFor<T>, hotkey: AccountId, netuid: NetUid, take: u16) -> DispatchResult {
            Self::do_set_childkey_take(origin, hotkey, netuid, take)
        }

        /// Lowers a delegate's take.
        #[pallet::call_index(65)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn decrease_take(origin: OriginFor<T>, hotkey: AccountId, take: u16) -> DispatchResult {
            Self::do_decrease_take(origin, hotkey, take)
        }

        /// Puts another hotkey in a hotkey's place, on one subnet or everywhere.
        #[pallet::call_index(70)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn swap_hotkey(
            origin: OriginFor<T>,
            hotkey: AccountId,
            new_hotkey: AccountId,
            netuid: Option<NetUid>,
        ) -> DispatchResult {
            Self::do_swap_hotkey(origin, hotkey, new_hotkey, netuid, false)
        }

        /// [`Self::swap_hotkey`] that may leave the stake where it is.
        #[pallet::call_index(72)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn swap_hotkey_v2(
            origin: OriginFor<T>,
            hotkey: AccountId,
            new_hotkey: AccountId,
            netuid: Option<NetUid>,
            keep_stake: bool,
        ) -> DispatchResult {
            Self::do_swap_hotkey(origin, hotkey, new_hotkey, netuid, keep_stake)
        }

        /// Says who the caller is; one of its hotkeys must be registered somewhere.
        #[pallet::call_index(68)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn set_identity(
            origin: OriginFor<T>,
            name: Vec<u8>,
            url: Vec<u8>,
            github_repo: Vec<u8>,
            image: Vec<u8>,
            discord: Vec<u8>,
            description: Vec<u8>,
            additional: Vec<u8>,
        ) -> DispatchResult {
            let identity = ChainIdentityV2 { name, url, github_repo, image, discord, description, additional };
            Self::do_set_identity(origin, identity)
        }

        /// Says what a subnet is; its owner calls it.
        #[pallet::call_index(78)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn set_subnet_identity(
            origin: OriginFor<T>,
            netuid: NetUid,
            subnet_name: Vec<u8>,
            github_repo: Vec<u8>,
            subnet_contact: Vec<u8>,
            subnet_url: Vec<u8>,
            discord: Vec<u8>,
            description: Vec<u8>,
            logo_url: Vec<u8>,
            additional: Vec<u8>,
        ) -> DispatchResult {
            let identity = SubnetIdentityV3 {
                subnet_name,
                github_repo,
                subnet_contact,
                subnet_url,
                discord,
                description,
                logo_url,
                additional,
            };
            Self::do_set_subnet_identity(origin, netuid, identity)
        }

        /// [`Self::register_network`] with the subnet's identity.
        #[pallet::call_index(79)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn register_network_with_identity(
            origin: OriginFor<T>,
            hotkey: AccountId,
            identity: Option<SubnetIdentityV3>,
        ) -> DispatchResult {
            Self::do_register_network(origin, hotkey, identity)
        }

        /// Raises a delegate's take.
        #[pallet::call_index(66)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn increase_take(origin: OriginFor<T>, hotkey: AccountId, take: u16) -> DispatchResult {
            Self::do_increase_take(origin, hotkey, take)
        }

        /// Root sets after how many blocks new children hold.
        #[pallet::call_index(109)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn set_pending_childkey_cooldown(origin: OriginFor<T>, cooldown: u64) -> DispatchResult {
            ensure_root(origin)?;
            PendingChildKeyCooldown::<T>::put(cooldown);
            Ok(())
        }

        /// Publishes where the caller listens.
        #[pallet::call_index(4)]
        #[pallet::weight((Weight::from_parts(LIGHT, 0), DispatchClass::Normal, Pays::No))]
        #[allow(clippy::too_many_arguments)] // the public signature
        pub fn serve_axon(
            origin: OriginFor<T>,
            netuid: NetUid,
            version: u32,
            ip: u128,
            port: u16,
            ip_type: u8,
            protocol: u8,
            placeholder1: u8,
            placeholder2: u8,
        ) -> DispatchResult {
            Self::do_serve_axon(
                origin,
                netuid,
                AxonInfo { block: 0, version, ip, port, ip_type, protocol, placeholder1, placeholder2 },
            )
        }

        /// Publishes where the caller listens, and a public key beside it.
        #[pallet::call_index(40)]
        #[pallet::weight((Weight::from_parts(LIGHT, 0), DispatchClass::Normal, Pays::No))]
        #[allow(clippy::too_many_arguments)] // the public signature
        pub fn serve_axon_tls(
            origin: OriginFor<T>,
            netuid: NetUid,
            version: u32,
            ip: u128,
            port: u16,
            ip_type: u8,
            protocol: u8,
            placeholder1: u8,
            placeholder2: u8,
            certificate: Vec<u8>,
        ) -> DispatchResult {
            let axon = AxonInfo { block: 0, version, ip, port, ip_type, protocol, placeholder1, placeholder2 };
            Self::do_serve_axon_tls(origin, netuid, axon, &certificate)
        }

        /// Publishes where the caller serves metrics.
        #[pallet::call_index(5)]
        #[pallet::weight((Weight::from_parts(LIGHT, 0), DispatchClass::Normal, Pays::No))]
        pub fn serve_prometheus(
            origin: OriginFor<T>,
            netuid: NetUid,
            version: u32,
            ip: u128,
            port: u16,
            ip_type: u8,
        ) -> DispatchResult {
            Self::do_serve_prometheus(origin, netuid, PrometheusInfo { block: 0, version, ip, port, ip_type })
        }

        /// Registers a hotkey for the current burn; the proof of work that the call once wanted is not looked at (chain.md 1).
        #[pallet::call_index(6)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn register(
            origin: OriginFor<T>,
            netuid: NetUid,
            block_number: u64,
            nonce: u64,
            work: Vec<u8>,
            hotkey: AccountId,
            coldkey: AccountId,
        ) -> DispatchResult {
            let _ = (block_number, nonce, work, coldkey);
            Self::do_burned_register(origin, netuid, hotkey, None)
        }

        /// Registers a hotkey for a proof of work (chain.md 8.9 b). Newer than the snapshots: its name is public (SDK 11.3.0), its
        /// index is this chain's own.
        #[pallet::call_index(200)]
        #[pallet::weight(free(&netuid))]
        pub fn pow_register(
            origin: OriginFor<T>,
            netuid: NetUid,
            work_block: u64,
            nonce: u64,
            work: Vec<u8>,
            hotkey: AccountId,
        ) -> DispatchResult {
            Self::do_pow_register(origin, netuid, work_block, nonce, work, hotkey)
        }

        /// Registers a hotkey for the current burn.
        #[pallet::call_index(7)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn burned_register(origin: OriginFor<T>, netuid: NetUid, hotkey: AccountId) -> DispatchResult {
            Self::do_burned_register(origin, netuid, hotkey, None)
        }

        /// Registers a hotkey if the burn is at most `limit_price` rao.
        #[pallet::call_index(134)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn register_limit(
            origin: OriginFor<T>,
            netuid: NetUid,
            hotkey: AccountId,
            limit_price: u64,
        ) -> DispatchResult {
            Self::do_burned_register(origin, netuid, hotkey, Some(limit_price))
        }

        /// Registers a hotkey on the root network.
        #[pallet::call_index(62)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn root_register(origin: OriginFor<T>, hotkey: AccountId) -> DispatchResult {
            Self::do_root_register(origin, hotkey)
        }

        /// Creates a subnet for the lock cost; `hotkey` becomes its owner hotkey and uid 0.
        #[pallet::call_index(59)]
        #[pallet::weight(Weight::from_parts(HEAVY, 0))]
        pub fn register_network(origin: OriginFor<T>, hotkey: AccountId) -> DispatchResult {
            Self::do_register_network(origin, hotkey, None)
        }

        /// Associates a hotkey that nobody owns with the caller; a no-op where it is owned.
        #[pallet::call_index(91)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn try_associate_hotkey(origin: OriginFor<T>, hotkey: AccountId) -> DispatchResult {
            let coldkey = ensure_signed(origin)?;
            Self::associate(&coldkey, &hotkey);
            Ok(())
        }

        /// Starts a subnet's emission; its owner calls it once.
        #[pallet::call_index(92)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn start_call(origin: OriginFor<T>, netuid: NetUid) -> DispatchResult {
            Self::do_start_call(origin, netuid)
        }

        /// Sets a subnet's tempo; its owner calls it.
        #[pallet::call_index(139)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn set_tempo(origin: OriginFor<T>, netuid: NetUid, tempo: u16) -> DispatchResult {
            Self::do_set_tempo(origin, netuid, tempo)
        }

        /// Sets after how many thousandths of a tempo a silent neuron is inactive; the subnet's owner calls it.
        #[pallet::call_index(140)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn set_activity_cutoff_factor(origin: OriginFor<T>, netuid: NetUid, factor_milli: u32) -> DispatchResult {
            Self::do_set_activity_cutoff_factor(origin, netuid, factor_milli)
        }

        /// Has an epoch run `AdminFreezeWindow` blocks from now; the subnet's owner calls it.
        #[pallet::call_index(141)]
        #[pallet::weight(Weight::from_parts(LIGHT, 0))]
        pub fn trigger_epoch(origin: OriginFor<T>, netuid: NetUid) -> DispatchResult {
            Self::do_trigger_epoch(origin, netuid)
        }
    }
}
