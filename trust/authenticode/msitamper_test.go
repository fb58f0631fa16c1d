package authenticode

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"kpm/trust/archive"
	"kpm/trust/trusttest"
)

// Where things lie in a package of version 3 with one FAT sector.
func fatEntry(b []byte, sector int) int {
	return 512*(1+int(word(b, cfbDIFATAt))) + 4*sector
}

func dirEntry(b []byte, name string) int {
	encoded := append(encodeName(name), 0, 0)
	for at := 512; at < len(b); at += cfbEntrySize {
		if bytes.HasPrefix(b[at:], encoded) && b[at+cfbType] != 0 {
			return at
		}
	}
	panic("no entry " + name)
}

// firstSector is where a long stream begins.
func firstSector(b []byte, name string) int { return int(word(b, dirEntry(b, name)+cfbFirst)) }

// offsetOf is where a long stream's first byte lies.
func offsetOf(b []byte, name string) int { return 512 * (1 + firstSector(b, name)) }

// inEntry changes a directory entry.
func inEntry(name string, at int, with ...byte) func([]byte) []byte {
	return func(b []byte) []byte { copy(b[dirEntry(b, name)+at:], with); return b }
}

func inEntry32(name string, at int, n uint32) func([]byte) []byte {
	return inEntry(name, at, pack([]uint32{n})...)
}

// inFAT changes the link of a long stream's sector.
func inFAT(name string, nth int, n func(b []byte, sector int) int) func([]byte) []byte {
	return func(b []byte) []byte {
		sector := firstSector(b, name) + nth
		binary.LittleEndian.PutUint32(b[fatEntry(b, sector):], uint32(n(b, sector)))
		return b
	}
}

func to(n int) func([]byte, int) int { return func([]byte, int) int { return n } }

// inMiniFAT changes an entry of the mini FAT.
func inMiniFAT(name string, n uint32) func([]byte) []byte {
	return func(b []byte) []byte {
		at := 512*(1+int(word(b, cfbMiniFATFirst))) + 4*firstSector(b, name)
		copy(b[at:], pack([]uint32{n}))
		return b
	}
}

// inTree changes the package's streams, and writes it anew.
func inTree(t testing.TB, l layout, change func(root *cfbObject)) func([]byte) []byte {
	return func(b []byte) []byte {
		root := load(t, b)
		change(root)
		return l.write(root)
	}
}

