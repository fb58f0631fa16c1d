package authenticode

import (
	"bytes"
	"crypto"
	"io"
	"runtime"
	"testing"
)

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// fuzzReader reads whatever comes, and what it takes for signed to the end.
// Memory is bounded by the file, whatever lengths it claims.
func fuzzReader(f *testing.F, read reader, seeds ...[]byte) {
	for _, seed := range append(seeds, nil) {
		f.Add(seed)
		f.Add(seed[:len(seed)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limit := uint64(64*len(data) + 4<<20)
		used := allocated(func() {
			s, err := read(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatalf("bytes that are there were not read: %v", err)
			}
			if s == nil || s.malformed != nil || len(s.signatures) == 0 {
				return
			}
			if sums, err := s.digest(t.Context(), []crypto.Hash{crypto.SHA256, crypto.SHA1}); err != nil || len(sums) != 2 {
				t.Fatalf("a file that could be read has no digest: %v", err)
			}
			if s.checks != nil && len(s.checks()) == 0 {
				t.Fatal("no checks")
			}
		})
		if used > limit {
			t.Fatalf("%d bytes of memory for a file of %d", used, len(data))
		}
	})
}

func FuzzMSI(f *testing.F) {
	small, deep := smallPackage(), smallPackage()
	deep.kids = append(deep.kids, storageOf("a", storageOf("b", storageOf("c", streamOf("d", noise(70))))))
	fuzzReader(f, readMSI,
		layout{}.write(signTree(f, small, "-add-msi-dse")),
		layout{version: 4, balanced: true}.write(signTree(f, smallPackage())),
		layout{scatter: true, lead: 1, long: 1, free: [][]byte{noise(9)}}.write(deep),
		layout{tail: true}.write(signTree(f, storageOf("Root Entry", streamOf("x", noise(5000))), "-add-msi-dse")),
		wixlPackage(f))
}

func FuzzCAB(f *testing.F) {
	fuzzReader(f, readCAB, plainCabinet(f), signedCabinet(f), inSet(f, 3, 1, "a\x00b\x00c\x00d\x00"))
}

func FuzzScript(f *testing.F) {
	fuzzReader(f, readScript, []byte(greeting), signScript(f, ".ps1", []byte(greeting)), signScript(f, ".ps1xml", wide("<ä/>\r\n")),
		signScript(f, ".mof", []byte("\ufeffx\r\n")), hosted(f, hostStyle(f, "VBScript"), "'\xe4\r\n", ""),
		hosted(f, hostStyle(f, "Windows Script File"), "<job>\r\n", "</job>\r\n"))
}

// headOnly is a large file that is zero but for its beginning, and says that it
// was read.
type headOnly struct {
	head []byte
	size int64
	read int64
}

func (s *headOnly) ReadAt(b []byte, at int64) (int, error) {
	n := int(min(int64(len(b)), s.size-at))
	clear(b[:n])
	if at < int64(len(s.head)) {
		copy(b[:n], s.head[at:])
	}
	s.read += int64(n)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Lengths that the file does not have cost no memory; those that it has, a
// bounded part of it.
func TestHostileLengthsCostNoMemory(t *testing.T) {
	file := layout{}.write(signTree(t, smallPackage(), "-add-msi-dse"))
	cabinet := signedCabinet(t)
	header4 := layout{version: 4}.write(smallPackage())[:4096]
	for _, x := range []struct {
		name  string
		read  reader
		head  []byte
		size  int64
		limit uint64
	}{
		{"FAT of 4 Gi sectors", readMSI, put32(cfbFATCount, 0xffffffff)(bytes.Clone(file)), 0, 1 << 20},
		{"DIFAT of 4 Gi sectors", readMSI, put32(cfbDIFATCount, 0xffffffff)(bytes.Clone(file)), 0, 1 << 20},
		{"mini FAT of 4 Gi sectors", readMSI, put32(cfbMiniFATCount, 0xffffffff)(bytes.Clone(file)), 0, 1 << 20},
		{"mini stream of 4 GiB", readMSI, inEntry32("Root Entry", cfbSize, 0xffffffff)(bytes.Clone(file)), 0, 1 << 20},
		{"stream of 4 GiB", readMSI, inEntry32("Binary.action", cfbSize, 0xffffffff)(bytes.Clone(file)), 0, 1 << 20},
		{"signature of 4 GiB", readMSI, func() []byte {
			root := load(t, file)
			root.at("Sub").without(msiSignature)
			return inEntry32(msiSignature, cfbSize, 0xffffffff)(layout{}.write(root))
		}(), 0, 1 << 20},
		{"2 GiB of nothing in version 3", readMSI, file, 2 << 30, 1 << 20},
		{"2 GiB that one table covers", readMSI, coveredBySector0(bytes.Clone(file), (2<<30)/512/128), 2 << 30, 1 << 20},
		{"16 GiB of nothing in version 4", readMSI, header4, 16 << 30, 1 << 20},
		{"2^62 bytes", readMSI, header4, 1 << 62, 1 << 20},
		{"cabinet of 4 GiB", readCAB, put32(cabSize, 0xfffffff0)(put32(cabSignature, 0xfffffff0)(bytes.Clone(cabinet))), 0, 1 << 20},
		{"signature of a cabinet of 4 GiB", readCAB, put32(cabSignatureLen, 0xffffffff)(bytes.Clone(cabinet)), 0, 1 << 20},
		{"signature of a cabinet of 2 GiB that are there", readCAB, put32(cabSignatureLen, 2<<30-word(cabinet, cabSignature))(bytes.Clone(cabinet)), 2 << 30, 1 << 20},
		{"script of 2^62 bytes", readScript, []byte(greeting + "                "), 1 << 62, 1 << 20},
		{"text of the largest size", readScript, bytes.Repeat([]byte(" SIG # x"), maxScript/8), maxScript, maxScript + 1<<20},
	} {
		from := &headOnly{head: x.head, size: max(x.size, int64(len(x.head)))}
		used := allocated(func() {
			if s, err := x.read(from, from.size); err != nil || s != nil && len(s.signatures) > 0 && s.malformed == nil {
				t.Errorf("%s: %+v %v", x.name, s, err)
			}
		})
		if used > x.limit {
			t.Errorf("%s: %d bytes of memory", x.name, used)
		}
		if from.read > int64(x.limit) {
			t.Errorf("%s: %d bytes read", x.name, from.read)
		}
	}
}

// coveredBySector0 says that the FAT has as many sectors as it needs for a large
// file, all of them the first.
func coveredBySector0(b []byte, fats uint32) []byte {
	b = put32(cfbFATCount, fats)(b)
	for i := range cfbHeaderFATs {
		b = put32(cfbDIFATAt+4*i, 0)(b)
	}
	return b
}
