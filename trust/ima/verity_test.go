package ima_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/ima"
)

var hashes = map[string]crypto.Hash{"sha256": crypto.SHA256, "sha512": crypto.SHA512}

// fsverity computes the digest of the same bytes.
func TestMeasureIsWhatFsverityComputes(t *testing.T) {
	content := bytes.Repeat(program(), 80) // 1.6 MB: three levels of SHA-256, four of blocks of 1024 bytes
	path := write(t, content)
	for _, size := range []int64{0, 1, 1023, 1024, 1025, 4095, 4096, 4097, 16 << 10, 64 << 10, 128 * 4096, 128*4096 + 1, 256 << 10, int64(len(content))} {
		part := write(t, content[:size])
		for algorithm, hash := range hashes {
			for _, block := range []int{1024, 4096, 65536} {
				for _, salt := range []string{"", "5a", strings.Repeat("0123456789abcdef", 4)} {
					name := fmt.Sprintf("%d bytes, %s, blocks of %d, salt %q", size, algorithm, block, salt)
					want := strings.TrimSpace(run(t, "fsverity", "digest", "--compact", "--hash-alg="+algorithm,
						"--block-size="+strconv.Itoa(block), "--salt="+salt, part))
					got, err := ima.Measure(context.Background(), bytes.NewReader(content), size,
						ima.Parameters{Hash: hash, BlockSize: block, Salt: unhex(t, salt)})
					if err != nil || fmt.Sprintf("%x", got) != want {
						t.Errorf("%s: %x, %v; fsverity: %s", name, got, err, want)
					}
				}
			}
		}
	}
	want := strings.TrimSpace(run(t, "fsverity", "digest", "--compact", path))
	if got, err := ima.Measure(context.Background(), bytes.NewReader(content), int64(len(content)), ima.Parameters{}); err != nil || fmt.Sprintf("%x", got) != want {
		t.Errorf("by default: %x, %v; fsverity: %s", got, err, want)
	}
}

