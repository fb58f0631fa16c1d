//go:build linux

package corpus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// real returns the content of a file of the table.
func real(t *testing.T, of Package, end string) []byte {
	t.Helper()
	for _, f := range files() {
		if f.of != of || !strings.HasSuffix(f.path, end) {
			continue
		}
		dir, err := of.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(dir, f.path))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	t.Fatalf("%s is not in the table", end)
	return nil
}

// family is a real file of one kind and its parts.
type family struct {
	content []byte
	code    int    // where the signature begins
	other   []byte // a file of the same kind with a signature of its own
	stride  int
}

// families: a PE image, a boot program, a Mach-O image. The image is the last of
// a fat file.
func families(t *testing.T) map[string]family {
	pe, boot := real(t, edge, "x64/vcruntime140.dll"), real(t, fwupd, ".signed")
	slices := images(real(t, sentry, "sentry-cli"))
	return map[string]family{
		"pe":     {pe, table(pe), real(t, edge, "arm64/vcruntime140.dll"), 997},
		"efi":    {boot, table(boot), real(t, grub, "grubx64.efi.signed"), 499},
		"mach-o": {slices[1], bytes.LastIndex(slices[1], []byte{0xfa, 0xde, 0x0c, 0xc0}), slices[0], len(slices[1])/12 | 1},
	}
}

// table is where a PE image's certificate table begins.
func table(content []byte) int {
	return int(binary.LittleEndian.Uint32(content[entry(content):]))
}

func entry(content []byte) int {
	at := int(binary.LittleEndian.Uint32(content[0x3c:])) + 24
	if binary.LittleEndian.Uint16(content[at:]) == 0x10b {
		return at + 96 + 4*8
	}
	return at + 112 + 4*8
}

// No change that anyone can make without the signer's key leaves a real file
// trusted.
func TestNoTamperedFileIsTrusted(t *testing.T) {
	inspector := newInspector(t)
	for name, f := range families(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var paths []string
			put := func(what string, content []byte) {
				path := filepath.Join(dir, what)
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				paths = append(paths, path)
			}
			put("untouched", f.content)
			put("appended", append(slices.Clone(f.content), "#!/bin/sh\n"...))
			put("appended zeros", append(slices.Clone(f.content), make([]byte, 8)...))
			put("prepended", append([]byte("#!/bin/sh\n"), f.content...))
			put("cut short", f.content[:len(f.content)-1])
			put("cut in the signature", f.content[:f.code+(len(f.content)-f.code)/2])
			put("without the signature", f.content[:f.code])
			put("with another's signature", append(slices.Clone(f.content[:f.code]), f.other[signatureOf(f.other):]...))
			put("an archive behind", append(slices.Clone(f.content), append([]byte("PK\x05\x06"), make([]byte, 18)...)...))
			grown := slices.Clone(f.content[:f.code])
			put("code inserted", append(append(grown, make([]byte, 16)...), f.content[f.code:]...))
			for at := f.stride / 2; at < f.code; at += f.stride {
				if f.checksum(at) {
					continue
				}
				changed := slices.Clone(f.content)
				changed[at] ^= 0x40
				put(fmt.Sprintf("byte %#x", at), changed)
			}
			for i, v := range inspector.inspect(t, paths...) {
				if what := filepath.Base(paths[i]); (v.Rank == "signed") != (what == "untouched") {
					t.Errorf("%s: rank %s, %+v", what, v.Rank, v.Evidence)
				}
			}
		})
	}
}

func signatureOf(content []byte) int {
	if bytes.HasPrefix(content, []byte("MZ")) {
		return table(content)
	}
	return bytes.LastIndex(content, []byte{0xfa, 0xde, 0x0c, 0xc0})
}

// checksum reports whether a byte is of a PE image's CheckSum or the place of its
// table: the one is covered by nothing, the other tested above.
func (f family) checksum(at int) bool {
	if !bytes.HasPrefix(f.content, []byte("MZ")) {
		return false
	}
	sum := int(binary.LittleEndian.Uint32(f.content[0x3c:])) + 24 + 64
	return at >= sum && at < sum+4
}

// What lies behind a signature in its space is said to be covered by nothing, and
// nothing else is found there.
func TestBehindARealSignature(t *testing.T) {
	content := real(t, bun, "bin/bun")
	at := bytes.LastIndex(content, []byte{0xfa, 0xde, 0x0c, 0xc0})
	end := at + int(binary.BigEndian.Uint32(content[at+4:]))
	dir := t.TempDir()
	put := func(what string, change func(p []byte) []byte) string {
		path := filepath.Join(dir, what)
		if err := os.WriteFile(path, change(slices.Clone(content)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rank := []string{"signed", "none", "none", "none"}
	for i, v := range newInspector(t).inspect(t,
		put("changed", func(p []byte) []byte { p[end+1] ^= 1; return p }),
		put("an archive", func(p []byte) []byte {
			copy(p[len(p)-22:], append([]byte("PK\x05\x06"), make([]byte, 18)...))
			return p
		}),
		put("more", func(p []byte) []byte { return append(p, 1) }),
		put("before it", func(p []byte) []byte { p[end-1] ^= 1; return p }),
	) {
		said := false
		for _, c := range v.Evidence[0].Checks {
			said = said || c.Name == "behind the signature" && c.Outcome == "not checked"
		}
		if v.Rank != rank[i] || said != (rank[i] == "signed") {
			t.Errorf("%s: rank %s, %+v", filepath.Base(v.File), v.Rank, v.Evidence)
		}
	}
}
