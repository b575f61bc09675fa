//! Apache Spot's feedback files (`ml_feedback.csv`), as its operational analytics wrote them: joined with commas and no quotes, the severity of
//! requests in a column with another name. They could not be read by Spot itself; here they are read as they were meant.
//!
//! A line names a flow by its moment, a question by its client and name, a request by its URI. What the analyst meant by it lives on as a pattern: host, peer and
//! port of a flow; the client or the name, whichever was rated; the URI.

use aggregator::lake::Source;

use super::exchange::Item;
use super::{Matcher, Span};

/// Which of Spot's three files, and what parts its fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    source: Source,
    separator: char,
}

impl Layout {
    /// Told by the header.
    pub(super) fn of(header: &str) -> Option<Self> {
        let separator = if header.contains('\t') { '\t' } else { ',' };
        let names: Vec<&str> = header.trim().split(separator).collect();
        let source = match names.as_slice() {
            ["sev", "tstart", "sip", "dip", ..] => Source::Flow,
            ["frame_time", "frame_len", "ip_dst", "dns_qry_name", ..] => Source::Dns,
            ["p_date", "p_time", "clientip", "host", ..] if names.contains(&"fulluri") => Source::Proxy,
            _ => return None,
        };
        Some(Self { source, separator })
    }

    /// All lines but headers, which Spot wrote again and again; line numbers from 1.
    pub(super) fn read(self, text: &str) -> Vec<(u64, Result<Item, String>)> {
        let header = text.lines().next().unwrap_or_default();
        let mut items = Vec::new();
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| *line != header && !line.trim().is_empty()) {
            let fields: Vec<&str> = line.split(self.separator).map(str::trim).collect();
            let read = match self.source {
                Source::Flow => flow(&fields).map(|item| vec![item]),
                Source::Dns => dns(&fields),
                Source::Proxy => proxy(&fields).map(|item| vec![item]),
            };
            match read {
                Ok(read) => items.extend(read.into_iter().map(|item| (number, Ok(item)))),
                Err(why) => items.push((number, Err(why))),
            }
        }
        items
    }
}

fn severity(text: &str) -> Option<i64> {
    matches!(text, "1" | "2" | "3").then(|| text.parse().unwrap_or_default())
}

fn item(source: Source, severity: i64, matcher: Matcher, when: &str) -> Item {
    Item {
        source: source.as_str().to_owned(),
        severity,
        matcher: Some(matcher),
        author: Some("spot".to_owned()),
        note: Some(format!("Apache Spot, {when}")),
        ..Item::default()
    }
}

/// sev, tstart, sip, dip, sport, dport, ipkt, ibyt
fn flow(fields: &[&str]) -> Result<Item, String> {
    let &[sev, tstart, sip, dip, _, dport, ..] = fields else {
        return Err(format!("{} fields, a flow has 8", fields.len()));
    };
    let severity = severity(sev).ok_or_else(|| format!("severity {sev:?}: 1, 2 or 3"))?;
    let port = dport.parse::<u16>().map_err(|_| format!("port {dport:?}"))?;
    let matcher = Matcher {
        host: Some(sip.to_owned()),
        peer: Some(dip.to_owned()),
        port: (port != 0).then(|| Span::of(port.into())),
        ..Matcher::default()
    };
    Ok(item(Source::Flow, severity, matcher, tstart))
}

/// frame_time, frame_len, ip_dst, dns_qry_name, …, ip_sev (11), dns_sev (12), …
fn dns(fields: &[&str]) -> Result<Vec<Item>, String> {
    let (Some(time), Some(client), Some(name), Some(ip_sev), Some(dns_sev)) =
        (fields.first(), fields.get(2), fields.get(3), fields.get(11), fields.get(12))
    else {
        return Err(format!("{} fields, a question has 18", fields.len()));
    };
    let mut items = Vec::new();
    if let Some(severity) = severity(dns_sev) {
        let matcher = Matcher { domain: Some((*name).to_owned()), ..Matcher::default() };
        items.push(item(Source::Dns, severity, matcher, time));
    }
    if let Some(severity) = severity(ip_sev) {
        let matcher = Matcher { host: Some((*client).to_owned()), ..Matcher::default() };
        items.push(item(Source::Dns, severity, matcher, time));
    }
    if items.is_empty() { Err(format!("severities {ip_sev:?} and {dns_sev:?}: 1, 2 or 3")) } else { Ok(items) }
}

