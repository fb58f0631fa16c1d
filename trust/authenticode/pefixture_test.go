package authenticode

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"kpm/trust/trusttest"
)

// handmade is a PE image small enough to be turned over byte by byte.
type handmade struct {
	plus      bool // PE32+
	sections  int
	overlay   int    // bytes after the last section
	directory uint32 // NumberOfRvaAndSizes, 16 if 0
	gap       int    // bytes between the sections
	fill      byte
}

const handmadeHeaders = 0x400

func (h handmade) bytes() []byte {
	le := binary.LittleEndian
	directories := h.directory
	if directories == 0 {
		directories = 16
	}
	fixed := directoriesPE32
	if h.plus {
		fixed = directoriesPE32Plus
	}
	const at = 0x80
	b := make([]byte, handmadeHeaders)
	copy(b, "MZ")
	le.PutUint32(b[dosHeaderNew:], at)
	copy(b[dosHeaderSize:], "This program cannot be run in DOS mode.\r\n$")
	copy(b[at:], "PE\x00\x00")
	coff := b[at+4:]
	le.PutUint16(coff, 0x14c)
	le.PutUint16(coff[2:], uint16(h.sections))
	le.PutUint16(coff[16:], uint16(fixed)+8*uint16(directories))
	le.PutUint16(coff[18:], 0x102)
	optional := b[at+coffSize:]
	le.PutUint16(optional, magicPE32)
	if h.plus {
		le.PutUint16(coff, 0x8664)
		le.PutUint16(optional, magicPE32Plus)
	}
	le.PutUint32(optional[optionalAlignment:], pageSize)
	le.PutUint32(optional[optionalAlignment+4:], 0x200) // FileAlignment
	le.PutUint32(optional[optionalHeaders:], handmadeHeaders)
	le.PutUint32(optional[fixed-4:], directories)
	tableAt := at + coffSize + fixed + 8*int(directories)
	for i := range h.sections {
		table := b[tableAt+i*sectionSize:]
		copy(table, []string{".text", ".data", ".rsrc"}[i%3])
		le.PutUint32(table[8:], 0x1ff)
		le.PutUint32(table[12:], uint32(0x1000*(i+1)))
		le.PutUint32(table[sectionRawSize:], 0x200)
		le.PutUint32(table[sectionRaw:], uint32(len(b)))
		b = append(b, bytes.Repeat([]byte{h.fill + byte(i) + 1}, 0x200)...)
		if i < h.sections-1 {
			b = append(b, bytes.Repeat([]byte{0xcc}, h.gap)...)
		}
	}
	return append(b, bytes.Repeat([]byte("overlay."), h.overlay/8+1)[:h.overlay]...)
}

// anatomy are the parts of a signed image that are not signed.
type anatomy struct {
	checksum, directory, table int
}

func dissect(t testing.TB, b []byte) anatomy {
	t.Helper()
	a := anatomy{checksum: optionalHeader(b) + optionalChecksum, directory: directoryEntry(b)}
	a.table = int(binary.LittleEndian.Uint32(b[a.directory:]))
	if a.table == 0 {
		t.Fatal("not a signed image")
	}
	return a
}

// optionalHeader is where the optional header of an image begins.
func optionalHeader(b []byte) int {
	return int(binary.LittleEndian.Uint32(b[dosHeaderNew:])) + coffSize
}

// directoryEntry is where the certificate table's entry lies.
func directoryEntry(b []byte) int {
	fixed := directoriesPE32
	if binary.LittleEndian.Uint16(b[optionalHeader(b):]) == magicPE32Plus {
		fixed = directoriesPE32Plus
	}
	return optionalHeader(b) + fixed + certificateEntry*directorySize
}

// blob is the first signature in an image, without padding.
func blob(t testing.TB, b []byte) []byte {
	t.Helper()
	at := dissect(t, b).table + winCertificateHeader
	size, ok := derSize(b[at:])
	if !ok {
		t.Fatal("no signature")
	}
	return bytes.Clone(b[at : at+int(size)])
}

// bare is a signed image without its table, of which its directory entry still
// speaks.
func bare(t testing.TB, b []byte) []byte {
	t.Helper()
	return bytes.Clone(b[:dissect(t, b).table])
}

// goPrograms are programs that the Go linker has made, built once per process.
var goPrograms = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "authenticode")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return nil, err
	}
	programs := make(map[string][]byte)
	for _, arch := range []string{"amd64", "386", "arm64"} {
		out := filepath.Join(dir, arch+".exe")
		cmd := exec.Command("go", "build", "-o", out, source)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH="+arch, "CGO_ENABLED=0")
		if printed, err := cmd.CombinedOutput(); err != nil {
			return nil, &exec.Error{Name: string(printed), Err: err}
		}
		if programs[arch], err = os.ReadFile(out); err != nil {
			return nil, err
		}
	}
	return programs, nil
})

func goProgram(t testing.TB, arch string) []byte {
	t.Helper()
	all, err := goPrograms()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(all[arch])
}

func certificateSHA256(e *trusttest.Entity) []byte {
	sum := sha256.Sum256(e.Certificate.Raw)
	return sum[:]
}
