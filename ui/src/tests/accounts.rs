//! Accounts: signing in, what each role may, and what cannot be done from outside.

use aggregator::state::audit::NewEntry;
use aggregator::state::users::Changed;
use axum::body::Body;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::door::filled;
use super::lake::known;
use super::{Answer, PORT, Server, request};
use crate::door::{Attempt, Least, Role};

const PASSWORD: &str = "correct horse battery";

fn note() -> NewEntry {
    let text = "test".to_owned();
    NewEntry { actor: text.clone(), address: text.clone(), action: text.clone(), subject: text.clone(), detail: text }
}

fn own_origin() -> String {
    format!("http://127.0.0.1:{PORT}")
}

impl Server {
    /// A server with an administrator `root`, and `ann` and `vic`, analyst and viewer, of one password.
    pub(super) async fn with_accounts() -> Self {
        let (dir, lake) = known();
        let server = Self::over(dir, lake);
        let phc = crate::hash_password("root", PASSWORD).unwrap();
        for (name, role) in [("root", "admin"), ("ann", "analyst"), ("vic", "viewer")] {
            assert_eq!(server.lake().state().add_user(name, &phc, role, false, &note()).unwrap(), Changed::Done);
        }
        server
    }

    async fn post_form(&self, path: &str, body: &str, cookie: &str) -> Answer {
        let request = request("POST", path)
            .header(header::ORIGIN, own_origin())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, cookie);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(super) async fn log_in(&self, name: &str) -> String {
        let answer =
            self.post_form("/login", &format!("name={name}&password={}", PASSWORD.replace(' ', "+")), "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        session(&answer)
    }

    pub(super) async fn ask(&self, method: &str, path: &str, cookie: &str, body: Option<Value>) -> Answer {
        let mut request = request(method, path).header(header::ORIGIN, own_origin()).header(header::COOKIE, cookie);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    async fn bearer(&self, method: &str, path: &str, token: &str) -> Answer {
        let request = request(method, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

/// The `name=value` of the session in an answer's cookies.
fn session(answer: &Answer) -> String {
    let cookies = answer.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("spotter_session_8080=")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn every_route_asks_every_role_for_what_the_table_says() {
    let server = Server::with_accounts().await;
    let mut cookies = Vec::new();
    for (name, role) in [("vic", Role::Viewer), ("ann", Role::Analyst), ("root", Role::Admin)] {
        cookies.push((name, role, server.log_in(name).await));
    }
    let routes = crate::api::routes();
    let mut seen = 0;
    for route in routes.table() {
        let Least::Role(least) = route.least else { continue };
        for (name, role, cookie) in &cookies {
            // It would end the session that the next routes are asked with.
            if route.path == "/api/v1/logout" {
                continue;
            }
            let answer = server.ask(route.method.as_str(), &filled(route.path), cookie, None).await;
            let is_refused = answer.status == StatusCode::FORBIDDEN && answer.json()["type"] == "role";
            assert_eq!(is_refused, *role < least, "{name} {} {}: {}", route.method, route.path, answer.text());
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{name} {} {}", route.method, route.path);
            assert!(answer.status.as_u16() < 500, "{}: {}", route.path, answer.text());
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[tokio::test]
async fn once_there_is_an_administrator_links_and_the_console_token_open_nothing() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    let cookie = server.sign_in().await;
    assert_eq!(server.ask("GET", "/api/v1/me", &cookie, None).await.json()["name"], "console");
    let new = json!({"name": "ann", "role": "analyst", "password": PASSWORD});
    let first = server.ask("POST", "/api/v1/users", &cookie, Some(new)).await;
    assert_eq!(first.status, StatusCode::CONFLICT, "the first account has to be an administrator");
    let new = json!({"name": "root", "role": "admin", "password": PASSWORD});
    assert_eq!(server.ask("POST", "/api/v1/users", &cookie, Some(new)).await.status, StatusCode::OK);
    assert_eq!(server.ask("GET", "/api/v1/me", &cookie, None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("/api/v1/days").await.status, StatusCode::UNAUTHORIZED);
    let fresh = server.app.console.new_link().unwrap();
    let again = server.send(request("GET", &format!("/?token={}", fresh.reveal())).body(Body::empty()).unwrap()).await;
    assert_eq!((again.status, again.header(header::SET_COOKIE)), (StatusCode::SEE_OTHER, ""));
    let page = request("GET", "/").header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
    assert_eq!(server.send(page).await.header(header::LOCATION), "/login");
}

#[tokio::test]
async fn the_set_up_code_makes_one_administrator() {
    let server = Server::over_empty();
    let form = |code: &str, password: &str| format!("code={code}&name=Root&password={password}&again={password}");
    assert_eq!(server.post_form("/setup", &form("x", "correct-horse-battery"), "").await.status, StatusCode::FORBIDDEN);
    let code = server.app.setup.new_code(std::time::Instant::now()).unwrap();
    let page = server.send(request("GET", "/setup").body(Body::empty()).unwrap()).await;
    assert!(page.text().contains("Set-up code"));
    assert_eq!(page.header(header::REFERRER_POLICY), "same-origin", "else the form's Origin is null");
    for (code, password, part) in
        [("0000-0000-0000", "correct-horse-battery", "code is wrong"), (&*code, "short", "at least 12")]
    {
        let answer = server.post_form("/setup", &form(code, password), "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text().contains(part), "{}", answer.text());
    }
    let made = server.post_form("/setup", &form(&code, "correct-horse-battery"), "").await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let me = server.ask("GET", "/api/v1/me", &session(&made), None).await.json();
    let display = json!({"theme": "system", "contrast": "system", "zone": ""});
    let expected =
        json!({"name": "Root", "role": "admin", "via": "session", "zone": "UTC", "views": [], "display": display});
    assert_eq!(me, expected);
    let again = server.post_form("/setup", &form(&code, "correct-horse-battery"), "").await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert_eq!(server.lake().state().users().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_s_secret_is_new_at_each_login_and_nobody_can_choose_it() {
    let server = Server::with_accounts().await;
    let chosen = format!("spotter_session_8080={}", "a".repeat(64));
    assert_eq!(server.ask("GET", "/api/v1/me", &chosen, None).await.status, StatusCode::UNAUTHORIZED);
    let body = format!("name=vic&password={}", PASSWORD.replace(' ', "+"));
    let first = session(&server.post_form("/login", &body, &chosen).await);
    assert_ne!(first, chosen);
    assert_eq!(server.ask("GET", "/api/v1/me", &chosen, None).await.status, StatusCode::UNAUTHORIZED);
    // Signing in again in the same browser ends the session it had.
    let second = session(&server.post_form("/login", &body, &first).await);
    assert_ne!(second, first);
    assert_eq!(server.ask("GET", "/api/v1/me", &first, None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.ask("GET", "/api/v1/me", &second, None).await.status, StatusCode::OK);
    // The database does not hold what the browser sends.
    let secret = second.split_once('=').unwrap().1;
    let database = std::fs::read(server.lake().state().path()).unwrap();
    let log = std::fs::read(server.lake().state().path().with_extension("sqlite-wal")).unwrap_or_default();
    for bytes in [database, log] {
        assert!(!String::from_utf8_lossy(&bytes).contains(secret));
    }
    let out = server.ask("POST", "/api/v1/logout", &second, None).await;
    assert_eq!(out.status, StatusCode::OK);
    assert!(out.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(server.ask("GET", "/api/v1/me", &second, None).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_change_of_role_password_or_state_ends_the_sessions_and_binds_the_tokens() {
    let server = Server::with_accounts().await;
    let root = server.log_in("root").await;
    let ann = server.log_in("ann").await;
    let made =
        server.ask("POST", "/api/v1/me/tokens", &ann, Some(json!({"name": "t", "scope": "analyst", "days": 1}))).await;
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("spt_") && token.len() == 68, "{token}");
    assert_eq!(server.bearer("GET", "/api/v1/sql/schema", &token).await.status, StatusCode::OK);
    let change = server.ask("PATCH", "/api/v1/users/ann", &root, Some(json!({"role": "viewer"}))).await;
    assert_eq!(change.status, StatusCode::OK, "{}", change.text());
    assert_eq!(server.ask("GET", "/api/v1/me", &ann, None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        server.bearer("GET", "/api/v1/sql/schema", &token).await.status,
        StatusCode::FORBIDDEN,
        "never more than its account"
    );
    assert_eq!(server.bearer("GET", "/api/v1/days", &token).await.status, StatusCode::OK);
    let ann = server.log_in("ann").await;
    let disabled = server.ask("PATCH", "/api/v1/users/ann", &root, Some(json!({"enabled": false}))).await;
    assert_eq!(disabled.status, StatusCode::OK);
    assert_eq!(server.ask("GET", "/api/v1/me", &ann, None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.bearer("GET", "/api/v1/days", &token).await.status, StatusCode::UNAUTHORIZED);
    let body = format!("name=ann&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(server.post_form("/login", &body, "").await.status, StatusCode::UNAUTHORIZED);
    // Nobody saws off the branch all sit on.
    for change in [json!({"role": "viewer"}), json!({"enabled": false})] {
        let answer = server.ask("PATCH", "/api/v1/users/root", &root, Some(change)).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
    }
    let own = json!({"current": PASSWORD, "new": "another good password"});
    let changed = server.ask("POST", "/api/v1/me/password", &root, Some(own)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    assert_eq!(server.ask("GET", "/api/v1/me", &root, None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.ask("GET", "/api/v1/me", &session(&changed), None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_do_no_more_than_their_scope_and_end() {
    let server = Server::with_accounts().await;
    let ann = server.log_in("ann").await;
    let make = async |scope: &str, days: u32| {
        server.ask("POST", "/api/v1/me/tokens", &ann, Some(json!({"name": "t", "scope": scope, "days": days}))).await
    };
    assert_eq!(make("admin", 1).await.status, StatusCode::FORBIDDEN);
    assert_eq!(make("viewer", 0).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(make("viewer", 367).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(make("root", 1).await.status, StatusCode::BAD_REQUEST);
    let secret = |answer: Answer| answer.json()["token"].as_str().unwrap().to_owned();
    let (metrics, viewer) = (secret(make("metrics", 1).await), secret(make("viewer", 1).await));
    let routes = crate::api::routes();
    for route in routes.table() {
        let Least::Role(least) = route.least else { continue };
        let path = filled(route.path);
        let answer = server.bearer(route.method.as_str(), &path, &metrics).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "metrics {} {path}", route.method);
        let answer = server.bearer(route.method.as_str(), &path, &viewer).await;
        if least > Role::Viewer {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "viewer {} {path}", route.method);
        }
    }
    // A token makes no tokens and changes no password, whatever its scope.
    let analyst = secret(make("analyst", 1).await);
    assert_eq!(server.bearer("GET", "/api/v1/me/tokens", &analyst).await.status, StatusCode::FORBIDDEN);
    let listed = server.ask("GET", "/api/v1/me/tokens", &ann, None).await.json();
    let id = listed["tokens"][2]["id"].as_i64().unwrap();
    assert!(listed["tokens"][2]["used"].is_string() && !listed.to_string().contains(&analyst));
    let vic = server.log_in("vic").await;
    let foreign = server.ask("DELETE", &format!("/api/v1/me/tokens/{id}"), &vic, None).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(server.ask("DELETE", &format!("/api/v1/me/tokens/{id}"), &ann, None).await.status, StatusCode::OK);
    assert_eq!(server.bearer("GET", "/api/v1/days", &analyst).await.status, StatusCode::UNAUTHORIZED);
    for wrong in ["spt_", &analyst[..67], &format!("{analyst}0"), "spt_' OR 1=1 --"] {
        assert_eq!(server.bearer("GET", "/api/v1/days", wrong).await.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_and_does_not_lock_the_owner_s_browser_out() {
    let server = Server::with_accounts().await;
    let first = server.post_form("/login", &format!("name=vic&password={}", PASSWORD.replace(' ', "+")), "").await;
    let device = first
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|value| value.to_str().unwrap())
        .find(|cookie| cookie.starts_with("spotter_device_8080="))
        .unwrap();
    assert!(device.contains("HttpOnly") && device.contains("SameSite=Strict"));
    let device = device.split(';').next().unwrap().to_owned();
    for n in 0..5 {
        let answer = server.post_form("/login", &format!("name=vic&password=guess+number+{n}"), "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    // Many more guesses, by a clock of their own: from now on the wait is minutes, however slow this test is.
    let guess = Attempt { address: [127, 0, 0, 1].into(), account: "vic".to_owned(), device: None };
    let mut at = std::time::Instant::now();
    loop {
        match server.app.throttle.begin(&guess, at) {
            Ok(()) => {}
            Err(wait) if wait.as_secs() >= 512 => break,
            Err(wait) => at += wait,
        }
    }
    let answer = server.post_form("/login", "name=vic&password=guess+number+9", "").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.header(header::RETRY_AFTER).parse::<u32>().unwrap() >= 60);
    let right = format!("name=vic&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(server.post_form("/login", &right, "").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(server.post_form("/login", &right, &device).await.status, StatusCode::SEE_OTHER);
    // The cookie is for its account only.
    let other = server.post_form("/login", "name=ann&password=guess+guess+guess", &device).await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED);
    // Every guess that was judged is in the log, and no password is.
    let log = server.lake().state().audit(None, 100).unwrap();
    assert_eq!(log.iter().filter(|entry| entry.action == "login.failed").count(), 6);
    assert!(!format!("{log:?}").contains("guess"));
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_look_alike() {
    let server = Server::with_accounts().await;
    let mut seen = Vec::new();
    for form in [
        "name=vic&password=wrong+wrong+wrong",
        "name=nobody&password=wrong+wrong+wrong",
        "name=%27+OR+1%3D1--&password=wrong+wrong+wrong",
    ] {
        let answer = server.post_form("/login", form, "").await;
        let text = answer.text();
        let (_, rest) = text.split_once("<p class=\"problem\"").unwrap();
        seen.push((answer.status, rest.split_once("</p>").unwrap().0.to_owned()));
    }
    assert_eq!((&seen[0], &seen[0]), (&seen[1], &seen[2]));
    for form in
        ["", "name=vic", "name=vic&password=a&admin=1", "%ff", &format!("name={}&password=x", "a".repeat(10_000))]
    {
        let answer = server.post_form("/login", form, "").await;
        assert!(answer.status.is_client_error(), "{form}: {}", answer.status);
    }
}

#[tokio::test]
async fn other_sites_can_neither_sign_in_nor_change_anything() {
    let server = Server::with_accounts().await;
    let vic = server.log_in("vic").await;
    for (path, kind) in [
        ("/login", "application/x-www-form-urlencoded"),
        ("/setup", "application/x-www-form-urlencoded"),
        ("/api/v1/logout", "text/plain"),
        ("/api/v1/me/password", "text/plain"),
    ] {
        for origin in ["http://evil.example", "null", "", "http://127.0.0.1:8081", "https://127.0.0.1:8080"] {
            let request = request("POST", path)
                .header(header::ORIGIN, origin)
                .header(header::COOKIE, &vic)
                .header(header::CONTENT_TYPE, kind);
            let answer = server.send(request.body(Body::from("name=vic&password=x")).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {origin}");
        }
    }
    assert_eq!(server.ask("GET", "/api/v1/me", &vic, None).await.status, StatusCode::OK, "the session is still there");
    // A WebSocket is opened by GET, and no other site may.
    let socket = request("GET", "/api/v1/days")
        .header(header::COOKIE, &vic)
        .header(header::ORIGIN, "http://evil.example")
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket");
    assert_eq!(server.send(socket.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_was_changed_is_in_the_audit_log_with_its_author() {
    let server = Server::with_accounts().await;
    let root = server.log_in("root").await;
    let vic = server.log_in("vic").await;
    server.ask("PATCH", "/api/v1/users/vic", &root, Some(json!({"role": "analyst"}))).await;
    server.ask("GET", "/api/v1/users", &vic, None).await;
    let vic = server.log_in("vic").await;
    server.ask("GET", "/api/v1/users", &vic, None).await;
    server.ask("POST", "/api/v1/sql", &vic, Some(json!({"sql": "SELECT count(*) AS n FROM flow"}))).await;
    let page = server.ask("GET", "/api/v1/audit?limit=7", &root, None).await.json();
    let told: Vec<(String, String, String)> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| ["actor", "action", "subject"].map(|key| entry[key].as_str().unwrap().to_owned()).into())
        .collect();
    let told: Vec<(&str, &str, &str)> = told.iter().map(|(a, b, c)| (&**a, &**b, &**c)).collect();
    assert_eq!(
        told[2..],
        [
            ("root", "user.role", "vic"),
            ("vic", "login", "vic"),
            ("vic", "GET", "/api/v1/users"),
            ("vic", "sql", "SELECT count(*) AS n FROM flow"),
            ("vic", "sql.end", told[6].2),
        ]
    );
    server.lake().write_audit_head().unwrap();
    let check = server.ask("GET", "/api/v1/audit/check", &root, None).await.json();
    assert_eq!((&check["broken_at"], &check["heads"]), (&Value::Null, &json!(1)));
}

#[tokio::test]
async fn too_long_and_too_large_requests_are_refused() {
    let server = Server::over_empty();
    let long = server.get(&format!("/api/v1/suspicious/flow?filter={}", "a".repeat(25_000))).await;
    assert_eq!((long.status, &long.json()["type"]), (StatusCode::URI_TOO_LONG, &json!("too_long")));
    let large = request("POST", "/api/v1/sql")
        .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(vec![b' '; 100 << 10]))
        .unwrap();
    let large = server.send(large).await;
    assert_eq!((large.status, &large.json()["type"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_ends_with_its_session_its_token_or_its_account() {
    use http_body_util::BodyExt as _;
    let server = Server::with_accounts().await;
    let root = server.log_in("root").await;
    let ann = server.log_in("ann").await;
    let made = json!({"name": "watch", "scope": "viewer", "days": 1});
    let token = server.ask("POST", "/api/v1/me/tokens", &ann, Some(made)).await.json();
    let token = token["token"].as_str().unwrap().to_owned();
    let listed = server.ask("GET", "/api/v1/tokens", &root, None).await.json();
    let token_id =
        listed["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "watch").unwrap()["id"].clone();
    let vic = server.log_in("vic").await;
    let watch = async |name: header::HeaderName, value: String| {
        let request = request("GET", "/api/v1/live.sse").header(name, value).body(Body::empty()).unwrap();
        let answer = server.stream(request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut body = answer.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("snapshot"), "{first:?}");
        body
    };
    let mut by_session = watch(header::COOKIE, ann.clone()).await;
    let mut by_token = watch(header::AUTHORIZATION, format!("Bearer {token}")).await;
    let mut by_account = watch(header::COOKIE, vic.clone()).await;
    // A while later they all go on.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let quiet = std::time::Duration::from_millis(1);
    for body in [&mut by_session, &mut by_token, &mut by_account] {
        assert!(tokio::time::timeout(quiet, body.frame()).await.is_err(), "it ended by itself");
    }
    assert_eq!(server.ask("POST", "/api/v1/logout", &ann, None).await.status, StatusCode::OK);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), by_session.frame()).await;
    assert!(ended.unwrap().is_none());
    let path = format!("/api/v1/tokens/{token_id}");
    assert_eq!(server.ask("DELETE", &path, &root, None).await.status, StatusCode::OK);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), by_token.frame()).await;
    assert!(ended.unwrap().is_none());
    server.ask("PATCH", "/api/v1/users/vic", &root, Some(json!({"enabled": false}))).await;
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), by_account.frame()).await;
    assert!(ended.unwrap().is_none());
    // Their places are free again.
    assert_eq!(server.app.watchers.available_permits(), crate::api::live::CLIENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_belong_to_the_account_that_saved_them() {
    let server = Server::with_accounts().await;
    let (ann, vic) = (server.log_in("ann").await, server.log_in("vic").await);
    let view =
        |name: &str, shared| Some(json!({"page": "suspicious/flow", "name": name, "shared": shared, "query": "v=1"}));
    let own = server.ask("POST", "/api/v1/views", &ann, view("mine", false)).await.json();
    let shared = server.ask("POST", "/api/v1/views", &ann, view("ours", true)).await.json();
    assert_eq!((&own["owner"], &own["own"]), (&json!("ann"), &json!(true)));
    let seen = server.ask("GET", "/api/v1/views?page=suspicious/flow", &vic, None).await.json();
    let seen = seen["views"].as_array().unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((&seen[0]["name"], &seen[0]["owner"], &seen[0]["own"]), (&json!("ours"), &json!("ann"), &json!(false)));
    for view in [&own, &shared] {
        let path = format!("/api/v1/views/{}", view["id"]);
        assert_eq!(server.ask("DELETE", &path, &vic, None).await.status, StatusCode::NOT_FOUND);
    }
    // The same name is another view of another account.
    let other = server.ask("POST", "/api/v1/views", &vic, view("ours", false)).await.json();
    assert_ne!(other["id"], shared["id"]);
    let mine = server.ask("GET", "/api/v1/views?page=suspicious/flow", &ann, None).await.json();
    assert_eq!(mine["views"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn each_account_chooses_what_a_page_begins_with() {
    let server = Server::with_accounts().await;
    let (ann, vic) = (server.log_in("ann").await, server.log_in("vic").await);
    let save = async |cookie: &str, name: &str, shared: bool| {
        let view = json!({"page": "suspicious/flow", "name": name, "shared": shared, "query": "v=1&groups=off&ago=0"});
        server.ask("POST", "/api/v1/views", cookie, Some(view)).await.json()
    };
    let (own, shared) = (save(&ann, "mine", false).await, save(&ann, "ours", true).await);
    let path = |view: &Value| format!("/api/v1/views/{}/default", view["id"]);
    let begins = async |cookie: &str| {
        let me = server.ask("GET", "/api/v1/me", cookie, None).await.json();
        me["views"].as_array().unwrap().iter().map(|view| view["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(server.ask("PUT", &path(&own), &vic, None).await.status, StatusCode::NOT_FOUND, "it is ann's alone");
    assert_eq!(server.ask("PUT", "/api/v1/views/x/default", &vic, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.ask("PUT", &path(&own), &ann, None).await.json()["default"], true);
    assert_eq!(server.ask("PUT", &path(&shared), &vic, None).await.json()["default"], true);
    assert_eq!((begins(&ann).await, begins(&vic).await), (vec!["mine".to_owned()], vec!["ours".to_owned()]));
    let list = server.ask("GET", "/api/v1/views?page=suspicious/flow", &ann, None).await.json();
    let marks: Vec<(&str, bool)> = list["views"]
        .as_array()
        .unwrap()
        .iter()
        .map(|view| (view["name"].as_str().unwrap(), view["default"].as_bool().unwrap()))
        .collect();
    assert_eq!(marks, [("mine", true), ("ours", false)]);
    // Saved over it stays the default, and says so; no longer shared it is nobody else's.
    assert_eq!(save(&ann, "mine", false).await["default"], true);
    save(&ann, "ours", false).await;
    assert_eq!(begins(&vic).await, Vec::<String>::new());
    assert_eq!(server.ask("DELETE", &path(&own), &ann, None).await.json()["default"], false);
    assert_eq!(begins(&ann).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_administrator_sets_the_zone_that_everybody_begins_with() {
    let server = Server::with_accounts().await;
    let (root, ann, vic) = (server.log_in("root").await, server.log_in("ann").await, server.log_in("vic").await);
    let zone = async || server.ask("GET", "/api/v1/me", &vic, None).await.json()["zone"].as_str().unwrap().to_owned();
    assert_eq!(zone().await, "UTC");
    let set = async |cookie: &str, zone: &str| {
        server.ask("PUT", "/api/v1/defaults", cookie, Some(json!({"zone": zone}))).await.status
    };
    assert_eq!(set(&ann, "Europe/Berlin").await, StatusCode::FORBIDDEN);
    assert_eq!(set(&root, "Europe/Berlin").await, StatusCode::OK);
    assert_eq!(zone().await, "Europe/Berlin");
    let log = server.lake().state().audit(None, 1).unwrap();
    assert_eq!((&*log[0].actor, &*log[0].action, &*log[0].subject), ("root", "defaults.zone", "Europe/Berlin"));
    for bad in ["", "Europe/Nowhere", "+02:00", "<b>", "../etc/localtime", "europe/berlin"] {
        assert_eq!(set(&root, bad).await, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(zone().await, "Europe/Berlin");
    assert_eq!(set(&root, "UTC").await, StatusCode::OK);
    assert_eq!(zone().await, "UTC");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_has_its_display_in_every_browser() {
    let server = Server::with_accounts().await;
    let (vic, again, ann) = (server.log_in("vic").await, server.log_in("vic").await, server.log_in("ann").await);
    let shown = async |cookie: &str| server.ask("GET", "/api/v1/me", cookie, None).await.json()["display"].clone();
    let set =
        async |cookie: &str, body: Value| server.ask("PUT", "/api/v1/me/display", cookie, Some(body)).await.status;
    let usual = json!({"theme": "system", "contrast": "system", "zone": ""});
    assert_eq!((shown(&vic).await, shown(&ann).await), (usual.clone(), usual.clone()));
    let dark = json!({"theme": "dark", "contrast": "more", "zone": "Asia/Kolkata"});
    assert_eq!(set(&vic, dark.clone()).await, StatusCode::OK, "a viewer's own choice");
    assert_eq!((shown(&again).await, shown(&ann).await), (dark.clone(), usual));
    for bad in [
        json!({"theme": "<b>", "contrast": "more", "zone": ""}),
        json!({"theme": "dark", "contrast": "more", "zone": "Europe/Nowhere"}),
        json!({"theme": "dark", "contrast": "more"}),
        json!({"theme": "dark", "contrast": "more", "zone": "", "more": 1}),
    ] {
        assert_eq!(set(&vic, bad.clone()).await, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(shown(&vic).await, dark);
    for zone in ["", "utc", "local", "UTC"] {
        let body = json!({"theme": "light", "contrast": "system", "zone": zone});
        assert_eq!((set(&vic, body.clone()).await, shown(&again).await), (StatusCode::OK, body));
    }
    // What cannot be read is as if it were not there.
    server.lake().state().set_display("ann", "{\"theme\": \"sepia\"}").unwrap();
    assert_eq!(shown(&ann).await["theme"], "system");
}