func TestMeasureRefuses(t *testing.T) {
	for name, p := range map[string]ima.Parameters{
		"MD5":            {Hash: crypto.MD5},
		"SHA-1":          {Hash: crypto.SHA1},
		"small block":    {BlockSize: 512},
		"large block":    {BlockSize: 128 << 10},
		"crooked block":  {BlockSize: 5000},
		"negative block": {BlockSize: -4096},
		"long salt":      {Salt: make([]byte, 33)},
	} {
		if _, err := ima.Measure(context.Background(), bytes.NewReader(nil), 0, p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ima.Measure(context.Background(), bytes.NewReader(make([]byte, 10)), 11, ima.Parameters{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that got shorter: %v", err)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ima.Measure(done, bytes.NewReader(make([]byte, 10)), 10, ima.Parameters{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// measured is what a kernel says that has fs-verity enabled for content.
func measured(t testing.TB, content []byte, hash crypto.Hash, block int, salt []byte) *port.Verity {
	t.Helper()
	digest, err := ima.Measure(context.Background(), bytes.NewReader(content), int64(len(content)), ima.Parameters{Hash: hash, BlockSize: block, Salt: salt})
	if err != nil {
		t.Fatal(err)
	}
	return &port.Verity{Hash: hash, Digest: digest, BlockSize: block, Salt: salt}
}

func TestIMASignatureOverFsVerity(t *testing.T) {
	s, content := cast(t), program()
	for _, e := range []string{"sha256", "sha512"} {
		for _, enabled := range []*port.Verity{nil, measured(t, content, hashes[e], 4096, nil)} {
			m := labelled(verity3(t, content, s.good, e))
			m.verity = enabled
			if got := only(t, content, m); got.Standing != core.Trusted || got.Kind != core.KindVerity || got.Signer != "good" {
				t.Errorf("%s, enabled %t: %+v", e, enabled != nil, got)
			}
		}
	}
	if got := only(t, content, labelled(verity3(t, content, s.ec, "sha256"))); got.Standing != core.Trusted {
		t.Errorf("EC: %+v", got)
	}
}

func TestNoManipulatedIMASignatureOverFsVerityIsAccepted(t *testing.T) {
	s, content := cast(t), program()
	label := verity3(t, content, s.good, "sha256")
	plain := measured(t, content, crypto.SHA256, 4096, nil)
	other := func(change func(*port.Verity)) *port.Verity {
		v := *plain
		change(&v)
		return &v
	}
	// Attack: a file that is struct fsverity_descriptor of another one has been
	// signed, which is the same as that other one's fs-verity digest.
	raw := []byte(run(t, "openssl", "pkeyutl", "-sign", "-inkey", s.good.Files(t).Key, "-pkeyopt", "digest:sha256", "-in", write(t, plain.Digest)))
	for _, c := range []struct {
		name    string
		content []byte
		label   []byte
		verity  *port.Verity
		want    core.Standing
	}{
		{"file changed", flipped(content, 4096), label, nil, core.Broken},
		{"last byte changed", flipped(content, len(content)-1), label, nil, core.Broken},
		{"zeros behind it, in the block that is filled up with zeros", append(bytes.Clone(content), 0, 0), label, nil, core.Broken},
		{"cut", content[:4096], label, nil, core.Broken},
		{"emptied", nil, label, nil, core.Broken},
		{"the kernel's digest is that of the signed file", flipped(content, 0), label, plain, core.Broken},
		{"a kernel that measured something else", content, label, other(func(v *port.Verity) { v.Digest = flipped(v.Digest, 0) }), core.Broken},
		{"a kernel that measured nothing", content, label, other(func(v *port.Verity) { v.Digest = nil }), core.Broken},
		{"enabled with another algorithm", content, label, measured(t, content, crypto.SHA512, 4096, nil), core.Broken},
		{"enabled with another block size", content, label, measured(t, content, crypto.SHA256, 1024, nil), core.Broken},
		{"enabled with a salt", content, label, measured(t, content, crypto.SHA256, 4096, []byte{1}), core.Broken},
		{"impossible parameters", content, label, other(func(v *port.Verity) { v.BlockSize = 3 }), core.Broken},
		{"a huge salt", content, label, other(func(v *port.Verity) { v.Salt = make([]byte, 1<<20) }), core.Broken},
		{"a kernel that tells no parameters", content, label, other(func(v *port.Verity) { v.BlockSize = 0 }), core.Untrusted},
		{"version 2", content, join([]byte{6, 2}, label[2:]), nil, core.Broken},
		{"version 2, over the digest itself", content, header(s.good, 6, 2, 4, raw), nil, core.Broken},
		{"version 3, over the digest itself", content, header(s.good, 6, 3, 4, raw), nil, core.Broken},
		{"an IMA signature instead", content, join([]byte{6, 3}, evmctlIMA(t, content, s.good, "sha256")[2:]), nil, core.Broken},
		{"an algorithm that fs-verity does not use", content, join([]byte{6, 3, 5}, label[3:]), nil, core.Broken},
		{"the other algorithm", content, join([]byte{6, 3, 6}, label[3:]), nil, core.Broken},
		{"cut signature", content, label[:50], nil, core.Broken},
		{"a stranger's", content, verity3(t, content, s.stranger, "sha256"), nil, core.Untrusted},
		{"of an expired certificate", content, verity3(t, content, s.expired, "sha256"), nil, core.Untrusted},
	} {
		m := labelled(c.label)
		m.verity = c.verity
		if got := only(t, c.content, m); got.Standing != c.want || got.Reason == "" {
			t.Errorf("%s: %v (%s), expected %v", c.name, got.Standing, got.Reason, c.want)
		}
	}
	for at := range label {
		if got := only(t, content, labelled(flipped(label, at))); got.Standing == core.Trusted {
			t.Errorf("accepted with byte %d flipped", at)
		}
	}
}

// Since version 3 a signature says what it is about, of the bytes as well
// (Linux 7.1).
func TestVersion3OverTheBytes(t *testing.T) {
	s, content := cast(t), program()
	sum := crypto.SHA256.New()
	sum.Write(content)
	signed := write(t, append([]byte{3, 4}, sum.Sum(nil)...))
	signature := []byte(run(t, "openssl", "dgst", "-sha256", "-sign", s.good.Files(t).Key, signed))
	if got := only(t, content, labelled(header(s.good, 3, 3, 4, signature))); got.Standing != core.Trusted {
		t.Errorf("%+v", got)
	}
	if got := only(t, content, labelled(header(s.good, 6, 3, 4, signature))); got.Standing != core.Broken {
		t.Errorf("as one over fs-verity: %+v", got)
	}
}

func BenchmarkMeasure(b *testing.B) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	for name, p := range map[string]ima.Parameters{"SHA-256": {}, "salted": {Salt: []byte{1}}, "SHA-512": {Hash: crypto.SHA512}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if _, err := ima.Measure(context.Background(), bytes.NewReader(content), int64(len(content)), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("plain SHA-256", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			h := crypto.SHA256.New()
			h.Write(content)
			h.Sum(nil)
		}
	})
}