/// p_date, p_time, clientip, host, …, fulluri (18), word, score, uri_rep, uri_sev, respcode_name, network_context, hash: 26 of them, more where the user agent
/// or the URI has commas. The URI begins with the host, and is the last that does before the 7 fields behind it.
fn proxy(fields: &[&str]) -> Result<Item, String> {
    const BEHIND: usize = 7;
    let wrong = || format!("{} fields, a request has 26", fields.len());
    let end = fields.len().checked_sub(BEHIND).filter(|end| *end >= 19).ok_or_else(wrong)?;
    let (date, time, host) = match fields {
        [date, time, _, host, ..] => (*date, *time, *host),
        _ => return Err(wrong()),
    };
    let start = if fields.len() == 26 {
        18
    } else {
        let begins = |at: &usize| !host.is_empty() && fields.get(*at).is_some_and(|field| field.starts_with(host));
        (6..end).rev().find(begins).ok_or_else(|| format!("{}: no field is a URI of {host:?}", wrong()))?
    };
    let uri = fields.get(start..end).unwrap_or_default().join(",");
    // Spot's page wrote the severity where the header says `score`, which is no whole number.
    let severity = [end + 1, end + 3]
        .into_iter()
        .find_map(|at| severity(fields.get(at)?))
        .ok_or_else(|| "no severity of 1, 2 or 3 in its columns".to_owned())?;
    let matcher = Matcher { uri: Some(uri), ..Matcher::default() };
    Ok(item(Source::Proxy, severity, matcher, &format!("{date} {time}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Vec<(u64, Result<Item, String>)> {
        Layout::of(text.lines().next().unwrap()).unwrap().read(text)
    }

    #[test]
    fn flow_lines_with_commas_or_tabs() {
        let text = "sev,tstart,sip,dip,sport,dport,ipkt,ibyt\n3,2016-07-08 03:15:01,10.0.0.1,198.51.100.2,40001,445,120,3\n\
            sev,tstart,sip,dip,sport,dport,ipkt,ibyt\n9,x,10.0.0.1,198.51.100.2,1,2,3,4\n3,cut\n";
        for text in [text.to_owned(), text.replace(',', "\t")] {
            let items = read(&text);
            let first = items[0].1.as_ref().unwrap();
            assert_eq!((first.severity, first.source.as_str()), (3, "flow"));
            assert_eq!(
                first.matcher.as_ref().unwrap().to_json(),
                r#"{"host":"10.0.0.1","peer":"198.51.100.2","port":445}"#
            );
            let lines: Vec<(u64, bool)> = items.iter().map(|(line, item)| (*line, item.is_ok())).collect();
            assert_eq!(lines, [(2, true), (4, false), (5, false)]);
        }
    }

    #[test]
    fn questions_are_rated_by_name_or_by_client() {
        let header = "frame_time,frame_len,ip_dst,dns_qry_name,dns_qry_class,dns_qry_type,dns_qry_rcode,score,tld,query_rep,hh,ip_sev,dns_sev,\
            dns_qry_class_name,dns_qry_type_name,dns_qry_rcode_name,network_context,unix_tstamp";
        let line = |ip, dns| {
            format!(
                "{header}\nMay 20 2016 02:10:25,100,10.0.0.9,a.evil.example,0x1,1,0,0.1,,,2,{ip},{dns},,,,,1463710225\n"
            )
        };
        let matcher = |text: String| -> Vec<String> {
            read(&text).into_iter().filter_map(|(_, item)| Some(item.ok()?.matcher?.to_json())).collect()
        };
        assert_eq!(matcher(line(0, 3)), [r#"{"domain":"a.evil.example"}"#]);
        assert_eq!(matcher(line(1, 0)), [r#"{"host":"10.0.0.9"}"#]);
        assert!(matcher(line(0, 0)).is_empty());
    }

    #[test]
    fn commas_in_user_agents_and_uris_do_not_lose_the_request() {
        let header = "p_date,p_time,clientip,host,reqmethod,useragent,resconttype,duration,username,webcat,referer,respcode,uriport,uripath,uriquery,\
            serverip,scbytes,csbytes,fulluri,word,score,uri_rep,uri_sev,respcode_name,network_context,hash";
        assert_eq!(header.split(',').count(), 26);
        let line = |agent: &str, uri: &str, score: &str, sev: &str| {
            format!(
                "{header}\n2016-07-08,03:15:01,10.0.0.1,a.example,GET,{agent},text/html,1,-,-,-,200,80,/x,-,198.51.100.2,1,2,{uri},w_1,{score},,{sev},OK,,abc\n"
            )
        };
        for (agent, uri) in
            [("curl", "a.example/x"), ("Mozilla (KHTML, like Gecko)", "a.example/x"), ("a,b", "a.example/x?q=1,2")]
        {
            for (score, sev) in [("3", ""), ("0.01", "3")] {
                let items = read(&line(agent, uri, score, sev));
                let item = items[0].1.as_ref().unwrap();
                assert_eq!((item.severity, item.matcher.as_ref().unwrap().uri.as_deref()), (3, Some(uri)));
            }
        }
        assert!(read(&line("curl", "a.example/x", "0.01", ""))[0].1.is_err());
    }
}
