package cms_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

// openssl runs the tool of another maker and returns what it wrote to out.
func openssl(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

func save(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What openssl signs is accepted, attached and detached, in DER and in BER,
// with every algorithm that is supported, and only for the content it is over.
func TestOpenSSLSigns(t *testing.T) {
	p := trusttest.New(t)
	content := []byte("what was signed")
	in := save(t, "content", content)
	for _, tc := range []struct {
		name, signer string
		args         []string
		weak         bool
		want         error
	}{
		{name: "RSA, SHA-256", signer: trusttest.Good, args: []string{"-md", "sha256"}},
		{name: "RSA, SHA-384", signer: trusttest.Good, args: []string{"-md", "sha384"}},
		{name: "RSA, SHA-512", signer: trusttest.Good, args: []string{"-md", "sha512"}},
		{name: "RSA, SHA-1", signer: trusttest.Good, args: []string{"-md", "sha1"}, weak: true},
		{name: "RSA, MD5", signer: trusttest.Good, args: []string{"-md", "md5"}, weak: true},
		{name: "RSA, SHA-224", signer: trusttest.Good, args: []string{"-md", "sha224"}, want: cms.ErrUnsupported},
		{name: "RSA, SHA3-256", signer: trusttest.Good, args: []string{"-md", "sha3-256"}, want: cms.ErrUnsupported},
		{name: "RSA-1024", signer: trusttest.RSA1024, args: []string{"-md", "sha256"}, weak: true},
		{name: "PSS", signer: trusttest.Good, args: []string{"-md", "sha256", "-keyopt", "rsa_padding_mode:pss"}},
		{name: "PSS, salt as long as the digest", signer: trusttest.Good, args: []string{"-md", "sha384", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:48"}},
		{name: "PSS, no salt", signer: trusttest.Good, args: []string{"-md", "sha256", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:0"}, want: cms.ErrMalformed},
		{name: "PSS, another hash in the mask", signer: trusttest.Good, args: []string{"-md", "sha256", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1"}, want: cms.ErrMalformed},
		{name: "P-256", signer: trusttest.GoodEC, args: []string{"-md", "sha256"}},
		{name: "P-256, SHA-512", signer: trusttest.GoodEC, args: []string{"-md", "sha512"}},
		{name: "P-256, SHA-1", signer: trusttest.GoodEC, args: []string{"-md", "sha1"}, weak: true},
		{name: "by key identifier", signer: trusttest.GoodEC, args: []string{"-md", "sha256", "-keyid"}},
		{name: "without attributes", signer: trusttest.Good, args: []string{"-md", "sha256", "-noattr"}, want: cms.ErrMalformed},
		{name: "without certificate", signer: trusttest.Good, args: []string{"-md", "sha256", "-nocerts"}, want: cms.ErrMalformed},
	} {
		for _, detached := range []bool{false, true} {
			for _, ber := range []bool{false, true} {
				// In BER openssl always attaches, and cannot do PSS.
				if ber && (detached || strings.HasPrefix(tc.name, "PSS")) {
					continue
				}
				name := tc.name
				f := p.Get(tc.signer).Files(t)
				out := filepath.Join(t.TempDir(), "out")
				args := []string{"cms", "-sign", "-binary", "-in", in, "-out", out, "-outform", "DER", "-signer", f.Cert, "-inkey", f.Key}
				if !detached {
					name, args = name+", attached", append(args, "-nodetach")
				}
				if ber {
					name, args = name+", BER", append(args, "-stream", "-indef")
				}
				t.Run(name, func(t *testing.T) {
					openssl(t, append(args, tc.args...)...)
					der := load(t, out)
					if isBER := bytes.HasPrefix(der, []byte{0x30, 0x80}); isBER != ber {
						t.Fatalf("BER %v", isBER)
					}
					d, err := cms.Parse(der)
					if err != nil {
						t.Fatal(err)
					}
					var about, other []byte
					if detached {
						about, other = content, []byte("what was signex")
					} else if !bytes.Equal(d.Content, content) {
						t.Fatalf("content %q", d.Content)
					}
					s, err := d.Verify(about)
					if !errors.Is(err, tc.want) {
						t.Fatalf("got %v, want %v", err, tc.want)
					}
					if tc.want != nil {
						return
					}
					if s.Weak != tc.weak || !s.Certificate.Equal(p.Get(tc.signer).Certificate) {
						t.Errorf("weak %v, by %v", s.Weak, s.Certificate.Subject)
					}
					if detached {
						if _, err := d.Verify(other); !errors.Is(err, cms.ErrForged) {
							t.Errorf("other content: %v", err)
						}
					}
				})
			}
		}
	}
}
