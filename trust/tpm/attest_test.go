package tpm_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"kpm/trust/tpm"
	"kpm/trust/tpm/tpmtest"
)

func nonce(tb testing.TB) []byte {
	tb.Helper()
	n := make([]byte, tpm.MaxNonce)
	rand.Read(n)
	return n
}

var registers = []uint{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16}

func TestDeviceQuotes(t *testing.T) {
	d := device(t)
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	n := nonce(t)
	said, values, err := d.Quote(t.Context(), ak, n, registers)
	if err != nil {
		t.Fatal(err)
	}
	if err := tpm.VerifyQuote(ak.Public, said, n, values); err != nil {
		t.Error(err)
	}

	other := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	unrestricted := must[tpm.Blob](t)(d.CreateKey(t.Context()))
	certified := must[tpm.Statement](t)(d.Certify(t.Context(), ak, unrestricted, n))
	changed := maps.Clone(values)
	value := changed[16]
	value[31] ^= 1
	changed[16] = value
	fewer := maps.Clone(values)
	delete(fewer, 16)
	more := maps.Clone(values)
	more[23] = [32]byte{}
	swapped := maps.Clone(values)
	swapped[15] = swapped[16]
	delete(swapped, 16)
	for name, err := range map[string]error{
		"another value":            tpm.VerifyQuote(ak.Public, said, n, changed),
		"a register less":          tpm.VerifyQuote(ak.Public, said, n, fewer),
		"a register more":          tpm.VerifyQuote(ak.Public, said, n, more),
		"another register":         tpm.VerifyQuote(ak.Public, said, n, swapped),
		"another nonce":            tpm.VerifyQuote(ak.Public, said, nonce(t), values),
		"a shorter nonce":          tpm.VerifyQuote(ak.Public, said, n[:31], values),
		"another key":              tpm.VerifyQuote(other.Public, said, n, values),
		"a key that signs all":     tpm.VerifyQuote(unrestricted.Public, said, n, values),
		"a statement about a key":  tpm.VerifyQuote(ak.Public, certified, n, values),
		"a signature of another's": tpm.VerifyQuote(ak.Public, tpm.Statement{Said: said.Said, Signature: certified.Signature}, n, values),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, n := range map[string][]byte{"none": nil, "short": make([]byte, 15), "long": make([]byte, 33)} {
		if _, _, err := d.Quote(t.Context(), ak, n, registers); err == nil {
			t.Errorf("%s: a nonce of %d bytes is taken", name, len(n))
		}
	}
	if _, _, err := d.Quote(t.Context(), unrestricted, n, registers); !errors.Is(err, tpm.ErrBlob) {
		t.Errorf("a machine key quotes: %v", err)
	}
}

// Each byte of a statement counts.
func TestDeviceStatementsThatWereChanged(t *testing.T) {
	d := device(t)
	_, key := signer(t, d)
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	n := nonce(t)
	quote, values, err := d.Quote(t.Context(), ak, n, registers)
	if err != nil {
		t.Fatal(err)
	}
	certificate := must[tpm.Statement](t)(d.Certify(t.Context(), ak, key, n))
	accepted := func(ak []byte, quote, certificate tpm.Statement, key []byte) bool {
		return tpm.VerifyQuote(ak, quote, n, values) == nil && tpm.VerifyCertify(ak, certificate, n, key) == nil
	}
	if !accepted(ak.Public, quote, certificate, key.Public) {
		t.Fatal("what nobody changed is refused")
	}
	count := 0
	for name, field := range map[string]*[]byte{
		"attestation key": &ak.Public, "machine key": &key.Public,
		"quote": &quote.Said, "quote signature": &quote.Signature,
		"certificate": &certificate.Said, "certificate signature": &certificate.Signature,
	} {
		whole := *field
		for i := range whole {
			*field = bytes.Clone(whole)
			(*field)[i] ^= 0x10
			if accepted(ak.Public, quote, certificate, key.Public) {
				t.Errorf("%s: byte %d changed: accepted", name, i)
			}
			count++
		}
		for _, changed := range [][]byte{nil, whole[:len(whole)-1], append(bytes.Clone(whole), 0), make([]byte, 1<<20)} {
			*field = changed
			if accepted(ak.Public, quote, certificate, key.Public) {
				t.Errorf("%s: %d bytes: accepted", name, len(changed))
			}
			count++
		}
		*field = whole
	}
	t.Logf("%d changes", count)
}

func TestDeviceCertifies(t *testing.T) {
	d := device(t)
	_, key := signer(t, d)
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	n := nonce(t)
	said := must[tpm.Statement](t)(d.Certify(t.Context(), ak, key, n))
	if err := tpm.VerifyCertify(ak.Public, said, n, key.Public); err != nil {
		t.Error(err)
	}
	_, other := signer(t, d)
	quote, _, err := d.Quote(t.Context(), ak, n, registers)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another key":     tpm.VerifyCertify(ak.Public, said, n, other.Public),
		"another nonce":   tpm.VerifyCertify(ak.Public, said, nonce(t), key.Public),
		"another signer":  tpm.VerifyCertify(other.Public, said, n, key.Public),
		"a restricted":    tpm.VerifyCertify(ak.Public, said, n, ak.Public),
		"a quote instead": tpm.VerifyCertify(ak.Public, quote, n, key.Public),
	} {
		if !errors.Is(err, tpm.ErrStatement) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A TPM certifies whatever key it holds, also one that somebody has brought in
// and knows.
func TestDeviceCertifiedKeysThatCanLeave(t *testing.T) {
	d := device(t)
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	key := must[tpm.Blob](t)(d.CreateKey(t.Context()))
	conn := connect(t, d.path)
	defer conn.Close()
	flush := func(h tpm2.TPMHandle) {
		if _, err := (tpm2.FlushContext{FlushHandle: h}).Execute(conn); err != nil {
			t.Error(err)
		}
	}
	parent, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(conn)
	if err != nil {
		t.Fatal(err)
	}
	defer flush(parent.ObjectHandle)
	under := tpm2.NamedHandle{Handle: parent.ObjectHandle, Name: parent.Name}
	load := func(public, private []byte) tpm2.NamedHandle {
		t.Helper()
		r, err := tpm2.Load{
			ParentHandle: under, InPrivate: tpm2.TPM2BPrivate{Buffer: private}, InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](public),
		}.Execute(conn)
		if err != nil {
			t.Fatal(err)
		}
		return tpm2.NamedHandle{Handle: r.ObjectHandle, Name: r.Name}
	}
	attestation := load(ak.Public, ak.Private)
	defer flush(attestation.Handle)
	n := nonce(t)
	for name, change := range map[string]func(*tpm2.TPMAObject){
		"as it should be": func(*tpm2.TPMAObject) {},
		"can be moved":    func(a *tpm2.TPMAObject) { a.FixedTPM, a.FixedParent = false, false },
		"stays a while":   func(a *tpm2.TPMAObject) { a.STClear = true },
	} {
		template := *must[*tpm2.TPMTPublic](t)(tpm2.Unmarshal[tpm2.TPMTPublic](key.Public))
		change(&template.ObjectAttributes)
		template.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
		made, err := tpm2.Create{ParentHandle: under, InPublic: tpm2.New2B(template)}.Execute(conn)
		if err != nil {
			t.Fatal(err)
		}
		object := load(made.OutPublic.Bytes(), made.OutPrivate.Buffer)
		r, err := tpm2.Certify{ObjectHandle: object, SignHandle: attestation, QualifyingData: tpm2.TPM2BData{Buffer: n}}.Execute(conn)
		flush(object.Handle)
		if err != nil {
			t.Fatal(err)
		}
		said := tpm.Statement{Said: r.CertifyInfo.Bytes(), Signature: tpm2.Marshal(r.Signature)}
		err = tpm.VerifyCertify(ak.Public, said, n, made.OutPublic.Bytes())
		if (err == nil) != (name == "as it should be") || err != nil && !errors.Is(err, tpm.ErrStatement) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeviceActivates(t *testing.T) {
	d := device(t)
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	ek := must[tpm.Endorsement](t)(d.Endorsement(t.Context()))
	secret := nonce(t)
	c := must[tpm.Challenge](t)(tpm.NewChallenge(ek.Public, ak.Public, secret))
	if got, err := d.Activate(t.Context(), ak, ek.Public, c.Credential, c.Secret); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%x, %v", got, err)
	}
	other := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	if got, err := d.Activate(t.Context(), other, ek.Public, c.Credential, c.Secret); err == nil {
		t.Errorf("for another key: %x", got)
	}
	for i := 0; i < len(c.Credential); i += 5 {
		changed := bytes.Clone(c.Credential)
		changed[i] ^= 1
		if got, err := d.Activate(t.Context(), ak, ek.Public, changed, c.Secret); err == nil {
			t.Errorf("byte %d changed: %x", i, got)
		}
	}
	for name, ek := range map[string][]byte{"storage key": d.Memory().Storage, "attestation key": ak.Public, "nothing": nil} {
		if _, err := tpm.NewChallenge(ek, ak.Public, secret); err == nil {
			t.Errorf("a challenge for the %s", name)
		}
	}
}

// What we sign other people's tool verifies, and what it refuses we refuse.
func TestQuotesAgainstTPM2Tools(t *testing.T) {
	path := tpmtest.New(t)
	d := machine{open(t, connect(t, path), tpm.Memory{}), path}
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	n := nonce(t)
	registers := []uint{0, 1, 7, 8, 16} // more than 8 tpm2_checkquote 5.4 does not take in this form
	said, values, err := d.Quote(t.Context(), ak, n, registers)
	if err != nil {
		t.Fatal(err)
	}
	key := must[*ecdsa.PublicKey](t)(tpm.PublicKey(ak.Public))
	spki := must[[]byte](t)(x509.MarshalPKIXPublicKey(key))
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := "sha256:"
	raw := func(values tpm.PCRs) (raw []byte) {
		for _, index := range slices.Sorted(maps.Keys(values)) {
			value := values[index]
			raw = append(raw, value[:]...)
		}
		return raw
	}
	for i, index := range registers {
		if i > 0 {
			list += ","
		}
		list += fmt.Sprint(index)
	}
	theirs := func(said tpm.Statement, n []byte, values tpm.PCRs) error {
		out, err := exec.Command("tpm2_checkquote",
			"-u", file("ak.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})),
			"-m", file("said", said.Said), "-s", file("signature", said.Signature), "-q", hex.EncodeToString(n),
			"-f", file("values", raw(values)), "-l", list, "-g", "sha256").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	changed := maps.Clone(values)
	value := changed[0]
	value[0] ^= 1
	changed[0] = value
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	for name, c := range map[string]struct {
		said   tpm.Statement
		nonce  []byte
		values tpm.PCRs
		want   bool
	}{
		"as it is":          {said, n, values, true},
		"another nonce":     {said, nonce(t), values, false},
		"another value":     {said, n, changed, false},
		"statement changed": {tpm.Statement{Said: flip(said.Said, 40), Signature: said.Signature}, n, values, false},
		"signature changed": {tpm.Statement{Said: said.Said, Signature: flip(said.Signature, 20)}, n, values, false},
	} {
		ours, theirs := tpm.VerifyQuote(ak.Public, c.said, c.nonce, c.values), theirs(c.said, c.nonce, c.values)
		if (ours == nil) != c.want || (theirs == nil) != c.want {
			t.Errorf("%s: we say %v, tpm2_checkquote says %v, expected accepted: %v", name, ours, theirs, c.want)
		}
	}
}

// swtpm_setup plays the maker of a TPM: it certifies the RSA endorsement key, and
// leaves an RSA storage key where ours could lie.
func TestEndorsementCertificate(t *testing.T) {
	dir, ca := t.TempDir(), t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(ca, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	options := file("options", "--platform-manufacturer kpm\n--platform-version 1\n--platform-model test\n")
	local := file("localca.conf", fmt.Sprintf("statedir = %s\nsigningkey = %s/key.pem\nissuercert = %s/ca.pem\ncertserial = %s/serial\n", ca, ca, ca, ca))
	setup := file("setup.conf", fmt.Sprintf("create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = %s\ncreate_certs_tool_options = %s\n", local, options))
	out, err := exec.Command("swtpm_setup", "--tpm2", "--tpmstate", dir, "--create-ek-cert", "--create-spk", "--lock-nvram",
		"--config", setup).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path := tpmtest.Start(t, dir)
	d := machine{open(t, connect(t, path), tpm.Memory{}), path}
	ek := must[tpm.Endorsement](t)(d.Endorsement(t.Context()))
	certificate := must[*x509.Certificate](t)(x509.ParseCertificate(ek.Certificate))
	if spki := must[[]byte](t)(tpm.SubjectPublicKeyInfo(ek.Public)); !bytes.Equal(certificate.RawSubjectPublicKeyInfo, spki) {
		t.Error("the certificate is of another key")
	}
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	secret := nonce(t)
	c := must[tpm.Challenge](t)(tpm.NewChallenge(ek.Public, ak.Public, secret))
	if got, err := d.Activate(t.Context(), ak, ek.Public, c.Credential, c.Secret); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%x, %v", got, err)
	}
}
