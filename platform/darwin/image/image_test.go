package image

import (
	"bytes"
	"crypto/sha256"
	"debug/macho"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// build returns a program for macOS, which Go's linker signs ad hoc for arm64.
func build(t testing.TB, arch string) []byte {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "program")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, source)
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// directoryIn returns where the standard library finds the only code directory.
func directoryIn(t testing.TB, program []byte) []byte {
	t.Helper()
	file, err := macho.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, load := range file.Loads {
		raw := load.Raw()
		if binary.LittleEndian.Uint32(raw) != commandSignature {
			continue
		}
		blob := program[binary.LittleEndian.Uint32(raw[8:]):]
		at := bytes.Index(blob, []byte{0xfa, 0xde, 0x0c, 0x02})
		return blob[at : at+int(binary.BigEndian.Uint32(blob[at+4:]))]
	}
	return nil
}

// universal puts programs into one file.
func universal(programs ...[]byte) []byte {
	file := binary.BigEndian.AppendUint32(nil, magicFat)
	file = binary.BigEndian.AppendUint32(file, uint32(len(programs)))
	at := 1 << 14
	var parts []byte
	for _, p := range programs {
		file = append(file, make([]byte, 8)...)
		file = binary.BigEndian.AppendUint32(file, uint32(at+len(parts)))
		file = binary.BigEndian.AppendUint32(file, uint32(len(p)))
		file = append(file, 0, 0, 0, 14)
		parts = append(parts, p...)
	}
	return append(append(file, make([]byte, at-len(file))...), parts...)
}

func TestHashes(t *testing.T) {
	arm, intel := build(t, "arm64"), build(t, "amd64")
	sum := sha256.Sum256(directoryIn(t, arm))
	want := Hash(sum[:HashSize])
	for name, program := range map[string][]byte{"arm64": arm, "universal": universal(intel, arm), "behind a script's line": append(bytes.Clone(arm), "#!"...)} {
		got, err := Hashes(bytes.NewReader(program))
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %x, %v, want %x", name, got, err, want)
		}
	}
	// What was changed where the directory covers it has another hash only if the
	// directory was changed too: the kernel holds pages to it.
	changed := bytes.Clone(arm)
	at := bytes.Index(changed, directoryIn(t, arm))
	changed[at+60] ^= 1
	if got, err := Hashes(bytes.NewReader(changed)); err != nil || len(got) != 1 || got[0] == want {
		t.Errorf("a changed directory: %x, %v", got, err)
	}
	for name, program := range map[string][]byte{
		"nothing": nil, "a script": []byte("#!/bin/sh\necho\n"), "unsigned": intel, "a class": {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61, 0, 0}, "too short": arm[:20],
	} {
		if got, err := Hashes(bytes.NewReader(program)); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %x, %v, want ErrUnsigned", name, got, err)
		}
	}
	for name, program := range map[string][]byte{"cut in the signature": arm[:at+50], "cut in the commands": arm[:64]} {
		if got, err := Hashes(bytes.NewReader(program)); err == nil || errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %x, %v, want an error", name, got, err)
		}
	}
}

func FuzzHashes(f *testing.F) {
	f.Add(build(f, "arm64")[:4096])
	f.Add(universal([]byte{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := Hashes(bytes.NewReader(b)); err == nil && (len(all) == 0 || len(all) > maxSlices*maxIndices) {
			t.Errorf("%d hashes", len(all))
		}
	})
}
