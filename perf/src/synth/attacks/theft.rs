//! Exfiltration, lateral movement, and services on ports where they do not belong.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::config::Attack;
use super::super::label::{Selector, Source};
use super::super::protocols;
use super::super::random::Random;
use super::super::session::{Data, Framing, HOUR, MICRO, MILLI, MINUTE, SECOND, Side, Transport};
use super::super::sim::Sim;
use super::super::sites::rented;
use super::super::tls::Client;
use super::super::web;
use super::super::world::Role;
use super::{Story, add, addresses, begin, by, last_day, look_up, office_time, open, victim};

/// A large upload to where nobody went before (MITRE ATT&CK T1048, T1567). Rclone, the tool most often named in
/// ransomware reports, moves four files at once by default and can be held back by --bwlimit; 50 MB is a mailbox's
/// documents, gigabytes are a file share.
pub(super) fn exfiltrate(sim: &mut Sim, random: &mut Random, kind: Attack) {
    let host = victim(sim, kind, random);
    let server = rented(random);
    let night = kind == Attack::ExfiltrationNight;
    let name: Arc<str> = if night { "up4.filebox-eu.example" } else { "s3.object-vault.example" }.into();
    let megabytes = by(sim, 50.0, 500.0, 4_000.0);
    // At the quiet end 1 Mbit/s, else as fast as the line.
    let gap = by(sim, 12 * MILLI, MILLI, 100 * MICRO);
    let parts: u64 = by(sim, 2, 4, 8);
    let clients = addresses(sim, host);
    let story = Story {
        kind,
        description: format!(
            "{megabytes:.0} MB (times the volume of {}) in {parts} connections to {name}",
            sim.config.volume
        ),
        basis: "MITRE ATT&CK T1048 and T1567; rclone's four transfers; 50 MB to 4 GB",
        servers: vec![server.into()],
        ports: vec![443],
        names: vec![name.to_string()],
        records: vec![
            Selector { client: clients.clone(), server: vec![server.into()], ..Selector::of(Source::Flow) },
            Selector { client: clients.clone(), name_under: vec![name.to_string()], ..Selector::of(Source::Dns) },
            Selector { client: clients.clone(), name_under: vec![name.to_string()], ..Selector::of(Source::Proxy) },
        ],
        clients,
    };
    let first = if night {
        last_day(sim, 2 * HOUR) + random.below(2 * HOUR as u64) as i64
    } else {
        office_time(sim, random, 2)
    };
    let bytes = sim.bulk(megabytes * 1e6 / parts as f64);
    begin(
        sim,
        story,
        first,
        parts,
        Box::new(|random, _| random.range(1, 20) as i64 * SECOND),
        Box::new(move |sim, random, at, number| {
            if number == 0 {
                look_up(sim, random, host, at, &name, server, 60);
            }
            let session = sim.outside(host, server.into(), 443, 22 * MILLI, at, Transport::TCP);
            let session = web::tls(session, random, Client::Go, Some(name.clone()), &[(640, 380, MILLI)]);
            let session = session.wait(50 * MILLI).send_paced(Side::Client, Data::Framed(Framing::Tls, bytes), gap);
            sim.push(session.wait(30 * MILLI).send(Side::Server, Data::Framed(Framing::Tls, 420)));
        }),
    );
}

