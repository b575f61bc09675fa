//! Our heads against the `httparse` crate: what that one reads without complaint, we read the same.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

mod conversation;

use capture::Body;
use conversation::Conversation;
use conversation::From::{Client, Server};
use proptest::prelude::*;

const LINES: [&str; 14] = [
    "Host: a.example\r\n",
    "host:b.example:80\r\n",
    "HOST:  c \t\r\n",
    "User-Agent: x/1 (y; z)\r\n",
    "X: \r\n",
    "A:b:c\r\n",
    "Referer: http://r/?q=1\r\n",
    "Content-Type: text/html\n",
    "Content-Length: 3\r\n",
    "Cookie: a=b\r\n",
    "X-Host: no\r\n",
    "Hostile: no\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Accept: */*\r\n",
];

fn header(headers: &[httparse::Header<'_>], name: &str) -> Option<String> {
    let found = headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
    Some(String::from_utf8_lossy(found.value).trim().to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests(
        line in "(GET|POST|DELETE|PROPFIND|get|X-ODD) (/[a-z?=&%20/]{0,12}|\\*|http://h/x) HTTP/1\\.[01]\r?\n",
        fields in proptest::collection::vec(proptest::sample::select(LINES.to_vec()), 0..8),
        flip in proptest::option::of((any::<prop::sample::Index>(), 0_u8..128)),
    ) {
        let mut head = format!("{line}{}\r\n", fields.concat()).into_bytes();
        if let Some((at, value)) = flip {
            let at = at.index(head.len());
            head[at] = value;
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut other = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(end)) = other.parse(&head) else { return Ok(()) };
        let mut c = Conversation::connected(80);
        c.say(Client, &head);
        let (seen, _) = c.finish();
        let ours = seen.first().map(|m| &m.body);
        let Some(Body::HttpRequest(ours)) = ours else {
            // A method and a target that nobody would believe to be HTTP.
            prop_assert!(flip.is_some(), "{:?}", String::from_utf8_lossy(&head));
            return Ok(());
        };
        prop_assert_eq!(Some(ours.method.as_str()), other.method);
        prop_assert_eq!(Some(ours.target.as_str()), other.path);
        prop_assert_eq!(&ours.host, &header(other.headers, "host"));
        prop_assert_eq!(&ours.user_agent, &header(other.headers, "user-agent"));
        prop_assert_eq!(&ours.referer, &header(other.headers, "referer"));
        prop_assert!(ours.bytes >= end as u64);
    }

    #[test]
    fn responses(
        line in "HTTP/1\\.[01] [2-5][0-9][0-9]( [A-Za-z ]{0,9})?\r?\n",
        fields in proptest::collection::vec(proptest::sample::select(LINES.to_vec()), 0..8),
    ) {
        let head = format!("{line}{}\r\n", fields.concat()).into_bytes();
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut other = httparse::Response::new(&mut headers);
        prop_assert!(matches!(other.parse(&head), Ok(httparse::Status::Complete(_))));
        let mut c = Conversation::connected(80);
        c.say(Server, &head);
        let (seen, _) = c.finish();
        let Some(Body::HttpResponse(ours)) = seen.first().map(|m| &m.body) else { panic!("{seen:?}") };
        prop_assert_eq!(Some(ours.status), other.code);
        prop_assert_eq!(&ours.content_type, &header(other.headers, "content-type"));
    }
}
