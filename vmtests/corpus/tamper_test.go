//go:build linux

package corpus

import (
	"bytes"
	"encoding/binary"
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
	code    int    // where the signature begins, -1 if it is not one part of the file
	other   []byte // a file of the same kind with a signature of its own
	otherAt int    // where that begins
	// untouched is what becomes of it as it is.
	untouched string
	// stripped is the file without its signature, where that is not one part.
	stripped func(t *testing.T, content []byte) []byte
}

// families: programs, boot programs, images alone and in a fat file, scripts of two
// styles, catalogs, and packages for Windows.
func families(t *testing.T) map[string]family {
	pe, boot := real(t, edge, "x64/vcruntime140.dll"), real(t, fwupd, ".signed")
	otherPE, otherBoot := real(t, edge, "arm64/vcruntime140.dll"), real(t, grub, "grubx64.efi.signed")
	fat := real(t, sentry, "sentry-cli")
	slices := images(fat)
	script, otherScript := real(t, editor, "Start-EditorServices.ps1"), real(t, editor, "PSReadLine.psm1")
	formats := real(t, editor, "PSReadLine.format.ps1xml")
	block := func(text []byte) int { return bytes.Index(text, []byte("# SIG # Begin")) }
	return map[string]family{
		"pe":     {pe, table(pe), otherPE, table(otherPE), trusted, nil},
		"efi":    {boot, table(boot), otherBoot, table(otherBoot), trusted, nil},
		"mach-o": {slices[1], superBlob(slices[1]), slices[0], superBlob(slices[0]), trusted, nil},
		"fat":    {fat, superBlob(fat), slices[0], superBlob(slices[0]), trusted, nil},
		"script": {script, block(script), otherScript, block(otherScript), trusted, nil},
		"ps1xml": {formats, bytes.Index(formats, []byte("<!-- SIG # Begin")), otherScript, block(otherScript), trusted, nil},
		// Its signature is by way of SHA-1: it is never trusted, and broken once it is changed.
		"msi": {real(t, twain, ".msi"), -1, nil, -1, untrusted, unsigned},
		// It is nothing but a signature.
		"catalog": {real(t, editor, "PSReadLine.cat"), -1, nil, -1, trusted, nil},
	}
}

func superBlob(image []byte) int { return bytes.LastIndex(image, []byte{0xfa, 0xde, 0x0c, 0xc0}) }

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
// trusted, or a signature that is not trusted intact. Every byte is
// TestEveryByte's.
func TestNoTamperedFileIsTrusted(t *testing.T) {
	inspector := newInspector(t)
	for name, f := range families(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var paths []string
			put := func(what string, parts ...[]byte) {
				path := filepath.Join(dir, what)
				if err := os.WriteFile(path, slices.Concat(parts...), 0o600); err != nil {
					t.Fatal(err)
				}
				paths = append(paths, path)
			}
			put("untouched", f.content)
			put("appended", f.content, []byte("#!/bin/sh\n"))
			put("appended zeros", f.content, make([]byte, 8))
			put("appended sector", f.content, make([]byte, 512))
			put("itself appended", f.content, f.content)
			put("an archive behind", f.content, []byte("PK\x05\x06"), make([]byte, 18))
			put("prepended", []byte("#!/bin/sh\n"), f.content)
			if f.code < 0 {
				put("cut short", f.content[:len(f.content)-512]) // a package may end with its data, without the zeros behind
			} else {
				put("cut short", f.content[:len(f.content)-1])
			}
			put("half of it", f.content[:len(f.content)/2])
			if f.stripped != nil {
				put("without the signature", f.stripped(t, f.content))
			}
			if f.code >= 0 {
				code, signature := f.content[:f.code], f.content[f.code:]
				put("cut in the signature", code, signature[:len(signature)/2])
				put("without the signature", code)
				put("the signature alone", signature)
				put("the signature twice", code, signature, signature)
				put("with another's signature", code, f.other[f.otherAt:])
				put("its signature on another's code", f.other[:f.otherAt], signature)
				put("code inserted", code, make([]byte, 16), signature)
				put("code taken out", code[:f.code-16], signature)
			}
			for i, v := range inspector.inspect(t, paths...) {
				what := filepath.Base(paths[i])
				standing := "none"
				for _, e := range v.Evidence {
					if standing == "none" || e.Standing == "broken" || e.Standing == trusted && standing == untrusted {
						standing = e.Standing
					}
				}
				if what == "untouched" {
					if standing != f.untouched {
						t.Errorf("%s: %s, %+v", what, standing, v.Evidence)
					}
					continue
				}
				if standing == trusted || standing == untrusted || v.Rank == "signed" {
					t.Errorf("%s: %s, rank %s, %+v", what, standing, v.Rank, v.Evidence)
				}
			}
		})
	}
}

// unsigned is a package without its signature, which lies in streams of its own.
// Another's in its place is trust/authenticode's to test: no tool writes it.
func unsigned(t *testing.T, content []byte) []byte {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in.msi"), filepath.Join(t.TempDir(), "out.msi")
	if err := os.WriteFile(in, content, 0o600); err != nil {
		t.Fatal(err)
	}
	tell(t, "osslsigncode", "remove-signature", "-in", in, "-out", out)
	changed, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// A real file with its signature beside it: whatever becomes of either, the file is
// not trusted for it.
func TestNoTamperedFileBesideItsSignatureIsTrusted(t *testing.T) {
	const dir = "/github.com/hashicorp/hc-install@v0.9.2/releases/testdata/"
	read := func(name string) []byte {
		content, err := os.ReadFile(fetch(t, sums) + dir + name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	const listed, otherListed = "mock_terraform_builds/0.14.11/terraform_0.14.11_SHA256SUMS", "mock_terraform_builds/0.15.0-rc2/terraform_0.15.0-rc2_SHA256SUMS"
	content, signature, other := read(listed), read(listed+".sig"), read(otherListed+".sig")
	inspector := newInspector(t)
	for name, text := range map[string]string{"keys.asc": string(read("2FCA0A85.pub")), "appsettings.json": `{"Trust": {"OpenPgpKeys": ["keys.asc"]}}`} {
		if err := inspector.agent.Write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	in := t.TempDir()
	var paths []string
	put := func(what string, content, signature []byte) {
		path := filepath.Join(in, what)
		err := os.WriteFile(path, content, 0o600)
		if err == nil && signature != nil {
			err = os.WriteFile(path+".sig", signature, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	put("untouched", content, signature)
	put("appended", slices.Concat(content, []byte("\n")), signature)
	put("prepended", slices.Concat([]byte("\n"), content), signature)
	put("cut short", content[:len(content)-1], signature)
	put("nothing", nil, signature)
	put("without the signature", content, nil)
	put("with another's signature", content, other)
	put("another's file", read(otherListed), signature)
	put("cut in the signature", content, signature[:len(signature)-1])
	put("something behind the signature", content, slices.Concat(signature, []byte{0}))
	for i, v := range inspector.inspect(t, paths...) {
		if want := filepath.Base(paths[i]) == "untouched"; (v.Rank == "signed") != want {
			t.Errorf("%s: rank %s, %+v", filepath.Base(paths[i]), v.Rank, v.Evidence)
		}
	}
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