// jar is an archive that says that its comment ends so many bytes after it.
func jar(t testing.TB, trailing int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("META-INF/MANIFEST.MF")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("Main-Class: Evil\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint16(b.Bytes()[b.Len()-2:], uint16(trailing))
	return b.Bytes()
}

// appendSectors adds whole sectors to a file, linked in the FAT as told.
func appendSectors(content []byte, link func(b []byte, sector int)) func([]byte) []byte {
	return func(b []byte) []byte {
		for part := range slices.Chunk(pad(content, 512, 0), 512) {
			if link != nil {
				link(b, len(b)/512-1)
			}
			b = append(b, part...)
		}
		return b
	}
}

func packageTamperings(t testing.TB, other *cfbObject) []tampering {
	const action, property, summary = "Binary.action", "Property", "\x05SummaryInformation"
	rewritten := func(change func(*cfbObject)) func([]byte) []byte { return inTree(t, layout{}, change) }
	const anyTree = "osslsigncode lists the directory and does not mind its order; Windows searches it"
	const anyPlace = "osslsigncode looks only at what is signed"
	const sloppy = "osslsigncode does not look at fields that it does not need"
	return []tampering{
		{name: "nothing", want: harmless, change: func(b []byte) []byte { return b }},
		{name: "magic number", want: none, change: flip(3)},
		{name: "header's class id", want: broken, change: flip(0x0a), foreign: sloppy},
		{name: "minor version", want: harmless, change: flip(0x18)},
		{name: "version 4 with small sectors", want: broken, change: put(cfbMajor, 4)},
		{name: "version 5", want: broken, change: put(cfbMajor, 5)},
		{name: "byte order", want: broken, change: put(cfbByteOrder, 0xff, 0xfe)},
		{name: "sector size", want: broken, change: put(cfbSectorShift, 12)},
		{name: "sectors of 2^255 bytes", want: broken, change: put(cfbSectorShift, 255)},
		{name: "mini sector size", want: broken, change: put(cfbMiniShiftAt, 7)},
		{name: "header's reserved bytes", want: broken, change: flip(cfbReserved2), foreign: sloppy},
		{name: "directory sectors in version 3", want: broken, change: put32(cfbDirectoryCount, 1)},
		{name: "no FAT", want: broken, change: put32(cfbFATCount, 0), foreign: sloppy},
		{name: "2 FAT sectors", want: broken, change: put32(cfbFATCount, 2), foreign: sloppy},
		{name: "4294967295 FAT sectors", want: broken, change: put32(cfbFATCount, 0xffffffff)},
		{name: "transaction number", want: harmless, change: flip(0x34)},
		{name: "mini stream cutoff", want: broken, change: put32(cfbCutoffAt, 512)},
		{name: "directory beyond the end", want: broken, change: put32(cfbDirectoryFirst, 0x7fffffff)},
		{name: "directory in a stream", want: broken, change: func(b []byte) []byte {
			return put32(cfbDirectoryFirst, uint32(firstSector(b, action)))(b)
		}},
		{name: "directory missing", want: broken, change: put32(cfbDirectoryFirst, cfbEnd)},
		{name: "mini FAT missing", want: broken, change: put32(cfbMiniFATFirst, cfbEnd)},
		{name: "mini FAT is the directory", want: broken, change: func(b []byte) []byte {
			return put32(cfbMiniFATFirst, word(b, cfbDirectoryFirst))(b)
		}},
		{name: "mini FAT beyond the end", want: broken, change: put32(cfbMiniFATFirst, 0x00ffffff)},
		{name: "9 mini FAT sectors", want: broken, change: put32(cfbMiniFATCount, 9), foreign: sloppy},
		{name: "DIFAT in a stream", want: broken, change: put32(cfbDIFATFirst, 0), foreign: sloppy},
		{name: "1 DIFAT sector", want: broken, change: put32(cfbDIFATCount, 1), foreign: sloppy},
		{name: "4294967295 DIFAT sectors", want: broken, change: put32(cfbDIFATCount, 0xffffffff)},
		{name: "FAT in a stream", want: broken, change: put32(cfbDIFATAt, 0)},
		{name: "FAT beyond the end", want: broken, change: put32(cfbDIFATAt, 0x00ffffff)},
		{name: "FAT listed twice", want: broken, change: func(b []byte) []byte {
			return put32(cfbDIFATAt+4, word(b, cfbDIFATAt))(b)
		}, foreign: sloppy},

		{name: "chain is a loop", want: broken, change: inFAT(action, 2, func(_ []byte, s int) int { return s - 1 })},
		{name: "chain is its own sector", want: broken, change: inFAT(action, 0, func(_ []byte, s int) int { return s })},
		{name: "chain leads into the mini stream", want: broken, change: inFAT(action, 4, func(b []byte, _ int) int {
			return firstSector(b, "Root Entry")
		})},
		{name: "chain leads into the FAT", want: broken, change: inFAT(action, 4, func(b []byte, _ int) int { return int(word(b, cfbDIFATAt)) })},
		{name: "chain leads beyond the end", want: broken, change: inFAT(action, 4, to(120))},
		{name: "chain ends early", want: broken, change: inFAT(action, 8, to(cfbEnd))},
		{name: "chain ends in an unused sector", want: broken, change: inFAT(action, 9, to(cfbFree)), foreign: sloppy},
		{name: "chain ends in a FAT mark", want: broken, change: inFAT(action, 9, to(cfbFAT)), foreign: sloppy},
		{name: "two sectors of a chain swapped", want: broken, change: func(b []byte) []byte {
			s := firstSector(b, action)
			copy(b[fatEntry(b, s+2):], pack([]uint32{uint32(s + 4), uint32(s + 5), uint32(s + 3)}))
			return b
		}},
		{name: "FAT not marked as one", want: broken, change: func(b []byte) []byte {
			return put32(fatEntry(b, int(word(b, cfbDIFATAt))), cfbEnd)(b)
		}, foreign: sloppy},
		{name: "FAT has sectors that the file has not", want: broken, change: func(b []byte) []byte {
			return put32(fatEntry(b, 127), cfbEnd)(b)
		}, foreign: sloppy},
		{name: "mini chain is a loop", want: broken, change: func(b []byte) []byte {
			return inMiniFAT(summary, uint32(firstSector(b, summary)))(b)
		}},
		{name: "mini chain leads into another stream", want: broken, change: func(b []byte) []byte {
			return inMiniFAT(summary, uint32(firstSector(b, property)))(b)
		}},
		{name: "mini chain beyond the end", want: broken, change: inMiniFAT(summary, 0x00ffffff)},
		{name: "mini chain ends early", want: broken, change: inMiniFAT(summary, cfbEnd)},

		{name: "root renamed", want: broken, change: inEntry("Root Entry", 0, 'r')},
		{name: "root is a storage", want: broken, change: inEntry("Root Entry", cfbType, cfbStorage)},
		{name: "root has a sibling", want: broken, change: inEntry32("Root Entry", cfbRight, 1)},
		{name: "root's class id", want: broken, change: inEntry("Root Entry", cfbCLSID, 0x86)},
		{name: "root's state", want: broken, change: inEntry("Root Entry", cfbState, 1)},
		{name: "root without children", want: broken, change: inEntry32("Root Entry", cfbChild, cfbFree)},
		{name: "mini stream beyond the end", want: broken, change: inEntry32("Root Entry", cfbSize, 0x7fffffff)},
		{name: "mini stream too short", want: broken, change: inEntry32("Root Entry", cfbSize, 64), foreign: sloppy},
		{name: "no mini stream", want: broken, change: inEntry32("Root Entry", cfbSize, 0), foreign: sloppy},
		{name: "no name", want: broken, change: inEntry(property, cfbNameLength, 0, 0)},
		{name: "a name of 2 bytes", want: broken, change: inEntry(property, cfbNameLength, 2)},
		{name: "a name of 65535 bytes", want: broken, change: inEntry(property, cfbNameLength, 0xff, 0xff)},
		{name: "an odd name", want: broken, change: inEntry(property, cfbNameLength, 17)},
		{name: "a name without end", want: broken, change: inEntry(property, cfbNameLength, 16)},
		{name: "a name with an early end", want: broken, change: inEntry(property, 4, 0, 0)},
		{name: "a stream renamed", want: broken, change: inEntry(property, 0, 'Q')},
		{name: "a stream renamed in case", want: broken, change: inEntry(property, 0, 'p')},
		{name: "a stream's state", want: broken, change: inEntry(action, cfbState, 0)},
		{name: "a stream's time", want: broken, change: inEntry(action, cfbTimes, 0)},
		{name: "a stream's last change", want: broken, change: inEntry(action, cfbTimes+8, 1)},
		{name: "a stream's class id", want: harmless, change: inEntry(action, cfbCLSID, 1)},
		{name: "a stream's colour", want: harmless, change: inEntry(action, cfbType+1, 0)},
		{name: "a stream is a storage", want: broken, change: inEntry(action, cfbType, cfbStorage)},
		{name: "a stream is a root", want: broken, change: inEntry(action, cfbType, cfbRoot)},
		{name: "a stream is unused", want: broken, change: inEntry(action, cfbType, 0)},
		{name: "a stream is of an unknown kind", want: broken, change: inEntry(action, cfbType, 3)},
		{name: "a stream has children", want: broken, foreign: anyTree, change: func(b []byte) []byte {
			return inEntry32(action, cfbChild, word(b, dirEntry(b, "Sub")+cfbChild))(b)
		}},
		{name: "a stream is longer", want: broken, change: inEntry32(action, cfbSize, 4701)},
		{name: "a stream is shorter", want: broken, change: inEntry32(action, cfbSize, 4699)},
		{name: "a stream is empty", want: broken, change: inEntry32(action, cfbSize, 0)},
		{name: "a stream is short", want: broken, change: inEntry32(action, cfbSize, 100)},
		{name: "a stream of 4 GiB", want: broken, change: inEntry32(action, cfbSize, 0xffffffff)},
		{name: "a stream of 2^63 bytes in version 3", want: harmless, change: inEntry(action, cfbSize+7, 0x80)},
		{name: "a stream elsewhere", want: broken, change: inEntry32(action, cfbFirst, 1)},
		{name: "a stream beyond the end", want: broken, change: inEntry32(action, cfbFirst, 0x00ffffff)},
		{name: "two streams share their sectors", want: broken, change: func(b []byte) []byte {
			return inEntry32(summary, cfbFirst, uint32(firstSector(b, property)))(b)
		}},
		{name: "siblings are a loop", want: broken, change: inEntry32("z", cfbRight, 1)},
		{name: "an entry is its own sibling", want: broken, change: func(b []byte) []byte {
			at := dirEntry(b, "Sub")
			dir := 512 * (1 + int(word(b, cfbDirectoryFirst)))
			return inEntry32("Sub", cfbLeft, uint32(at-dir)/cfbEntrySize)(b)
		}},
		{name: "a sibling beyond the directory", want: broken, change: inEntry32("z", cfbRight, 0x00ffffff)},
		{name: "the root is a sibling", want: broken, change: inEntry32("z", cfbRight, 0)},
		{name: "a storage is its own child", want: broken, change: func(b []byte) []byte {
			dir := 512 * (1 + int(word(b, cfbDirectoryFirst)))
			return inEntry32("Empty storage", cfbChild, uint32(dirEntry(b, "Empty storage")-dir)/cfbEntrySize)(b)
		}},
		{name: "the first siblings cut out", want: broken, change: func(b []byte) []byte {
			return inEntry32("Root Entry", cfbChild, word(b, dirEntry(b, "z")+cfbRight))(b)
		}},
		{name: "siblings in disorder", want: broken, foreign: anyTree,
			change: inTree(t, layout{unsorted: true}, func(root *cfbObject) { slices.Reverse(root.kids) })},
		{name: "two streams of a name", want: broken, change: rewritten(func(root *cfbObject) {
			root.kids = append(root.kids, streamOf(property, root.at(property).data))
		})},
		{name: "two streams of a name in another case", want: broken, change: rewritten(func(root *cfbObject) {
			root.kids = append(root.kids, streamOf("PROPERTY", root.at(property).data))
		})},

		{name: "first byte of a long stream", want: broken, change: func(b []byte) []byte { return flip(offsetOf(b, action))(b) }},
		{name: "last byte of a long stream", want: broken, change: func(b []byte) []byte { return flip(offsetOf(b, action) + 4699)(b) }},
		{name: "a short stream", want: broken, change: rewritten(func(root *cfbObject) { root.at(property).data[0]++ })},
		{name: "a stream in a storage", want: broken, change: rewritten(func(root *cfbObject) { root.at("Sub", "one").data[99]++ })},
		{name: "a stream in a storage that is called like the signature", want: broken,
			change: rewritten(func(root *cfbObject) { root.at("Sub", msiSignature).data[0]++ })},
		{name: "a stream added", want: broken, change: rewritten(func(root *cfbObject) { root.kids = append(root.kids, streamOf("CustomAction", noise(99))) })},
		{name: "an empty stream added", want: broken, change: rewritten(func(root *cfbObject) { root.kids = append(root.kids, streamOf("CustomAction", nil)) })},
		{name: "an empty storage added", want: broken, change: rewritten(func(root *cfbObject) { root.kids = append(root.kids, storageOf("New")) })},
		{name: "a stream removed", want: broken, change: rewritten(func(root *cfbObject) { root.without(property) })},
		{name: "an empty stream removed", want: broken, change: rewritten(func(root *cfbObject) { root.without("empty") })},
		{name: "two streams exchange contents", want: broken, change: rewritten(func(root *cfbObject) {
			a, b := root.at("Sub", "one"), root.at(property)
			a.data, b.data = b.data, a.data
		})},
		{name: "a byte moves to the next stream", want: broken, change: rewritten(func(root *cfbObject) {
			a, b := root.at(action), root.at(property)
			n := len(a.data) - 1
			a.data, b.data = a.data[:n], append([]byte{a.data[n]}, b.data...)
		})},
		{name: "a stream moves out of its storage", want: broken, change: rewritten(func(root *cfbObject) {
			root.kids = append(root.kids, root.at("Sub", "one"))
			root.at("Sub").without("one")
		})},
		{name: "a storage's class id", want: broken, change: rewritten(func(root *cfbObject) { root.at("Sub").class[0]++ })},
		{name: "a storage's time", want: broken, change: rewritten(func(root *cfbObject) { root.at("Sub").times[0]++ })},

		{name: "signature removed", want: broken, change: rewritten(func(root *cfbObject) { root.without(msiSignature) })},
		{name: "both signature streams removed", want: none, change: rewritten(func(root *cfbObject) {
			root.without(msiSignature)
			root.without(msiSignatureEx)
		})},
		{name: "signature empty", want: broken, change: rewritten(func(root *cfbObject) { root.at(msiSignature).data = nil })},
		{name: "signature cut off", want: broken, change: rewritten(func(root *cfbObject) {
			s := root.at(msiSignature)
			s.data = s.data[:len(s.data)-1]
		})},
		{name: "payload behind the signature", want: broken, foreign: "osslsigncode does not mind what follows the signature in its stream",
			change: rewritten(func(root *cfbObject) { s := root.at(msiSignature); s.data = append(s.data, noise(64)...) })},
		{name: "signature is a storage", want: broken, change: rewritten(func(root *cfbObject) {
			root.without(msiSignature)
			root.kids = append(root.kids, storageOf(msiSignature, streamOf("x", nil)))
		})},
		{name: "another package's signature", want: broken, change: rewritten(func(root *cfbObject) {
			root.at(msiSignature).data = other.at(msiSignature).data
		})},
		{name: "another package's signature streams", want: broken, change: rewritten(func(root *cfbObject) {
			root.at(msiSignature).data, root.at(msiSignatureEx).data = other.at(msiSignature).data, other.at(msiSignatureEx).data
		})},
		{name: "digest of names changed", want: broken, foreign: "osslsigncode does not compare MsiDigitalSignatureEx with what it computes",
			change: rewritten(func(root *cfbObject) { root.at(msiSignatureEx).data[0]++ })},
		{name: "digest of names cut off", want: broken, change: rewritten(func(root *cfbObject) { s := root.at(msiSignatureEx); s.data = s.data[:31] })},
		{name: "digest of names removed", want: broken, change: rewritten(func(root *cfbObject) { root.without(msiSignatureEx) })},
		{name: "digest of names empty", want: broken, change: rewritten(func(root *cfbObject) { root.at(msiSignatureEx).data = nil })},

		{name: "1 byte appended", want: broken, foreign: anyPlace, change: func(b []byte) []byte { return append(b, 'x') }},
		{name: "JAR appended (CVE-2020-1464)", want: broken, foreign: anyPlace, change: func(b []byte) []byte { return append(b, jar(t, 0)...) }},
		{name: "JAR appended as a sector", want: broken, foreign: anyPlace, change: appendSectors(jar(t, 0), nil)},
		{name: "payload appended as sectors", want: broken, foreign: anyPlace, change: appendSectors(noise(1024), nil)},
		{name: "payload appended as a chain of nothing's", want: broken, foreign: anyPlace,
			change: appendSectors(noise(512), func(b []byte, s int) { put32(fatEntry(b, s), cfbEnd)(b) })},
		{name: "payload appended to a stream's chain", want: broken, foreign: anyPlace,
			change: appendSectors(noise(512), func(b []byte, s int) {
				put32(fatEntry(b, firstSector(b, action)+9), uint32(s))(b)
				put32(fatEntry(b, s), cfbEnd)(b)
			})},
		{name: "payload appended to the mini stream's chain", want: broken, foreign: anyPlace,
			change: appendSectors(noise(512), func(b []byte, s int) {
				last := firstSector(b, "Root Entry")
				for word(b, fatEntry(b, last)) != cfbEnd {
					last = int(word(b, fatEntry(b, last)))
				}
				put32(fatEntry(b, last), uint32(s))(b)
				put32(fatEntry(b, s), cfbEnd)(b)
			})},
		{name: "unused sectors of zeros at the end", want: broken, foreign: anyPlace, change: appendSectors(make([]byte, 1024), nil)},
		{name: "JAR in an unused sector", want: broken, foreign: anyPlace,
			change: inTree(t, layout{free: [][]byte{jar(t, 0)}}, func(*cfbObject) {})},
		{name: "JAR in the padding behind a stream", want: broken, foreign: anyPlace,
			change: func(b []byte) []byte {
				copy(b[offsetOf(b, action)+4700:], jar(t, 0))
				return b
			}},
		{name: "JAR in an unsigned attribute", want: broken, foreign: anyPlace, change: rewritten(func(root *cfbObject) {
			s := root.at(msiSignature)
			f := trusttest.Take(s.data)
			f.AddUnsigned(oidIndirectData, append([]byte{4, archive.EndSize}, tiny(jar(t, 0))...))
			s.data = f.DER()
		})},
		{name: "payload in an unused sector", want: harmless, change: inTree(t, layout{free: [][]byte{noise(512)}}, func(*cfbObject) {})},

		{name: "empty", want: none, change: func([]byte) []byte { return nil }},
		{name: "magic number only", want: broken, change: func(b []byte) []byte { return b[:8] }},
		{name: "header only", want: broken, change: func(b []byte) []byte { return b[:512] }},
		{name: "2 sectors only", want: broken, change: func(b []byte) []byte { return b[:1536] }},
		{name: "cut in the middle", want: broken, change: func(b []byte) []byte { return b[:len(b)/1024*512] }},
		{name: "last sector cut off", want: broken, change: func(b []byte) []byte { return b[:len(b)-512] }},
		{name: "last byte cut off", want: broken, foreign: anyPlace, change: func(b []byte) []byte { return b[:len(b)-1] }},
	}
}

// tiny is the end record of an archive, which is all that one needs.
func tiny(jar []byte) []byte { return jar[len(jar)-archive.EndSize:] }

func TestNoTamperedPackageIsTrusted(t *testing.T) {
	file := layout{}.write(signTree(t, smallPackage(), "-add-msi-dse"))
	changed := smallPackage()
	changed.at("Property").data[0]++
	manipulate(t, ".msi", file, packageTamperings(t, signTree(t, changed, "-add-msi-dse")))
}
