//! conn_state and history, against what Zeek documents (base/protocols/conn/main.zeek): each case is a
//! sequence of packets and what Zeek's definitions make of it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::*;

fn assert_zeek(script: Script, conn_state: &str, history: &str) {
    assert_eq!(script.zeek(), (conn_state, history.to_owned()));
}

#[test]
fn s0_attempt_without_reply() {
    let script = Script::new().send(Client, SYN, 0);
    let seq = 1_000;
    assert_zeek(script, "S0", "S");
    // A retransmitted SYN has the same sequence number: one letter.
    assert_zeek(Script::new().send(Client, SYN, 0).wait(1.0).raw(Client, SYN, 0, seq, 1_000), "S0", "S");
}

#[test]
fn s1_established_and_not_ended() {
    assert_zeek(Script::new().handshake(), "S1", "ShA");
    assert_zeek(
        Script::new().handshake().send(Client, PSH | ACK, 10).send(Server, ACK, 0).send(Server, ACK, 1_000),
        "S1",
        "ShADad",
    );
}

#[test]
fn sf_normal_end() {
    let script = Script::new().handshake().send(Client, ACK, 10).send(Server, ACK, 100).send(Client, ACK, 0);
    let script = script.send(Client, FIN | ACK, 0).send(Server, FIN | ACK, 0).send(Client, ACK, 0);
    assert_zeek(script, "SF", "ShADdFf");
}

#[test]
fn rej_attempt_refused() {
    assert_zeek(Script::new().send(Client, SYN, 0).send(Server, RST | ACK, 0), "REJ", "Sr");
}

#[test]
fn s2_and_s3_one_side_closed() {
    let closed = |by| Script::new().handshake().send(Client, ACK, 10).send(Server, ACK, 10).send(by, FIN | ACK, 0);
    assert_zeek(closed(Client), "S2", "ShADdF");
    assert_zeek(closed(Server), "S3", "ShADdf");
}

#[test]
fn rsto_and_rstr_aborted_after_establishment() {
    let aborted = |by| Script::new().handshake().send(Client, ACK, 10).send(Server, ACK, 10).send(by, RST, 0);
    assert_zeek(aborted(Client), "RSTO", "ShADdR");
    assert_zeek(aborted(Server), "RSTR", "ShADdr");
}

#[test]
fn rstos0_syn_then_rst_of_the_originator() {
    assert_zeek(Script::new().send(Client, SYN, 0).send(Client, RST, 0), "RSTOS0", "SR");
}

#[test]
fn rstrh_syn_ack_then_rst_of_the_responder() {
    assert_zeek(Script::new().send(Server, SYN | ACK, 0).send(Server, RST, 0), "RSTRH", "^hr");
}

#[test]
fn sh_and_shr_half_open_then_fin() {
    assert_zeek(Script::new().send(Client, SYN, 0).send(Client, FIN | ACK, 0), "SH", "SF");
    assert_zeek(Script::new().send(Server, SYN | ACK, 0).send(Server, FIN | ACK, 0), "SHR", "^hf");
}

#[test]
fn oth_midstream_traffic() {
    assert_zeek(Script::new().send(Client, ACK, 10).send(Server, ACK, 20).send(Client, ACK, 0), "OTH", "DdA");
    assert_zeek(Script::new().send(Client, ACK, 10).send(Client, RST, 0), "OTH", "DR");
}

#[test]
fn a_missed_syn_is_made_good_by_the_syn_ack() {
    let script = Script::new().send(Server, SYN | ACK, 0).send(Client, ACK, 0).send(Client, ACK, 5);
    assert_zeek(script, "S1", "^hAD");
}

#[test]
fn late_syn_turns_the_direction() {
    // Both ends captured out of order: the responder's SYN+ACK comes first in the file.
    let script = Script::new().send(Server, ACK, 20).send(Client, SYN, 0);
    let records = flows(script.packets);
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].src_port, records[0].dst_port), (40_000, 80));
    assert_eq!(records[0].history.unwrap().as_str(), "d^S");
}

#[test]
fn multi_flag_and_inconsistent_packets() {
    assert_zeek(Script::new().send(Client, SYN | FIN, 0), "SH", "Q");
    assert_zeek(Script::new().handshake().send(Server, FIN | RST | ACK, 0), "RSTR", "ShAi");
}

#[test]
fn retransmissions_scale_by_tens() {
    let mut script = Script::new().handshake();
    let seq = script.seq(Client);
    script = script.send(Client, ACK, 10);
    for _ in 0..9 {
        script = script.raw(Client, ACK, 10, seq, 1_000);
    }
    assert_zeek(script.clone(), "S1", "ShADT");
    let ten = script.raw(Client, ACK, 10, seq, 1_000);
    assert_zeek(ten, "S1", "ShADTT");
}

#[test]
fn zero_windows_scale_and_are_ignored_on_resets_and_after_the_peer_s_fin() {
    let mut script = Script::new().handshake().send(Client, ACK, 10);
    let seq = script.seq(Server);
    for _ in 0..11 {
        script = script.raw(Server, ACK, 0, seq, 0);
    }
    assert_zeek(script, "S1", "ShADaww");
    let script = Script::new().handshake();
    let seq = script.seq(Server);
    assert_zeek(script.raw(Server, RST, 0, seq, 0), "RSTR", "ShAr");
    let script = Script::new().handshake().send(Client, FIN | ACK, 0);
    let seq = script.seq(Server);
    assert_zeek(script.raw(Server, ACK, 0, seq, 0), "S2", "ShAFa");
}

#[test]
fn an_acknowledged_hole_is_a_gap_and_a_filled_one_is_not() {
    let lossy = Script::new().handshake().send(Client, ACK, 10).lose(Client, 100).send(Client, ACK, 10);
    let lost = lossy.seq(Client) - 110;
    assert_zeek(lossy.clone(), "S1", "ShAD");
    assert_zeek(lossy.clone().send(Server, ACK, 0), "S1", "ShADaG");
    assert_zeek(lossy.raw(Client, ACK, 100, lost, 1_000).send(Server, ACK, 0), "S1", "ShADTa");
}

#[test]
fn udp_states() {
    let (a, b) = ((CLIENT, 5_000), (SERVER, 53));
    let one = flows([udp(0.0, a, b)]);
    assert_eq!((one[0].conn_state, one[0].history.unwrap().as_str()), (Some("S0"), "D"));
    let both = flows([udp(0.0, a, b), udp(0.1, b, a), udp(0.2, a, b)]);
    assert_eq!((both[0].conn_state, both[0].history.unwrap().as_str()), (Some("SF"), "Dd"));
}
