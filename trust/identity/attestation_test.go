package identity_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kpm/core/port"
	"kpm/trust/identity"
	"kpm/trust/tpm"
	"kpm/trust/tpm/tpmtest"
)

func newNonce() []byte {
	n := make([]byte, 32)
	rand.Read(n)
	return n
}

func attest(tb testing.TB, i *identity.Identity, nonce []byte) (identity.Attestation, []byte) {
	tb.Helper()
	a, err := i.Attest(tb.Context(), nonce)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := a.JSON()
	if err != nil {
		tb.Fatal(err)
	}
	return a, data
}

// A server registers a machine: nonce, attestation, challenge, answer.
func TestDeviceRegisters(t *testing.T) {
	i := open(t, inTPM(t))
	nonce := newNonce()
	_, data := attest(t, i, nonce)
	v, err := identity.VerifyAttestation(data, nonce, identity.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if v.KeyID != i.KeyID() || v.Genuine || len(v.Registers) != len(identity.AttestedRegisters()) {
		t.Errorf("%+v", v)
	}
	secret := newNonce()
	c, err := v.Challenge(secret)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.Activate(t.Context(), text); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%x, %v", got, err)
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("x"), "empty": []byte("{}"), "more": append(bytes.Clone(text), '1'),
		"huge": bytes.Repeat([]byte(" "), 1<<20), "long": must(json.Marshal(tpm.Challenge{Credential: make([]byte, 600), Secret: c.Secret})),
		"half": must(json.Marshal(tpm.Challenge{Credential: c.Credential})), "unknown": []byte(`{"credential":"AAAA","secret":"AAAA","x":1}`),
	} {
		if got, err := i.Activate(t.Context(), text); err == nil {
			t.Errorf("%s: %x", name, got)
		}
	}
}

func TestAKeyInAFileAttestsNothing(t *testing.T) {
	i := open(t, inFile(t))
	if _, err := i.Attest(t.Context(), newNonce()); !errors.Is(err, port.ErrNoTPM) {
		t.Errorf("%v", err)
	}
	if _, err := i.Activate(t.Context(), []byte("{}")); !errors.Is(err, port.ErrNoTPM) {
		t.Errorf("%v", err)
	}
}

// Nothing that is not as the TPM said it is believed, whichever part it is.
func TestDeviceAttestationsThatWereChanged(t *testing.T) {
	c := inTPM(t)
	i := open(t, c)
	nonce := newNonce()
	a, data := attest(t, i, nonce)
	other, _ := attest(t, open(t, config(t, identity.StoreAuto, c.Device)), nonce)
	later, _ := attest(t, i, newNonce())
	count := 0
	refused := func(name string, change func(*identity.Attestation)) {
		t.Helper()
		changed := a
		changed.Registers = maps.Clone(a.Registers)
		change(&changed)
		data, err := changed.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if v, err := identity.VerifyAttestation(data, nonce, identity.VerifyOptions{}); !errors.Is(err, identity.ErrAttestation) || v != nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
		count++
	}
	for name, change := range map[string]func(*identity.Attestation){
		"version":                      func(a *identity.Attestation) { a.Version = 2 },
		"nonce":                        func(a *identity.Attestation) { a.Nonce = newNonce() },
		"no nonce":                     func(a *identity.Attestation) { a.Nonce = nil },
		"another machine key":          func(a *identity.Attestation) { a.MachineKey = other.MachineKey },
		"and its certification":        func(a *identity.Attestation) { a.MachineKey, a.Certification = other.MachineKey, other.Certification },
		"another attestation key":      func(a *identity.Attestation) { a.AttestationKey = other.AttestationKey },
		"the machine key in its place": func(a *identity.Attestation) { a.AttestationKey = a.MachineKey },
		"another certification":        func(a *identity.Attestation) { a.Certification = other.Certification },
		"another quote":                func(a *identity.Attestation) { a.Quote = other.Quote },
		"statements exchanged":         func(a *identity.Attestation) { a.Quote, a.Certification = a.Certification, a.Quote },
		"an old certification":         func(a *identity.Attestation) { a.Certification = later.Certification },
		"an old quote":                 func(a *identity.Attestation) { a.Quote = later.Quote },
		"no quote":                     func(a *identity.Attestation) { a.Quote = tpm.Statement{} },
		"a register less":              func(a *identity.Attestation) { delete(a.Registers, 0) },
		"a register more":              func(a *identity.Attestation) { a.Registers[23] = make([]byte, 32) },
		"a register beyond":            func(a *identity.Attestation) { a.Registers[1<<40] = make([]byte, 32) },
		"a register's value":           func(a *identity.Attestation) { a.Registers[7] = newNonce() },
		"a short register":             func(a *identity.Attestation) { a.Registers[7] = a.Registers[7][:31] },
		"no registers":                 func(a *identity.Attestation) { a.Registers = nil },
		"no endorsement key":           func(a *identity.Attestation) { a.EndorsementKey = nil },
		"the storage kind instead":     func(a *identity.Attestation) { a.EndorsementKey = a.AttestationKey },
		"a certificate of nobody":      func(a *identity.Attestation) { a.EndorsementCertificate = []byte{0x30, 0} },
		"the machine's certificate":    func(a *identity.Attestation) { a.EndorsementCertificate = i.ClientCertificate().Certificate[0] },
	} {
		refused(name, change)
	}
	for name, part := range map[string]func(*identity.Attestation) *[]byte{
		"machine key":             func(a *identity.Attestation) *[]byte { return &a.MachineKey },
		"attestation key":         func(a *identity.Attestation) *[]byte { return &a.AttestationKey },
		"certification":           func(a *identity.Attestation) *[]byte { return &a.Certification.Said },
		"certification signature": func(a *identity.Attestation) *[]byte { return &a.Certification.Signature },
		"quote":                   func(a *identity.Attestation) *[]byte { return &a.Quote.Said },
		"quote signature":         func(a *identity.Attestation) *[]byte { return &a.Quote.Signature },
	} {
		for at := 0; at < len(*part(&a)); at += 5 {
			refused(fmt.Sprintf("%s, byte %d", name, at), func(a *identity.Attestation) {
				changed := bytes.Clone(*part(a))
				changed[at] ^= 4
				*part(a) = changed
			})
		}
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "cut": data[:len(data)-3], "twice": append(bytes.Clone(data), data...), "null": []byte("null"), "a list": []byte("[]"),
		"huge": append(bytes.Clone(data), bytes.Repeat([]byte(" "), 1<<20)...), "unknown": bytes.Replace(data, []byte(`"version"`), []byte(`"x":1,"version"`), 1),
	} {
		if _, err := identity.VerifyAttestation(text, nonce, identity.VerifyOptions{}); !errors.Is(err, identity.ErrAttestation) {
			t.Errorf("%s: %v", name, err)
		}
		count++
	}
	for name, nonce := range map[string][]byte{"none": nil, "another": newNonce(), "short": nonce[:16]} {
		if _, err := identity.VerifyAttestation(data, nonce, identity.VerifyOptions{}); !errors.Is(err, identity.ErrAttestation) {
			t.Errorf("asked with %s nonce: %v", name, err)
		}
		count++
	}
	if _, err := identity.VerifyAttestation(data, nonce, identity.VerifyOptions{Roots: x509.NewCertPool()}); !errors.Is(err, identity.ErrAttestation) {
		t.Errorf("a TPM that no maker has certified: %v", err)
	}
	t.Logf("%d changes", count)
}

