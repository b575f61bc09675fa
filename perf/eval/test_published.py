"""Lines made by the published field lists of each set: `python3 -m unittest discover -s perf/eval`."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))

import published  # noqa: E402


class Readers(unittest.TestCase):
    def rows(self, reader, files, target=None):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                with open(os.path.join(folder, name), "w") as file:
                    file.write(text)
            rejected = published.Rejected()
            path = folder if target is None else os.path.join(folder, target)
            return reader(path, rejected), rejected

    def one(self, reader, text):
        return self.rows(reader, {"x.csv": text}, "x.csv")

    def test_ctu13(self):
        head = "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label\n"
        rows, rejected = self.one(published.ctu13, head
                                  + "2011/08/10 09:46:53.047277,3.5,tcp,147.32.84.165,1025,   ->,198.51.100.9,80,S_RA,0,0,10,1000,400,flow=From-Botnet-V42-TCP\n"
                                  + "2011/08/10 09:46:54.000000,0,icmp,147.32.84.59,0x0303,   ->,198.51.100.9,0x0001,URP,0,,1,60,60,flow=Background\n"
                                  + "yesterday,0,udp,a,1,->,b,2,X,0,0,1,1,1,x\n")
        self.assertEqual([r["label"] for r in rows], [1, 0])
        self.assertEqual({k: rows[0][k] for k in ("src_packets", "dst_packets", "src_bytes", "dst_bytes", "dst_port", "proto")},
                         {"src_packets": 4, "dst_packets": 6, "src_bytes": 400, "dst_bytes": 600, "dst_port": 80, "proto": 6})
        self.assertEqual(rows[1]["first_seen"] - rows[0]["first_seen"], 952723)
        self.assertEqual((rows[1]["src_port"], rows[1]["dst_packets"], sum(rejected.values())), (0x0303, 0, 1))

    def test_unsw_nb15(self):
        cells = ["0"] * 49
        for at, value in {0: "59.166.0.0", 1: "1390", 2: "149.171.126.6", 3: "53", 4: "udp", 6: "0.5", 7: "132", 8: "164", 13: "dns", 16: "2", 17: "3",
                          28: "1421927414", 48: "1"}.items():
            cells[at] = value
        rows, rejected = self.one(published.unsw_nb15, ",".join(cells) + "\nshort,line\n")
        self.assertEqual((rows[0]["src_packets"], rows[0]["dst_bytes"], rows[0]["service"], rows[0]["label"]), (2, 164, "dns", 1))
        self.assertEqual(sum(rejected.values()), 1)

    def test_cidds001(self):
        head = "Date first seen,Duration,Proto,Src IP Addr,Src Pt,Dst IP Addr,Dst Pt,Packets,Bytes,Flows,Flags,Tos,class,attackType,attackID,attackDescription\n"
        line = "2017-03-15 00:01:16.632,0.5,TCP  ,192.168.100.5,445,16904_120,58844,1,  2.1 M,1,.AP...,0,{},---,---,---\n"
        rows, rejected = self.one(published.cidds001, head + line.format("normal") + line.format("attacker") + head)
        self.assertEqual([r["label"] for r in rows], [0, 1])
        self.assertEqual((rows[0]["src_bytes"], rows[0]["dst_bytes"], rows[0]["proto"]), (2_100_000, None, 6))
        self.assertTrue(rows[0]["dst_ip"].startswith("198.1") and rows[0]["dst_ip"] == rows[1]["dst_ip"])
        self.assertEqual(sum(rejected.values()), 1)

    def test_ugr16(self):
        rows, _ = self.one(published.ugr16, "2016-07-27 13:43:30,2.5,42.219.153.7,42.219.155.28,53,53,UDP,.A....,0,0,7,1834,background\n"
                                            "2016-07-27 13:43:31,0,42.219.150.2,1.2.3.4,40000,80,TCP,.A....,0,0,1,40,nerisbotnet\n")
        self.assertEqual([r["label"] for r in rows], [0, 1])
        self.assertEqual((rows[1]["first_seen"] - rows[0]["first_seen"], rows[0]["src_packets"]), (3_500_000, 7))

    def test_lanl(self):
        rows, rejected = self.rows(published.lanl, {
            "redteam.txt": "150885,U620@DOM1,C17693,C1003\n",
            "flows.txt": "150900,9,C17693,N10451,C1003,445,6,10,5323\n1,0,C1,N1,C2,N2,17,1,40\nbad\n"})
        self.assertEqual([r["label"] for r in rows], [0, 1])
        self.assertEqual((rows[1]["dst_port"], rows[1]["src_port"] >= 49152, sum(rejected.values())), (445, True, 1))


if __name__ == "__main__":
    unittest.main()
