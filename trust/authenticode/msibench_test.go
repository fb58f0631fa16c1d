package authenticode

import (
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// BenchmarkVerifyLargePackage and BenchmarkVerifyLargeCabinet: what a person
// waits for before an installer of 50 MB runs for the first time, and how much
// of it is unavoidable.
func BenchmarkVerifyLargePackage(b *testing.B) {
	root := storageOf("Root Entry", streamOf("Installer.cab", noise(largeSize)), streamOf("Property", noise(3000)))
	root.class = [16]byte(msiClass(0x84))
	signed := layout{version: 4}.write(signTree(b, root, "-add-msi-dse"))
	verifyLarge(b, ".msi", signed)
	b.Run("scattered", func(b *testing.B) {
		verifyLarge(b, ".msi", layout{version: 4, scatter: true}.write(root))
	})
}

func BenchmarkVerifyLargeCabinet(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large"), noise(largeSize), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), "gcab", "-c", "-n", "large.cab", "large")
	cmd.Dir = dir
	if printed, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, printed)
	}
	plain, err := os.ReadFile(filepath.Join(dir, "large.cab"))
	if err != nil {
		b.Fatal(err)
	}
	verifyLarge(b, ".cab", sign(b, trusttest.New(b).Get(trusttest.Good), ".cab", plain))
}

func verifyLarge(b *testing.B, ext string, signed []byte) {
	path := filepath.Join(b.TempDir(), "large"+ext)
	if err := os.WriteFile(path, signed, 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	size := int64(len(signed))
	anchors := trusttest.New(b).Anchors()
	b.Run("Verify", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			if _, evidence, err := Verify(b.Context(), f, size, anchors); err != nil || standing(evidence) != core.Trusted {
				b.Fatalf("%+v %v", evidence, err)
			}
		}
	})
	b.Run("crypto-sha256", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			h := sha256.New()
			if _, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(f, 0, size), make([]byte, readSize)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkVerifySmallPackage is the cost of a package's structure and its
// signature.
func BenchmarkVerifySmallPackage(b *testing.B) {
	verifySmall(b, signPackage(b, wixlPackage(b), "-add-msi-dse"))
}

func BenchmarkVerifySmallScript(b *testing.B) {
	verifySmall(b, signScript(b, ".ps1", []byte(greeting)))
}

func verifySmall(b *testing.B, signed []byte) {
	anchors := trusttest.New(b).Anchors()
	b.ReportAllocs()
	for b.Loop() {
		if _, evidence := verify(b, anchors, signed); standing(evidence) != core.Trusted {
			b.Fatalf("%+v", evidence)
		}
	}
}
