//! HTTP/1.1 messages (RFC 9112): what they say, and their heads.

use std::fmt::Write as _;
use std::sync::Arc;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// Origin form, absolute form (to a proxy) or authority form (CONNECT).
    pub(crate) target: String,
    pub(crate) host: Arc<str>,
    pub(crate) user_agent: Arc<str>,
    pub(crate) referer: Option<String>,
    pub(crate) content_type: Option<&'static str>,
    /// Bytes of body.
    pub(crate) body: u64,
    /// User of Basic proxy authorisation.
    pub(crate) user: Option<Arc<str>>,
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    /// Bytes of body.
    pub(crate) body: u64,
}

impl Request {
    pub(crate) fn get(host: Arc<str>, target: String, user_agent: Arc<str>) -> Self {
        Self { method: "GET", target, host, user_agent, referer: None, content_type: None, body: 0, user: None }
    }

    pub(crate) fn head(&self, out: &mut Vec<u8>) {
        let mut text = String::with_capacity(384);
        let _ = write!(
            text,
            "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nAccept: */*\r\n",
            self.method, self.target, self.host, self.user_agent
        );
        if let Some(referer) = &self.referer {
            let _ = write!(text, "Referer: {referer}\r\n");
        }
        if let Some(user) = &self.user {
            let _ = write!(text, "Proxy-Authorization: Basic {}\r\n", base64(format!("{user}:x").as_bytes()));
        }
        if let Some(kind) = self.content_type {
            let _ = write!(text, "Content-Type: {kind}\r\nContent-Length: {}\r\n", self.body);
        }
        text.push_str(if self.method == "CONNECT" {
            "Proxy-Connection: keep-alive\r\n\r\n"
        } else {
            "Connection: keep-alive\r\n\r\n"
        });
        out.extend_from_slice(text.as_bytes());
    }
}

impl Response {
    pub(crate) fn head(&self, connect: bool, out: &mut Vec<u8>) {
        let reason = match self.status {
            200 if connect => "Connection established",
            200 => "OK",
            204 => "No Content",
            206 => "Partial Content",
            301 => "Moved Permanently",
            302 => "Found",
            304 => "Not Modified",
            403 => "Forbidden",
            404 => "Not Found",
            407 => "Proxy Authentication Required",
            503 => "Service Unavailable",
            _ => "Status",
        };
        let mut text = String::with_capacity(192);
        let _ = write!(text, "HTTP/1.1 {} {reason}\r\n", self.status);
        if !connect {
            let _ = write!(text, "Server: nginx\r\nCache-Control: max-age=300\r\n");
            if let Some(kind) = self.content_type {
                let _ = write!(text, "Content-Type: {kind}\r\n");
            }
            // RFC 9110 section 8.6: no Content-Length with 204; 304 may say what a 200 would have had.
            if self.status != 204 && self.status != 304 {
                let _ = write!(text, "Content-Length: {}\r\n", self.body);
            }
        }
        text.push_str("\r\n");
        out.extend_from_slice(text.as_bytes());
    }
}

/// RFC 4648 section 4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const TABLE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            out.push(if i <= chunk.len() { char::from(TABLE[(n >> (18 - 6 * i) & 63) as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_test_vectors_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
