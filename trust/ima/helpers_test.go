package ima_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/ima"
	"kpm/trust/trusttest"
)

// signers are those whom the tests know, with their files for evmctl.
type signers struct {
	good, ec                            *trusttest.Entity // configured and fine
	expired, early, encipher, weak, old *trusttest.Entity // configured, and not fine; old has good's key
	renamed                             *trusttest.Entity // configured, its certificate does not name the key by its SHA-1
	stranger                            *trusttest.Entity // not configured
}

var people = sync.OnceValues(func() (*signers, error) {
	var failed error
	key := func(k crypto.Signer, err error) crypto.Signer { failed = errors.Join(failed, err); return k }
	rsaKey := func(bits int) crypto.Signer { k, err := rsa.GenerateKey(rand.Reader, bits); return key(k, err) }
	curve := func(c elliptic.Curve) crypto.Signer { k, err := ecdsa.GenerateKey(c, rand.Reader); return key(k, err) }
	day := 24 * time.Hour
	make := func(name string, k crypto.Signer, from, to time.Duration, usage x509.KeyUsage) *trusttest.Entity {
		if failed != nil {
			return nil
		}
		// As evmctl computes it, whatever a certificate says.
		spki, err := x509.MarshalPKIXPublicKey(k.Public())
		failed = errors.Join(failed, err)
		var info struct {
			Algorithm asn1.RawValue
			Key       asn1.BitString
		}
		_, err = asn1.Unmarshal(spki, &info)
		failed = errors.Join(failed, err)
		skid := sha1.Sum(info.Key.Bytes)
		if name == "renamed" {
			skid = [20]byte{16: 1, 2, 3, 4}
		}
		e, err := trusttest.Issue(name, x509.Certificate{
			Subject: pkix.Name{CommonName: name}, SubjectKeyId: skid[:],
			NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to), KeyUsage: usage,
		}, k, nil)
		failed = errors.Join(failed, err)
		return e
	}
	sign := x509.KeyUsageDigitalSignature
	main, p256 := rsaKey(2048), elliptic.P256()
	return &signers{
		good:     make("good", main, -day, day, sign),
		ec:       make("ec", curve(p256), -day, day, 0),
		old:      make("good", main, -9*day, -2*day, sign),
		expired:  make("expired", curve(p256), -9*day, -day, sign),
		early:    make("early", curve(p256), day, 2*day, sign),
		encipher: make("encipher", curve(p256), -day, day, x509.KeyUsageKeyEncipherment),
		renamed:  make("renamed", curve(p256), -day, day, sign),
		weak:     make("weak", rsaKey(1024), -day, day, sign),
		stranger: make("stranger", rsaKey(2048), -day, day, sign),
	}, failed
})

func cast(t testing.TB) *signers {
	t.Helper()
	s, err := people()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keys are those that are configured. The expired certificate comes first, to
// see that it does not hide the one that renewed it.
func (s *signers) keys() *ima.Keys {
	var all []*x509.Certificate
	for _, e := range []*trusttest.Entity{s.old, s.good, s.ec, s.expired, s.early, s.encipher, s.weak, s.renamed} {
		all = append(all, e.Certificate)
	}
	return ima.NewKeys(all)
}

// machine is a System with one file.
type machine struct {
	attributes map[string][]byte
	verity     *port.Verity
	node       port.Node
	failAt     string // the question that cannot be answered, errDisk
	missing    string // what there is not on this system, "*" for everything
}

func (m *machine) fault(question string) error {
	switch {
	case m.failAt == question:
		return errDisk
	case m.missing == question || m.missing == "*":
		return errors.ErrUnsupported
	}
	return nil
}

func (m *machine) Attribute(_ *os.File, name string) ([]byte, error) {
	if err := m.fault(name); err != nil {
		return nil, err
	}
	if v, ok := m.attributes[name]; ok {
		return v, nil
	}
	return nil, port.ErrNoAttribute
}

func (m *machine) Verity(*os.File) (port.Verity, error) {
	if err := m.fault("fs-verity"); err != nil {
		return port.Verity{}, err
	}
	if m.verity == nil {
		return port.Verity{}, port.ErrNoAttribute
	}
	return *m.verity, nil
}

func (m *machine) Node(*os.File) (port.Node, error) { return m.node, m.fault("inode") }

// judge asks for the evidence about content.
func judge(t testing.TB, content []byte, m *machine, keys *ima.Keys) []core.Evidence {
	t.Helper()
	found, err := ima.Evidence(context.Background(), file(content, m), keys)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func file(content []byte, m *machine) ima.File {
	return ima.File{Content: bytes.NewReader(content), Size: int64(len(content)), System: m,
		Digest: func(_ context.Context, h crypto.Hash) ([]byte, error) {
			sum := h.New()
			sum.Write(content)
			return sum.Sum(nil), nil
		}}
}

// only is the single piece of evidence about content.
func only(t testing.TB, content []byte, m *machine) core.Evidence {
	t.Helper()
	found := judge(t, content, m, cast(t).keys())
	if len(found) != 1 {
		t.Fatalf("%d pieces of evidence, expected one: %+v", len(found), found)
	}
	return found[0]
}

// labelled is a machine whose file has security.ima alone.
func labelled(label []byte) *machine {
	return &machine{attributes: map[string][]byte{"security.ima": label}}
}

// run runs a tool and returns its standard output.
func run(t testing.TB, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(argv, " "), err, out.String(), problem.String())
	}
	return out.String()
}

// accepts reports whether a tool that verifies something is content.
func accepts(t testing.TB, argv ...string) bool {
	t.Helper()
	err := exec.Command(argv[0], argv[1:]...).Run()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	return err == nil
}

// write puts content into a file of its own.
func write(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// evmctlIMA signs content with evmctl and returns security.ima.
func evmctlIMA(t testing.TB, content []byte, e *trusttest.Entity, algorithm string) []byte {
	t.Helper()
	path, f := write(t, content), e.Files(t)
	run(t, "evmctl", "ima_sign", "--sigfile", "-a", algorithm, "--key", f.Key, "--keyid-from-cert", f.Cert, path)
	label, err := os.ReadFile(path + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	return label
}

// verity3 makes security.ima of kind 6 over an fs-verity digest that fsverity
// computes and openssl signs; the evmctl at hand is too old for it.
func verity3(t testing.TB, content []byte, e *trusttest.Entity, algorithm string) []byte {
	t.Helper()
	number := map[string]byte{"sha256": 4, "sha512": 6}[algorithm]
	digest := strings.TrimSpace(run(t, "fsverity", "digest", "--compact", "--hash-alg="+algorithm, write(t, content)))
	id := append([]byte{6, number}, unhex(t, digest)...)
	return header(e, 6, 3, number, []byte(run(t, "openssl", "dgst", "-"+algorithm, "-sign", e.Files(t).Key, write(t, id))))
}

// header puts a signature behind its header.
func header(e *trusttest.Entity, kind, version, algorithm byte, signature []byte) []byte {
	skid := e.Certificate.SubjectKeyId
	out := append([]byte{kind, version, algorithm}, skid[len(skid)-4:]...)
	return append(append(out, byte(len(signature)>>8), byte(len(signature))), signature...)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimSpace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// program is what is signed: some blocks of fs-verity and a bit.
func program() []byte {
	content := make([]byte, 5*4096+77)
	for i := range content {
		content[i] = byte(i*i>>3 ^ i)
	}
	return content
}

// flipped is b with the lowest bit of one byte turned.
func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
