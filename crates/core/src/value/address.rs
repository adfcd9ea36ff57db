//! Client addresses, and the lists of addresses that may call (contract §2, step 1).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::value::text::quote;

/// The addresses of Cloudflare's proxies, as of 2026-11: <https://www.cloudflare.com/ips/>.
pub const CLOUDFLARE_RANGES: &str = "173.245.48.0/20,103.21.244.0/22,103.22.200.0/22,103.31.4.0/22,141.101.64.0/18,\
    108.162.192.0/18,190.93.240.0/20,188.114.96.0/20,197.234.240.0/22,198.41.128.0/17,162.158.0.0/15,104.16.0.0/13,\
    104.24.0.0/14,172.64.0.0/13,131.0.72.0/22,2400:cb00::/32,2606:4700::/32,2803:f800::/32,2405:b500::/32,2405:8100::/32,\
    2a06:98c0::/29,2c0f:f248::/32";

/// The IPv4 addresses that are not public, as first address and length of the prefix:
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/>, and multicast.
const PRIVATE_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// The parts of 2000::/3 that are not public: <https://www.iana.org/assignments/iana-ipv6-special-registry/>. Of the other IPv6 addresses, none is, but for
/// those that stand for an IPv4 address.
const PRIVATE_V6: [([u16; 2], u32); 3] =
    [([0x2001, 0], 23), ([0x2001, 0xdb8], 32), ([0x3fff, 0], 20)];

/// Whether an address is one of the public internet: not private, shared (CGNAT), loopback, link-local, multicast, reserved or for documentation. An IPv6
/// address that stands for an IPv4 address (mapped, NAT64 of 64:ff9b::/96, 6to4) is judged by that.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(
            || {
                let segments = address.segments();
                let head = u32::from(segments[0]) << 16 | u32::from(segments[1]);
                segments[0] & 0xe000 == 0x2000
                    && !PRIVATE_V6.iter().any(|([first, second], length)| {
                        let range = u32::from(*first) << 16 | u32::from(*second);
                        (head ^ range) >> (32 - length) == 0
                    })
            },
            is_public_v4,
        ),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !PRIVATE_V4.iter().any(|(range, length)| {
        (u32::from(address) ^ u32::from_be_bytes(*range)) >> (32 - length) == 0
    })
}

/// The IPv4 address that an IPv6 address stands for.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Addresses and CIDR ranges, IPv4 and IPv6.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList(Vec<IpNet>);

impl AddressList {
    /// Parses a comma-separated list. Spaces around an entry are ignored. An empty text is an empty list.
    ///
    /// # Errors
    /// A sentence that names the first entry that is neither an address nor a range.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        text.split(',')
            .map(|entry| {
                let entry = entry.trim();
                range(entry).ok_or_else(|| {
                    alloc::format!(
                        "expected addresses or CIDR ranges, separated by commas; got {}",
                        quote(entry)
                    )
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether both lists have the same ranges, in any order.
    pub(crate) fn has_the_ranges_of(&self, other: &Self) -> bool {
        self.0.iter().all(|range| other.0.contains(range))
            && other.0.iter().all(|range| self.0.contains(range))
    }

    /// Whether the list has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of the ranges. A text that is not an address is in none.
    #[must_use]
    pub fn contains(&self, address: &str) -> bool {
        address.trim().parse::<IpAddr>().is_ok_and(|address| {
            // An IPv6 socket reports an IPv4 client as ::ffff:a.b.c.d.
            let address = address.to_canonical();
            self.0.iter().any(|range| range.contains(&address))
        })
    }

    /// The ranges. Each one prints in CIDR notation.
    pub fn ranges(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }
}

/// Reads an address, or a range. The address of a range is read as any other: ipnet's own parser takes `010.0.0.0/8`, which is 10.0.0.0/8 to it
/// and 8.0.0.0/8 to programs that read octal numbers.
fn range(entry: &str) -> Option<IpNet> {
    let range = match entry.split_once('/') {
        None => IpNet::from(entry.parse::<IpAddr>().ok()?),
        Some((address, length)) => {
            let digits = length.bytes().all(|b| b.is_ascii_digit());
            let length = length.parse().ok().filter(|_| digits)?;
            IpNet::new(address.parse().ok()?, length).ok()?
        }
    };
    Some(canonical(range))
}

/// Turns a range of IPv4-mapped addresses (`::ffff:a.b.c.d/96` to `/128`) into the IPv4 range, because [`AddressList::contains`] compares
/// clients in that form.
fn canonical(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return range };
    v6.addr()
        .to_ipv4_mapped()
        .zip(v6.prefix_len().checked_sub(96))
        .and_then(|(address, length)| Ipv4Net::new(address, length).ok())
        .map_or(range, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::{AddressList, is_public};

    #[test]
    fn an_address_of_the_internet_is_public_and_no_other_is() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1",
            "2001:200::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::1.1.1.1",
            "::ffff:10.0.0.1",
            "::ffff:0:1.1.1.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff:ffff::",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn a_list_contains_the_addresses_of_its_ranges_and_no_others() {
        let list = AddressList::parse("192.0.2.0/24, 2001:db8::/32,198.51.100.7").unwrap();
        for inside in [
            "192.0.2.0",
            "192.0.2.255",
            "::ffff:192.0.2.1",
            "2001:db8::1",
            "2001:DB8:0::",
            "198.51.100.7",
        ] {
            assert!(list.contains(inside), "{inside}");
        }
        for outside in [
            "192.0.3.0",
            "2001:db9::",
            "198.51.100.8",
            "",
            "unknown",
            "192.0.2.1:80",
            "192.0.2.01",
        ] {
            assert!(!list.contains(outside), "{outside}");
        }
        assert!(AddressList::parse(" ").unwrap().is_empty());
    }

    #[test]
    fn a_range_of_ipv4_mapped_addresses_is_an_ipv4_range() {
        let list = AddressList::parse("::ffff:192.0.2.0/120").unwrap();
        assert!(list.contains("192.0.2.9") && list.contains("::ffff:192.0.2.9"));
        assert!(!list.contains("192.0.3.9"));
    }

    #[test]
    fn the_error_names_the_invalid_entry() {
        for (bad, named) in [
            ("192.0.2.0/33", "`192.0.2.0/33`"),
            ("10.0.0.1,x", "`x`"),
            ("10.0.0.1,", "``"),
            ("10.0.0.256", "`10.0.0.256`"),
            ("2001:db8::/129", "`2001:db8::/129`"),
            ("10.0.0.0/-1", "`10.0.0.0/-1`"),
            ("10.0.0.0/+8", "`10.0.0.0/+8`"),
            ("10.0.0.0/", "`10.0.0.0/`"),
            ("010.0.0.0/8", "`010.0.0.0/8`"),
            ("::ffff:10.0.00.1/104", "`::ffff:10.0.00.1/104`"),
        ] {
            let error = AddressList::parse(bad).unwrap_err();
            assert!(error.ends_with(named), "{error}");
        }
    }
}
