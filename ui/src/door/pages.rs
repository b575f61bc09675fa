//! The pages that are shown to whoever has no session: plain HTML from the server, so that nothing of the application is
//! reachable before the door.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

const LOGIN: &str = include_str!("../../web/src/pages/login/login.html");
const SETUP: &str = include_str!("../../web/src/pages/login/setup.html");
const STYLE: &str = include_str!("../../web/src/pages/login/door.css");
const SCRIPT: &str = include_str!("../../web/src/pages/login/door.js");

const HTML: &str = "text/html; charset=utf-8";

/// Which page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    Login,
    Setup,
}

/// The page, with what went wrong and the name that was typed.
pub(super) fn page(page: Page, status: StatusCode, problem: Option<&str>, name: &str) -> Response {
    let template = match page {
        Page::Login => LOGIN,
        Page::Setup => SETUP,
    };
    let problem =
        problem.map_or_else(String::new, |text| format!("<p class=\"problem\" role=\"alert\">{}</p>", escape(text)));
    // The name last: what it contains is not looked at again.
    let html = template.replace("{{problem}}", &problem).replace("{{name}}", &escape(name));
    let mut response = (status, [(header::CONTENT_TYPE, HTML)], html).into_response();
    // Without a referrer the browser would send `Origin: null` with the form, which is not ours.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// `GET /door.css`
pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], STYLE).into_response()
}

/// `GET /door.js`
pub(crate) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], SCRIPT)
        .into_response()
}

/// Text for HTML, in content or between quotes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_typed_is_text() {
        let answer = page(Page::Login, StatusCode::OK, Some("<b>{{name}}"), "\"><script>alert(1)</script>{{problem}}");
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(html.matches("<script").count(), 1);
        assert!(html.contains("value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{problem}}\""), "{html}");
    }
}