/// One workstation logs in to many peers by SMB, WMI and RDP (MITRE ATT&CK T1021.001, T1021.002, T1047). Workstations
/// do not speak to each other otherwise.
pub(super) fn lateral(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::LateralMovement, random);
    let others: Vec<usize> = sim.world.of(Role::Workstation).iter().copied().filter(|&h| h != host).collect();
    let count = others.len().min(by(sim, 4, 14, 60));
    let start = random.index(others.len());
    let targets: Vec<usize> = (0..count).map(|i| others[(start + i * 3) % others.len()]).collect();
    let gap = by(sim, 40 * MINUTE, 8 * MINUTE, 40 * SECOND);
    let clients = addresses(sim, host);
    let servers: Vec<IpAddr> = targets.iter().flat_map(|&t| addresses(sim, t)).collect();
    let story = Story {
        kind: Attack::LateralMovement,
        description: format!("a workstation logs in to {count} others by SMB, WMI and RDP"),
        basis: "MITRE ATT&CK T1021.001, T1021.002, T1047; hands-on-keyboard to scripted pace",
        ports: vec![135, 445, 3389, 49_667],
        names: Vec::new(),
        records: vec![Selector {
            client: clients.clone(),
            server: servers.clone(),
            proto: Some(6),
            ..Selector::of(Source::Flow)
        }],
        clients,
        servers,
    };
    let first = office_time(sim, random, 4);
    begin(
        sim,
        story,
        first,
        count as u64,
        Box::new(move |random, _| (random.exponential(gap as f64) as i64).max(5 * SECOND)),
        Box::new(move |sim, random, at, number| {
            let target = targets[number as usize % targets.len()];
            let smb = sim.inside(host, target, 445, at, Transport::TCP);
            let rounds = [(420, 380), (900, 260), (random.range(60_000, 400_000), 300), (340, 1_200)];
            let smb = protocols::smb(smb, random, &rounds);
            sim.push(smb);
            if random.chance(0.6) {
                // WMI: the endpoint mapper, then the port it names.
                let mapper = sim.inside(host, target, 135, at + 20 * SECOND, Transport::TCP);
                sim.push(mapper.exchange(Data::Fill(116), MILLI, Data::Fill(84)).exchange(
                    Data::Fill(156),
                    MILLI,
                    Data::Fill(228),
                ));
                let wmi = sim.inside(host, target, 49_667, at + 21 * SECOND, Transport::TCP);
                let wmi = wmi.exchange(Data::Fill(1_320), 3 * MILLI, Data::Fill(480));
                sim.push(wmi.exchange(Data::Fill(900), 30 * MILLI, Data::Fill(2_400)));
            }
            if random.chance(0.3) {
                let rounds: Vec<(u64, u64, i64)> = (0..12)
                    .map(|_| (random.range(60, 300), random.range(400, 9_000), random.range(1, 15) as i64 * SECOND))
                    .collect();
                let rdp = sim.inside(host, target, 3389, at + MINUTE, Transport::TCP);
                let rdp = protocols::rdp(rdp, random, "administrator", &rounds);
                sim.push(rdp);
            }
        }),
    );
}

/// SSH on 443 and TLS on 8081 (MITRE ATT&CK T1571).
pub(super) fn odd_port(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::OddPort, random);
    let (shell, web_server) = (rented(random), rented(random));
    let clients = addresses(sim, host);
    let servers: Vec<IpAddr> = vec![shell.into(), web_server.into()];
    let story = Story {
        kind: Attack::OddPort,
        description: format!("SSH to {shell} on 443, TLS to {web_server} on 8081"),
        basis: "MITRE ATT&CK T1571; a few sessions a day",
        servers: servers.clone(),
        ports: vec![443, 8081],
        names: Vec::new(),
        records: vec![
            Selector { client: clients.clone(), server: servers.clone(), ..Selector::of(Source::Flow) },
            Selector { client: clients.clone(), server: servers, ..Selector::of(Source::Proxy) },
        ],
        clients,
    };
    let (sessions, polls) = by(sim, (1, 4), (3, 20), (10, 120));
    let strokes = by(sim, 20, 60, 200);
    let incident = open(sim, story);
    let first = office_time(sim, random, 5);
    add(
        sim,
        incident,
        first,
        sessions,
        Box::new(|random, _| random.range(20, 60) as i64 * MINUTE),
        Box::new(move |sim, random, at, _| {
            let rounds: Vec<(u64, u64, i64)> =
                (0..strokes).map(|_| (36, random.range(36, 1_200), random.range(100, 9_000) as i64 * MILLI)).collect();
            let session = sim.outside(host, shell.into(), 443, 47 * MILLI, at, Transport::TCP);
            let session = protocols::ssh(session, random, "OpenSSH_9.6", &rounds);
            sim.push(session);
        }),
    );
    add(
        sim,
        incident,
        first + 7 * MINUTE,
        polls,
        Box::new(|random, _| random.range(60, 400) as i64 * SECOND),
        Box::new(move |sim, random, at, _| {
            let session = sim.outside(host, web_server.into(), 8081, 58 * MILLI, at, Transport::TCP);
            sim.push(web::tls(session, random, Client::Implant, None, &[(230, 410, MILLI)]));
        }),
    );
}
