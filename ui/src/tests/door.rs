//! Who is let in.

use aggregator::lake::Lake;
use analytics::sql::EngineLimits;
use axum::body::Body;
use axum::http::{StatusCode, header};

use super::lake::empty;
use super::{PORT, Server, request};
use crate::door::Least;
use crate::{ServeConfig, ServeError, Transport, serve};

/// A path of the table with something in its parameters.
pub(super) fn filled(path: &str) -> String {
    path.replace("{source}", "flow")
        .replace("{*path}", "x.js")
        .replace("{record_id}", &"0".repeat(32))
        .replace("{", "")
        .replace("}", "")
}

#[tokio::test]
async fn a_server_whose_state_cannot_be_read_lives_and_is_not_ready() {
    let server = Server::over_empty();
    let ask = async |path: &str| server.send(request("GET", path).body(Body::empty()).unwrap()).await;
    assert_eq!(ask("/readyz").await.status, StatusCode::OK);
    let other = rusqlite::Connection::open(server.lake().dir().join("state.sqlite")).unwrap();
    other.execute_batch("ALTER TABLE users RENAME TO gone").unwrap();
    let answer = ask("/readyz").await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("the state database cannot be read"))
    );
    assert!(!answer.text().contains("users"), "what is wrong with it is for the log, not for everybody");
    assert_eq!(ask("/healthz").await.status, StatusCode::OK);
    other.execute_batch("ALTER TABLE gone RENAME TO users").unwrap();
    assert_eq!(ask("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_a_session_every_route_but_health_and_the_way_in_is_closed() {
    let server = Server::over_empty();
    let table = crate::api::routes();
    let open: Vec<&str> =
        table.table().iter().filter(|route| route.least == Least::Open).map(|route| route.path).collect();
    assert_eq!(
        open,
        ["/api/v1/health", "/healthz", "/readyz", "/login", "/login", "/setup", "/setup", "/door.css", "/door.js"]
    );
    let mut paths: Vec<String> = table.table().iter().map(|route| filled(route.path)).collect();
    assert!(paths.len() > 40);
    paths.push("/nowhere".to_owned());
    for path in paths.iter().filter(|path| !open.contains(&path.as_str())) {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"] {
            let own = format!("http://127.0.0.1:{PORT}");
            let answer =
                server.send(request(method, path).header(header::ORIGIN, own).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert!(
                answer.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"),
                "{method} {path}"
            );
        }
    }
    for path in ["/api/v1/health", "/healthz", "/readyz"] {
        let health = server.send(request("GET", path).body(Body::empty()).unwrap()).await;
        assert_eq!((health.status, health.json()["status"].as_str()), (StatusCode::OK, Some("ok")), "{path}");
    }
    for credential in ["Bearer ", "Bearer x", "Basic eDp5", &format!("Bearer {}", server.link)] {
        let answer = server
            .send(request("GET", "/api/v1/days").header(header::AUTHORIZATION, credential).body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{credential}");
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json");
        assert!(answer.json()["action"].as_str().unwrap().contains("spotter serve"));
    }
}

#[tokio::test]
async fn a_person_without_a_session_sees_a_page_that_says_what_to_do() {
    let server = Server::over_empty();
    let answer =
        server.send(request("GET", "/").header(header::ACCEPT, "text/html,*/*").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text().contains("Open the one-time link"));
}

#[tokio::test]
async fn the_link_gives_a_session_once() {
    let server = Server::over_empty();
    let first = server.send(request("GET", &format!("/?token={}", server.link)).body(Body::empty()).unwrap()).await;
    assert_eq!((first.status, first.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/"));
    let cookie = first.header(header::SET_COOKIE);
    for part in ["spotter_session_8080=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(&server.link));
    let pair = cookie.split(';').next().unwrap();
    let page = server
        .send(
            request("GET", "/api/v1/days").header(header::COOKIE, format!("a=b; {pair}")).body(Body::empty()).unwrap(),
        )
        .await;
    assert_eq!(page.status, StatusCode::OK);
    let again = server.send(request("GET", &format!("/?token={}", server.link)).body(Body::empty()).unwrap()).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(again.header(header::SET_COOKIE), "");
}

#[tokio::test]
async fn other_hosts_are_refused_dns_rebinding() {
    let server = Server::over_empty();
    let bearer = format!("Bearer {}", server.token);
    let ask = async |hosts: &[&str]| {
        let mut request = axum::http::Request::builder().uri("/api/v1/days").header(header::AUTHORIZATION, &bearer);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        server.send(request.body(Body::empty()).unwrap()).await.status
    };
    for host in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "[::1]:8080"] {
        assert_eq!(ask(&[host]).await, StatusCode::OK, "{host}");
    }
    for host in [
        "evil.example:8080",
        "127.0.0.1:8081",
        "127.0.0.1",
        "localhost.evil.example:8080",
        "127.0.0.1:8080.evil.example",
        "",
    ] {
        assert_eq!(ask(&[host]).await, StatusCode::FORBIDDEN, "{host}");
    }
    assert_eq!(ask(&[]).await, StatusCode::FORBIDDEN);
    assert_eq!(ask(&["127.0.0.1:8080", "evil.example"]).await, StatusCode::FORBIDDEN);
    let health = request("GET", "/api/v1/health").header(header::HOST, "evil.example").body(Body::empty()).unwrap();
    assert_eq!(server.send(health).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn changes_need_our_origin_or_the_token() {
    let server = Server::over_empty();
    let cookie = server.sign_in().await;
    let post = async |name: header::HeaderName, value: &str| {
        let request = request("POST", "/api/v1/links").header(header::COOKIE, &cookie).header(name, value);
        server.send(request.body(Body::empty()).unwrap()).await
    };
    for origin in ["http://evil.example", "https://127.0.0.1:8080", "http://127.0.0.1:8081", "null", ""] {
        assert_eq!(post(header::ORIGIN, origin).await.status, StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(post(header::ACCEPT, "*/*").await.status, StatusCode::FORBIDDEN, "no Origin at all");
    let made = post(header::ORIGIN, "http://localhost:8080").await;
    assert_eq!(made.status, StatusCode::OK);
    let link = made.json()["url"].as_str().unwrap().to_owned();
    let secret = link.strip_prefix("http://127.0.0.1:8080/?token=").unwrap();
    let opened = server.send(request("GET", &format!("/?token={secret}")).body(Body::empty()).unwrap()).await;
    assert!(opened.header(header::SET_COOKIE).starts_with("spotter_session_8080="));
    let script = request("POST", "/api/v1/links").header(header::AUTHORIZATION, format!("Bearer {}", server.token));
    assert_eq!(server.send(script.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_begun_by_other_sites_are_refused() {
    let server = Server::over_empty();
    let cookie = server.sign_in().await;
    let ask = async |site: &str, mode: &str, dest: &str| {
        let request = request("GET", "/api/v1/days")
            .header(header::COOKIE, &cookie)
            .header("sec-fetch-site", site)
            .header("sec-fetch-mode", mode)
            .header("sec-fetch-dest", dest);
        server.send(request.body(Body::empty()).unwrap()).await.status
    };
    assert_eq!(ask("same-origin", "cors", "empty").await, StatusCode::OK);
    assert_eq!(ask("none", "navigate", "document").await, StatusCode::OK);
    assert_eq!(ask("cross-site", "navigate", "document").await, StatusCode::OK, "following a link");
    for (mode, dest) in [("no-cors", "script"), ("cors", "empty"), ("no-cors", "image"), ("navigate", "iframe")] {
        assert_eq!(ask("cross-site", mode, dest).await, StatusCode::FORBIDDEN, "{mode} {dest}");
        assert_eq!(ask("same-site", mode, dest).await, StatusCode::FORBIDDEN, "{mode} {dest}");
    }
}

#[tokio::test]
async fn every_answer_forbids_what_pages_must_not_do() {
    let server = Server::over_empty();
    for path in ["/", "/api/v1/days", "/api/v1/nothing", "/files/ui/flow/suspicious.html"] {
        let answer = server.get(path).await;
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{path}");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("require-trusted-types-for 'script'"),
            "{path}"
        );
        assert!(answer.headers.get(header::CACHE_CONTROL).is_some(), "{path}");
    }
}

#[tokio::test]
async fn failures_are_problems_that_say_what_to_do() {
    let server = Server::over_empty();
    for (path, status, part) in [
        ("/api/v1/nothing", 404, "/api/v1/nothing"),
        ("/api/v1/suspicious/flow?limit=0", 400, "limit"),
        ("/api/v1/suspicious/flow?limit=x", 400, "limit"),
        ("/api/v1/suspicious/flow?colour=red", 400, "colour"),
        ("/api/v1/suspicious/flow?sort=x", 400, "sort"),
        ("/api/v1/suspicious/flow?date=today", 400, "date"),
        ("/api/v1/suspicious/flow?cursor=x", 400, "cursor"),
        ("/api/v1/suspicious/flow?filter=10.0.0.0/64", 400, "network"),
        ("/api/v1/suspicious/mail", 404, "mail"),
        ("/api/v1/details/flow?src=a&dst=b", 400, "time"),
        ("/api/v1/details/flow?src=a&dst=b&time=now", 400, "time"),
        ("/api/v1/record/mail/00000000000000000000000000000000?date=2016-07-08", 404, "mail"),
        ("/api/v1/record/flow/xyz?date=2016-07-08", 400, "record_id"),
        ("/api/v1/record/flow/00000000000000000000000000000000?date=2016-07-08", 404, "2016-07-08"),
        ("/api/v1/ingest/flow?date=x", 400, "date"),
        ("/files/ui/mail/suspicious.html", 404, "mail"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json", "{path}");
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{path}: {problem}");
        assert!(problem["action"].as_str().unwrap().len() > 10, "{path}: {problem}");
    }
    let post = request("POST", "/api/v1/days").header(header::AUTHORIZATION, format!("Bearer {}", server.token));
    let answer = server.send(post.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.json()["type"], "method_not_allowed");
}

#[tokio::test]
async fn spot_s_old_addresses_lead_to_the_page() {
    let server = Server::over_empty();
    for folder in ["flow", "dns", "proxy"] {
        for page in ["suspicious", "threat-investigation", "storyboard"] {
            let answer = server.get(&format!("/files/ui/{folder}/{page}.html")).await;
            assert_eq!(
                (answer.status, answer.header(header::LOCATION)),
                (StatusCode::SEE_OTHER, format!("/?spot={folder}&page={page}").as_str())
            );
        }
    }
    let answer = server.get("/files/ui/ingest/ingest-summary.html").await;
    assert_eq!(answer.header(header::LOCATION), "/?spot=ingest&page=ingest-summary");
    for nothing in ["/files/ui/nosuch/suspicious.html", "/files/ui/flow/passwd", "/files/ui/flow/%2e%2e"] {
        assert_eq!(server.get(nothing).await.status, StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080", "10.0.0.1:0"] {
        let (_dir, lake) = empty();
        let error = serve(config(address, lake), std::future::ready(())).await.unwrap_err();
        assert!(matches!(error, ServeError::NotLoopback(_)), "{address}: {error}");
        assert!(error.to_string().contains("--tls"), "{error}");
    }
}

fn config(listen: &str, lake: Lake) -> ServeConfig {
    ServeConfig {
        listen: listen.parse().unwrap(),
        transport: Transport::Plain,
        names: Vec::new(),
        live: Default::default(),
        feed_socket: None,
        lake,
        limits: EngineLimits::default(),
        on_ready: Box::new(|_| {}),
    }
}

#[tokio::test]
async fn a_real_listener_answers_and_stops_when_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_dir, lake) = empty();
    let (ready_to, ready) = tokio::sync::oneshot::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let config =
        ServeConfig { on_ready: Box::new(move |ready| ready_to.send(ready).unwrap()), ..config("127.0.0.1:0", lake) };
    let server = tokio::spawn(serve(config, async {
        let _ = stopped.await;
    }));
    let ready = ready.await.unwrap();
    let keys = ready.console.as_ref().unwrap();
    assert!(keys.link.starts_with(&format!("http://{}/?token=", ready.address)));
    assert!(!format!("{ready:?}").contains(&keys.api_token));
    assert_eq!(ready.setup_code.as_ref().unwrap().len(), 14);

    // A second server on the same port says so.
    let (_other, lake) = empty();
    let taken = serve(super::door::config(&ready.address.to_string(), lake), std::future::ready(())).await.unwrap_err();
    assert!(matches!(taken, ServeError::Listen { .. }), "{taken}");

    let mut socket = tokio::net::TcpStream::connect(ready.address).await.unwrap();
    let ask = format!("GET /api/v1/health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", ready.address);
    socket.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#""version":"0.1.0"}"#), "{answer}");

    // A head without end is cut off.
    let mut greedy = tokio::net::TcpStream::connect(ready.address).await.unwrap();
    let flood = vec![b'a'; 256 << 10];
    let _ = greedy.write_all(b"GET / HTTP/1.1\r\nx: ").await;
    let _ = greedy.write_all(&flood).await;
    let mut answer = Vec::new();
    let _ = greedy.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(ready.address).await.is_err());
}

impl Server {
    pub(super) fn over_empty() -> Self {
        let (dir, lake) = empty();
        Self::over(dir, lake)
    }
}
