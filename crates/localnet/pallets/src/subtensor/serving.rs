//! Axons and prometheus endpoints: what may be published and how often (chain.md 8.8).

use super::*;

const LOOPBACK_V4: u128 = 0x7f00_0001;
const HIGHEST_V4: u128 = 0xffff_ffff;
const LOOPBACK_V6: u128 = 1;

/// Why an endpoint cannot be served; the pool and the dispatch name it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEndpoint {
    /// Neither 4 nor 6.
    IpType,
    /// Loopback, out of range, or 0 where an address is needed.
    Ip,
    /// 0.
    Port,
}

/// Checks an address. Address 0 says "not reachable" and is allowed for axons only.
pub fn check_endpoint(ip: u128, ip_type: u8, port: u16, zero_ok: bool) -> Result<(), BadEndpoint> {
    if ip_type != 4 && ip_type != 6 {
        return Err(BadEndpoint::IpType);
    }
    let bad = match ip_type {
        _ if ip == 0 => !zero_ok,
        4 => ip == LOOPBACK_V4 || ip >= HIGHEST_V4,
        _ => ip == LOOPBACK_V6 || ip == u128::MAX,
    };
    if bad {
        return Err(BadEndpoint::Ip);
    }
    if port == 0 {
        return Err(BadEndpoint::Port);
    }
    Ok(())
}

impl<T: Config> From<BadEndpoint> for Error<T> {
    fn from(bad: BadEndpoint) -> Self {
        match bad {
            BadEndpoint::IpType => Error::InvalidIpType,
            BadEndpoint::Ip => Error::InvalidIpAddress,
            BadEndpoint::Port => Error::InvalidPort,
        }
    }
}

impl<T: Config> Pallet<T> {
    /// Whether enough blocks have passed since something was served at `last` (0: never).
    pub fn serving_allowed(netuid: NetUid, last: u64) -> bool {
        last == 0 || Self::now().saturating_sub(last) >= ServingRateLimit::<T>::get(netuid)
    }

    /// Whether the hotkey has a uid on any subnet.
    pub fn registered_anywhere(hotkey: &AccountId) -> bool {
        IsNetworkMember::<T>::iter_prefix_values(hotkey).any(|member| member)
    }

    pub(crate) fn do_serve_axon(origin: OriginFor<T>, netuid: NetUid, mut axon: AxonInfo) -> DispatchResult {
        let hotkey = ensure_signed(origin)?;
        ensure!(Self::registered_anywhere(&hotkey), Error::<T>::HotKeyNotRegisteredInNetwork);
        ensure!(Uids::<T>::contains_key(netuid, &hotkey), Error::<T>::HotKeyNotRegisteredInSubNet);
        check_endpoint(axon.ip, axon.ip_type, axon.port, true).map_err(Error::<T>::from)?;
        let last = Axons::<T>::get(netuid, &hotkey).map_or(0, |old| old.block);
        ensure!(Self::serving_allowed(netuid, last), Error::<T>::ServingRateLimitExceeded);
        axon.block = Self::now();
        Axons::<T>::insert(netuid, &hotkey, axon);
        Self::deposit_event(Event::AxonServed(netuid, hotkey));
        Ok(())
    }

    /// As without a certificate; one that cannot be read (chain.md 1: an algorithm's number, then at most 64 bytes of key) is passed
    /// over, as on the public chain.
    pub(crate) fn do_serve_axon_tls(
        origin: OriginFor<T>,
        netuid: NetUid,
        axon: AxonInfo,
        certificate: &[u8],
    ) -> DispatchResult {
        let hotkey = ensure_signed(origin.clone())?;
        Self::do_serve_axon(origin, netuid, axon)?;
        if let Some(certificate) = crate::types::NeuronCertificate::read(certificate) {
            NeuronCertificates::<T>::insert(netuid, hotkey, certificate);
        }
        Ok(())
    }

    pub(crate) fn do_serve_prometheus(
        origin: OriginFor<T>,
        netuid: NetUid,
        mut info: PrometheusInfo,
    ) -> DispatchResult {
        let hotkey = ensure_signed(origin)?;
        ensure!(Self::registered_anywhere(&hotkey), Error::<T>::HotKeyNotRegisteredInNetwork);
        ensure!(Uids::<T>::contains_key(netuid, &hotkey), Error::<T>::HotKeyNotRegisteredInSubNet);
        check_endpoint(info.ip, info.ip_type, info.port, false).map_err(Error::<T>::from)?;
        let last = Prometheus::<T>::get(netuid, &hotkey).map_or(0, |old| old.block);
        ensure!(Self::serving_allowed(netuid, last), Error::<T>::ServingRateLimitExceeded);
        info.block = Self::now();
        Prometheus::<T>::insert(netuid, &hotkey, info);
        Self::deposit_event(Event::PrometheusServed(netuid, hotkey));
        Ok(())
    }
}