// manufacture makes the state of a TPM with a certificate, and its maker's CA.
func manufacture(t *testing.T) (state string, roots, intermediates *x509.CertPool) {
	t.Helper()
	state, ca := t.TempDir(), t.TempDir()
	write(t, ca, "options", []byte("--platform-manufacturer kpm\n--platform-version 1\n--platform-model test\n"))
	write(t, ca, "localca.conf", fmt.Appendf(nil, "statedir = %s\nsigningkey = %s/key.pem\nissuercert = %s/ca.pem\ncertserial = %s/serial\n", ca, ca, ca, ca))
	write(t, ca, "setup.conf", fmt.Appendf(nil, "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = %s/localca.conf\ncreate_certs_tool_options = %s/options\n", ca, ca))
	out, err := exec.Command("swtpm_setup", "--tpm2", "--tpmstate", state, "--create-ek-cert", "--lock-nvram",
		"--config", filepath.Join(ca, "setup.conf")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(ca, "*rootca*cert.pem"))
	if err != nil || len(files) != 1 {
		t.Fatalf("root certificates: %v, %v", files, err)
	}
	pool := func(path string) *x509.CertPool {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p := x509.NewCertPool()
		if !p.AppendCertsFromPEM(data) {
			t.Fatalf("%s holds no certificate", path)
		}
		return p
	}
	return state, pool(files[0]), pool(filepath.Join(ca, "ca.pem"))
}

func TestATPMThatItsMakerHasCertified(t *testing.T) {
	state, roots, intermediates := manufacture(t)
	i := open(t, config(t, identity.StoreTPM, tpmtest.Start(t, state)))
	nonce := newNonce()
	a, data := attest(t, i, nonce)
	v, err := identity.VerifyAttestation(data, nonce, identity.VerifyOptions{Roots: roots, Intermediates: intermediates})
	if err != nil || !v.Genuine {
		t.Fatalf("%+v, %v", v, err)
	}
	secret := newNonce()
	c, err := v.Challenge(secret)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.Activate(t.Context(), must(json.Marshal(c))); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%x, %v", got, err)
	}
	strangers := x509.NewCertPool()
	strangers.AddCert(newIssuer(t, nil).certificate)
	for name, o := range map[string]identity.VerifyOptions{
		"another maker": {Roots: strangers, Intermediates: intermediates}, "no way to the root": {Roots: roots},
	} {
		if _, err := identity.VerifyAttestation(data, nonce, o); !errors.Is(err, identity.ErrAttestation) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Somebody shows a genuine TPM's certificate with statements of their own.
	// They pass, and the challenge finds them out.
	theirs := open(t, config(t, identity.StoreTPM, tpmtest.New(t)))
	mixed, _ := attest(t, theirs, nonce)
	mixed.EndorsementKey, mixed.EndorsementCertificate = a.EndorsementKey, a.EndorsementCertificate
	text, err := mixed.JSON()
	if err != nil {
		t.Fatal(err)
	}
	v, err = identity.VerifyAttestation(text, nonce, identity.VerifyOptions{Roots: roots, Intermediates: intermediates})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = v.Challenge(secret); err != nil {
		t.Fatal(err)
	}
	for name, i := range map[string]*identity.Identity{"theirs": theirs, "the genuine one": i} {
		if got, err := i.Activate(t.Context(), must(json.Marshal(c))); err == nil {
			t.Errorf("%s answers: %x", name, got)
		}
	}
}
