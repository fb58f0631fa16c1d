package authenticode

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

const largeSize = 50 << 20

// BenchmarkVerifyLargeImage is what a person waits for before a program of
// 50 MB starts for the first time. The same file through SHA-256 alone, and
// through the machine's sha256sum, says how much of it is unavoidable.
func BenchmarkVerifyLargeImage(b *testing.B) {
	pki := trusttest.New(b)
	signed := sign(b, pki.Get(trusttest.Good), ".exe", handmade{plus: true, sections: 2, overlay: largeSize}.bytes(),
		stamped(b, pki.Get(trusttest.Stamper))...)
	path := filepath.Join(b.TempDir(), "large.exe")
	if err := os.WriteFile(path, signed, 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	anchors := pki.Anchors()
	measured := func(name string, once func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(signed)))
			for b.Loop() {
				if err := once(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measured("Verify", func() error {
		_, evidence, err := Verify(b.Context(), f, int64(len(signed)), anchors)
		if standing(evidence) != core.Trusted {
			b.Fatalf("%+v", evidence)
		}
		return err
	})
	measured("crypto-sha256", func() error {
		h := sha256.New()
		_, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(f, 0, int64(len(signed))), make([]byte, 256<<10))
		return err
	})
	measured("sha256sum", func() error { return exec.CommandContext(b.Context(), "sha256sum", path).Run() })
}

// BenchmarkVerifySmallImage is the cost of the signature itself.
func BenchmarkVerifySmallImage(b *testing.B) {
	pki := trusttest.New(b)
	signed := sign(b, pki.Get(trusttest.Good), ".exe", victim.bytes(), stamped(b, pki.Get(trusttest.Stamper))...)
	anchors := pki.Anchors()
	for b.Loop() {
		if _, evidence := verify(b, anchors, signed); standing(evidence) != core.Trusted {
			b.Fatalf("%+v", evidence)
		}
	}
}

// BenchmarkUnsigned is what programs without signature cost.
func BenchmarkUnsigned(b *testing.B) {
	image := victim.bytes()
	anchors := trusttest.New(b).Anchors()
	for b.Loop() {
		if _, _, err := Verify(b.Context(), bytes.NewReader(image), int64(len(image)), anchors); err != nil {
			b.Fatal(err)
		}
	}
}
