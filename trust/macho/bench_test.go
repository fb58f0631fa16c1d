package macho

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// large is a signed image of about n bytes.
func large(b *testing.B, n int, page int) []byte {
	b.Helper()
	image := tiny(little64(), arm64, nil)
	// __TEXT and __LINKEDIT as far as n.
	image = append(image[:0x3000], make([]byte, n)...)
	for i := 0x3000; i < len(image); i += 8 {
		binary.LittleEndian.PutUint64(image[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	text, linkedit := len(image)-0x100, image[atLinkedit:]
	for _, at := range []int{atText + 32, atText + 48, atText + segment64Size + 40} {
		binary.LittleEndian.PutUint64(image[at:], uint64(text))
	}
	binary.LittleEndian.PutUint64(image[atText+segment64Size+40:], uint64(text-0x1000))
	binary.LittleEndian.PutUint64(linkedit[40:], uint64(text))
	signed := sign(b, image, signing{team: trusttest.TeamID})
	if page == 12 {
		return signed
	}
	return forge(b, signed, recipe{team: trusttest.TeamID, page: page})
}

// BenchmarkVerify is a cold verification; BenchmarkSHA256Sum beside it what any
// tool that reads the file costs.
func BenchmarkVerify(b *testing.B) {
	const size = 64 << 20
	for name, page := range map[string]int{"4KiB": 12, "16KiB": 14} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "large")
			save(b, path, large(b, size, page))
			b.SetBytes(size)
			b.ReportAllocs()
			a := anchors(b)
			for b.Loop() {
				f, err := os.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				info, err := f.Stat()
				if err != nil {
					b.Fatal(err)
				}
				e, err := Verify(context.Background(), f, info.Size(), a)
				f.Close()
				if err != nil || len(e) != 1 || e[0].Standing != core.Trusted {
					b.Fatal(e, err)
				}
			}
		})
	}
}

func BenchmarkSHA256Sum(b *testing.B) {
	const size = 64 << 20
	path := filepath.Join(b.TempDir(), "large")
	save(b, path, large(b, size, 12))
	b.SetBytes(size)
	for b.Loop() {
		if err := exec.Command("sha256sum", path).Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySmall(b *testing.B) {
	signed, a := base(b), anchors(b)
	b.ReportAllocs()
	for b.Loop() {
		judge(b, a, signed)
	}
}

func BenchmarkRequirement(b *testing.B) {
	r, s := compile(b, op(opAnd, op(opIdentifier, str("com.example.tool")), op(opAnd, op(opAppleGenericAnchor),
		op(opCertField, number(0), str("subject.OU"), op(matchEqual, str(trusttest.TeamID)))))), subjectFor(b)
	for b.Loop() {
		if !r.Match(s) {
			b.Fatal(r)
		}
	}
}
