//! Properties of what the service calls, and of what it gets back.

use alloc::format;
use alloc::string::ToString as _;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::json;

use super::{check_detail, text};
use crate::value::address::is_public;
use crate::value::outbound::OutboundUrl;
use crate::wire::dns;

/// A URL to call, and an address that its name resolves to: the first 16 bytes. Outside development one that is accepted is `https`, has
/// neither a user nor a fragment, and names nothing that is private. A connection never goes to a private address, in whatever form IPv6 writes it.
pub fn outbound(data: &[u8]) {
    let url = text(data);
    let (strict, lenient) = (
        OutboundUrl::parse(&url, false),
        OutboundUrl::parse(&url, true),
    );
    if let Err(detail) = &lenient {
        check_detail(detail);
        assert!(strict.is_err(), "{url}");
    }
    if let Ok(read) = &strict {
        assert!(lenient.as_ref() == Ok(read) && read.as_str() == url);
        assert!(!read.is_loopback() && url.len() <= 2048, "{url}");
        let rest = url.strip_prefix("https://").expect("https");
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        assert!(url.bytes().all(|b| b.is_ascii_graphic()), "{url}");
        assert!(!authority.contains(['@', '%', '\\']) && !url.contains('#'));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>()),
            _ => (authority, Ok(443)),
        };
        assert!(port.is_ok_and(|port| port > 0), "{url}");
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) => assert!(read.may_connect_to(address), "{url}"),
            // Browsers take a name whose last label is a number for an IPv4 address.
            Err(_) => {
                let last = host.rsplit('.').next().unwrap_or_default();
                assert!(last.starts_with(|c: char| c.is_ascii_alphabetic()) || last.len() > 1);
                assert!(!last.bytes().all(|b| b.is_ascii_digit()), "{url}");
                assert!(!last.eq_ignore_ascii_case("localhost"), "{url}");
            }
        }
    }
    let Some(bytes) = data.first_chunk::<16>() else {
        return;
    };
    let address = IpAddr::from(*bytes);
    let public = OutboundUrl::parse("https://hooks.example.com/", true).expect("a public name");
    let loopback = OutboundUrl::parse("http://localhost/", true).expect("this machine");
    assert_eq!(public.may_connect_to(address), is_public(address));
    assert!(!(public.may_connect_to(address) && loopback.may_connect_to(address)));
    // An address of IPv4 is judged alike in each form of IPv6 that reaches it.
    let v4 = Ipv4Addr::from([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let [high, low] = [[bytes[0], bytes[1]], [bytes[2], bytes[3]]].map(u16::from_be_bytes);
    let of_v4 = is_public(v4.into());
    assert!(!of_v4 || !(v4.is_private() || v4.is_loopback() || v4.is_link_local()));
    assert!(!of_v4 || !(v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified()));
    for form in [
        v4.to_ipv6_mapped(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
    ] {
        assert_eq!(is_public(form.into()), of_v4, "{form} of {v4}");
    }
    // A URL that names the address is judged as the connection.
    for named in [format!("https://{v4}/"), format!("https://[{address}]/")] {
        let parsed = OutboundUrl::parse(&named, false);
        let address = match named.contains('[') {
            true => address,
            false => v4.into(),
        };
        assert_eq!(parsed.is_ok(), is_public(address), "{named}");
    }
}

/// A resolver's answer, or the text of a record. No answer panics, and one shows an owner only if the text is in it. In an answer made around the text,
/// it is found as a `TXT` and as nothing else, whatever else is there, and no other text is.
pub fn dns(data: &[u8]) {
    const WANTED: &str = "tenants-proof=0123456789abcdef";
    match dns::has_text(200, data, WANTED) {
        // The reader skips members that it does not know, whatever their text is. A strict parser may refuse them.
        Ok(found) => {
            if let Ok(tree) = serde_json::from_slice::<serde_json::Value>(data) {
                let status = tree["Status"].as_u64().or(tree[0].as_u64());
                assert!(matches!(status, Some(0 | 3)), "{tree}");
                assert!(!found || tree.to_string().contains(WANTED), "{tree}");
            }
        }
        Err(detail) => check_detail(&detail),
    }
    assert!(dns::has_text(500, data, WANTED).is_err());
    let text = text(data);
    let answer = |kind: u32, data: &str| {
        let other = json!({"name": "x", "type": 16, "TTL": 1, "data": &text});
        let one = json!({"name": "x", "type": kind, "TTL": 1, "data": data});
        json!({"Status": 0, "TC": false, "Answer": [other, one]}).to_string()
    };
    let is_it = text.trim_matches('"') == WANTED;
    for (kind, data, found) in [
        (16, WANTED.to_string(), true),
        (16, format!("\"{WANTED}\""), true),
        (16, format!("{WANTED}x"), is_it),
        (5, WANTED.to_string(), is_it),
    ] {
        let answer = answer(kind, &data);
        let has = dns::has_text(200, answer.as_bytes(), WANTED);
        assert_eq!(has, Ok(found), "{answer}");
    }
}
