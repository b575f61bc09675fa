import { describe, expect, it } from "vitest";
import { escapeText, pieces } from "../src/text/hostile";
import { port, protocol, queryType, responseCode, tcpFlags } from "../src/text/names";
import { decodeLabel, spelled } from "../src/text/punycode";
import { between, clock, duration, exact, isDay } from "../src/text/time";
import { band, bytes, oneIn, share } from "../src/text/units";

describe("hostile text", () => {
  it("shows what would act as an escape", () => {
    expect(escapeText("a\u0000b\x1b[31m")).toBe("a\\x00b\\x1b[31m");
    expect(escapeText("gpj\u202eexe.txt")).toBe("gpj\\u{202e}exe.txt");
    expect(escapeText("a\u200bb\ufeff\u2066\u00ad")).toBe("a\\u{200b}b\\u{feff}\\u{2066}\\xad");
    expect(escapeText("line\nnext\ttab\rback")).toBe("line\\nnext\\ttab\\rback");
    expect(escapeText("\u2028\u2029\u00a0\u3164")).toBe("\\u{2028}\\u{2029}\\xa0\\u{3164}");
    expect(escapeText("\ud800x")).toBe("\\u{d800}x");
    expect(escapeText("\u{e0041}")).toBe("\\u{e0041}");
  });
  it("leaves readable text of any script alone", () => {
    for (const text of ["<script>alert(1)</script>", "пример.рф", "例え.jp", "naïve café", "👍", "a\\x00"]) {
      expect(escapeText(text)).toBe(text);
    }
  });
  it("tells a real backslash from an escape", () => {
    expect(pieces("\\x00\u0000")).toEqual([
      { text: "\\x00", escaped: false },
      { text: "\\x00", escaped: true },
    ]);
  });
  it("lets two combining marks through and escapes the pile", () => {
    expect(escapeText(`a${"\u0301".repeat(4)}`)).toBe("a\u0301\u0301\\u{301}\\u{301}");
  });
  it("is bounded", () => {
    expect(escapeText("x".repeat(100), 10)).toBe(`${"x".repeat(10)}…`);
  });
});

describe("punycode (RFC 3492 section 7.1)", () => {
  it("decodes the samples", () => {
    expect(decodeLabel("ihqwcrb4cv8a8dqg056pqjye")).toBe("他们为什么不说中文");
    expect(decodeLabel("Proprostnemluvesky-uyb24dma41a")).toBe("Pročprostěnemluvíčesky");
    expect(decodeLabel("PorqunopuedensimplementehablarenEspaol-fmd56a")).toBe("PorquénopuedensimplementehablarenEspañol");
    expect(decodeLabel("-> $1.00 <--")).toBe("-> $1.00 <-");
  });
  it("refuses what is none", () => {
    for (const bad of ["\u00fc", "99999999", "a".repeat(64), "0"]) expect(decodeLabel(bad)).toBeUndefined();
  });
  it("reads names", () => {
    expect(spelled("www.xn--80ak6aa92e.com")).toBe("www.аррӏе.com");
    expect(spelled("example.com")).toBeUndefined();
    expect(spelled("xn--\u00fc.com")).toBeUndefined();
  });
});

describe("numbers and times", () => {
  it("keeps three digits of bytes", () => {
    expect([0, 999, 1000, 12522, 999_499, 999_500, 1.5e9, 2 ** 63].map(bytes)).toEqual([
      "0 B", "999 B", "1.00 kB", "12.5 kB", "999 kB", "1.00 MB", "1.50 GB", "9.22 EB",
    ]);
  });
  it("keeps two digits of shares", () => {
    expect([0, 1, 0.5, 0.123, 0.00012, 1e-9, 0.99999].map(share)).toEqual(["0%", "100%", "50%", "12.3%", "0.012%", "<0.0001%", ">99.99%"]);
  });
  it("bands by fixed shares", () => {
    expect([1, 0.9999, 0.9995, 0.99, 0.5].map(band)).toEqual(["extreme", "extreme", "high", "raised", "usual"]);
    expect(oneIn(0.9998)).toBe("1 in 5,000");
    expect(oneIn(1)).toBe("the top");
    expect(oneIn(0.1)).toBe("common");
  });
  it("cuts times as text, to the microsecond, in UTC", () => {
    expect(clock("2016-07-08T10:15:01.123456Z")).toBe("10:15:01.123");
    expect(exact("2016-07-08T10:15:01.123456Z")).toBe("2016-07-08 10:15:01.123456 UTC");
    expect(between("2016-07-08T10:15:00Z", "2016-07-08T10:16:30Z")).toBe(90);
    expect([0.0000021, 0.25, 1.5, 59, 61, 300, 7200, 7260].map(duration)).toEqual(["2 µs", "250 ms", "1.5 s", "59 s", "1 min 1 s", "5 min", "2 h", "2 h 1 min"]);
    expect(isDay("2016-02-29")).toBe(true);
    expect(isDay("2015-02-29")).toBe(false);
  });
  it("names what the registries name", () => {
    expect([protocol(6), protocol(200), queryType(16), queryType(65280), responseCode(3), responseCode(null)]).toEqual([
      "TCP", "proto 200", "TXT", "TYPE65280", "NXDOMAIN", "no answer",
    ]);
    expect(tcpFlags(0x1b)).toBe(".AP.SF");
    expect(tcpFlags(null)).toBe("");
    expect(port(0x0300 + 3, 1, "dst")).toBe("3/3");
    expect(port(443, 6, "dst")).toBe("443");
  });
});
