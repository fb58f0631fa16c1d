package journal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// checkpoint signs the journal's head.
func checkpoint(t testing.TB, j *Journal, key crypto.Signer) {
	t.Helper()
	if err := j.Checkpoint(context.Background(), key); err != nil {
		t.Fatal(err)
	}
}

// signedBy verifies a journal that must be sound under these keys.
func signedBy(t testing.TB, cfg Config, keys ...*ecdsa.PrivateKey) Report {
	t.Helper()
	report := verifySigned(t, cfg, demand(keys...))
	if report.Fault != nil || report.Signed == nil {
		t.Fatalf("a sound journal has a fault: %v", report.Fault)
	}
	return report
}

func demand(keys ...*ecdsa.PrivateKey) Demand {
	d := Demand{MaxUnsigned: time.Hour, Now: time.Now()}
	for _, key := range keys {
		d.Keys = append(d.Keys, &key.PublicKey)
	}
	return d
}

func verifySigned(t testing.TB, cfg Config, d Demand) Report {
	t.Helper()
	report, err := Verify(context.Background(), cfg.AuditDir, cfg.StateDir, d)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestACheckpointSignsEverythingBeforeIt(t *testing.T) {
	cfg, key := config(t.TempDir()), newKey(t)
	j, _ := opened(t, cfg)
	put(t, j, Record{Type: Opened, Request: "A"}, Record{Type: Denied, Request: "A"})
	checkpoint(t, j, key)
	put(t, j, Record{Type: Opened, Request: "B"})
	id, err := keyID(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	report := signedBy(t, cfg, key)
	if s := report.Signed; report.Checkpoints != 1 || s.Record != 4 || s.Unsigned != 2 || s.Key != id || time.Since(s.Time) > time.Minute {
		t.Errorf("%d, %+v", report.Checkpoints, s)
	}
	record := lines(t, cfg)[4]
	if record.Type != Checkpoint || record.Signed.Seq != 4 || record.Signed.Hash != record.Prev {
		t.Errorf("%+v", record)
	}
	// The same, checked by somebody who has only the specification.
	if !ecdsa.VerifyASN1(&key.PublicKey, record.Signed.digest(), record.Signed.Signature) {
		t.Error("the signature does not verify")
	}
	// A journal that nobody is asked about is not read otherwise than before.
	if report := verified(t, cfg); report.Signed != nil || report.Checkpoints != 1 {
		t.Errorf("%+v", report)
	}
	checkpoint(t, j, key)
	if s := signedBy(t, cfg, key).Signed; s.Record != 6 || s.Unsigned != 1 {
		t.Errorf("%+v", s)
	}
}

// slowSigner takes its time, as a TPM does.
type slowSigner struct {
	crypto.Signer
	asked, answer chan struct{}
}

func (s slowSigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	close(s.asked)
	<-s.answer
	return s.Signer.Sign(r, digest, opts)
}

// The journal goes on while a key signs, through a new segment even.
func TestSigningHoldsNobodyUp(t *testing.T) {
	cfg, key := config(t.TempDir()), newKey(t)
	cfg.SegmentBytes = 2000
	j, _ := opened(t, cfg)
	slow := slowSigner{key, make(chan struct{}), make(chan struct{})}
	var signing sync.WaitGroup
	signing.Go(func() {
		if err := j.Checkpoint(context.Background(), slow); err != nil {
			t.Error(err)
		}
	})
	<-slow.asked
	for range 30 {
		put(t, j, Record{Type: Control, Request: "A"})
	}
	if err := j.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	close(slow.answer)
	signing.Wait()
	if s := signedBy(t, cfg, key).Signed; s.Record != 2 || s.Unsigned < 31 {
		t.Errorf("%+v", s)
	}
	if list, err := segments(cfg.AuditDir); err != nil || len(list) < 2 {
		t.Errorf("%d segments, %v", len(list), err)
	}
}

func TestCheckpointsAndRecordsAtOnce(t *testing.T) {
	cfg, key := config(t.TempDir()), newKey(t)
	cfg.SegmentBytes = 20_000
	j, _ := opened(t, cfg)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 50 {
				put(t, j, Record{Type: Control, Request: "A"})
				checkpoint(t, j, key)
			}
		})
	}
	all.Wait()
	if report := signedBy(t, cfg, key); report.Checkpoints != 150 || report.Signed.Unsigned > 10 {
		t.Errorf("%d, %+v", report.Checkpoints, report.Signed)
	}
}

// bad is a signer that fails.
type bad struct {
	crypto.Signer
	signature []byte
	err       error
}

func (b bad) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return b.signature, b.err }

func TestWhatCannotSign(t *testing.T) {
	cfg, key := config(t.TempDir()), newKey(t)
	j, _, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("the TPM is gone")
	other, err := newKey(t).Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		signer crypto.Signer
		want   error
	}{
		"P-384":             {context.Background(), large, ErrKey},
		"RSA":               {context.Background(), publicOnly{&rsa.PublicKey{N: big.NewInt(1), E: 3}}, ErrKey},
		"a failing signer":  {context.Background(), bad{key, nil, gone}, gone},
		"a wrong signature": {context.Background(), bad{key, other, nil}, nil},
		"no signature":      {context.Background(), bad{key, nil, nil}, nil},
		"too late":          {canceled, key, context.Canceled},
	} {
		err := j.Checkpoint(c.ctx, c.signer)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := types(lines(t, cfg)); !slices.Equal(got, []Type{Segment, Start}) {
		t.Errorf("appended nevertheless: %v", got)
	}
	checkpoint(t, j, key)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Checkpoint(context.Background(), key); !errors.Is(err, ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
	signedBy(t, cfg, key)
}

type publicOnly struct{ key crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.key }
func (p publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no secret")
}

// A checkpoint that does not fit on the disk leaves nothing behind.
func TestACheckpointOnAFullDisk(t *testing.T) {
	cfg, key := config(t.TempDir()), newKey(t)
	room, stuck := 1<<20, false
	cfg.open = func(path string) (file, error) {
		f, err := openFile(path)
		return fullDisk{f, &room, &stuck}, err
	}
	j, _ := opened(t, cfg)
	room = 100
	if err := j.Checkpoint(context.Background(), key); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	room = 1 << 20
	checkpoint(t, j, key)
	if report := signedBy(t, cfg, key); report.Checkpoints != 1 {
		t.Errorf("%+v", report)
	}
}

// Keys change; each is asked for its own signatures.
func TestSeveralKeys(t *testing.T) {
	cfg, old, young := config(t.TempDir()), newKey(t), newKey(t)
	j, _ := opened(t, cfg)
	checkpoint(t, j, old)
	checkpoint(t, j, young)
	if s := signedBy(t, cfg, young, old).Signed; s.Record != 3 {
		t.Errorf("%+v", s)
	}
	for _, keys := range [][]*ecdsa.PrivateKey{{old}, {young}, {newKey(t)}} {
		report := verifySigned(t, cfg, demand(keys...))
		if report.Fault == nil || report.Fault.Line < 3 || report.Fault.Remedy == "" {
			t.Errorf("%+v", report.Fault)
		}
	}
}

// What was removed from the front by KeepSegments does not make a checkpoint
// false, and does not count as signed either.
func TestCheckpointsOfWhatIsNotHereAnyMore(t *testing.T) {
	synctest.Test(t, checkpointsOfWhatIsNotHere)
}

func checkpointsOfWhatIsNotHere(t *testing.T) {
	cfg, key := config(t.TempDir()), newKey(t)
	cfg.SegmentBytes, cfg.KeepSegments = 1500, 2
	j, _ := opened(t, cfg)
	checkpoint(t, j, key)
	slow := slowSigner{key, make(chan struct{}), make(chan struct{})}
	var signing sync.WaitGroup
	signing.Go(func() {
		if err := j.Checkpoint(context.Background(), slow); err != nil {
			t.Error(err)
		}
	})
	<-slow.asked
	for range 60 {
		put(t, j, Record{Type: Control, Request: "A"})
	}
	close(slow.answer)
	signing.Wait()
	time.Sleep(2 * headDelay)
	synctest.Wait()
	report := signedBy(t, cfg, key)
	if report.First < 10 || report.Checkpoints != 1 || report.Signed.Record != 0 || !report.Signed.Time.IsZero() ||
		report.Signed.Unsigned != uint64(report.Records) {
		t.Errorf("%+v, %+v", report, report.Signed)
	}
	checkpoint(t, j, key)
	if s := signedBy(t, cfg, key).Signed; s.Record == 0 || s.Unsigned != 1 {
		t.Errorf("%+v", s)
	}
	// The first record that is kept names the one before, so a checkpoint of
	// that one can still be checked.
	list, err := segments(cfg.AuditDir)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(cfg.AuditDir, segmentName(list[0])))
	if err != nil {
		t.Fatal(err)
	}
	first, err := parseLine(bytes.SplitN(data, []byte("\n"), 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	s := newSignatures(demand(key))
	if fault := s.check(&first); fault != nil {
		t.Fatal(fault)
	}
	for hash, want := range map[string]bool{first.Prev: true, hashLine(nil): false} {
		signed := &Signed{Seq: first.Seq - 1, Hash: hash, Time: time.Now().UTC()}
		signed.Key, _ = keyID(&key.PublicKey)
		if signed.Signature, err = key.Sign(rand.Reader, signed.digest(), crypto.SHA256); err != nil {
			t.Fatal(err)
		}
		fault := s.check(&Record{Seq: first.Seq + 1, Type: Checkpoint, Signed: signed, Prev: hashLine(data)})
		if (fault == nil) != want {
			t.Errorf("%v: %v", want, fault)
		}
	}
}

func pemOf(t testing.TB, kind string, der []byte) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestReadKeys(t *testing.T) {
	key := newKey(t)
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKIXPublicKey(&large.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pemOf(t, "PUBLIC KEY", spki)
	for name, c := range map[string]struct {
		data []byte
		want int
	}{
		"a public key":   {public, 1},
		"a certificate":  {pemOf(t, "CERTIFICATE", certificate), 1},
		"both":           {slices.Concat([]byte("text\n"), public, pemOf(t, "CERTIFICATE", certificate)), 2},
		"nothing":        {nil, 0},
		"text":           {[]byte("hello"), 0},
		"a private key":  {slices.Concat(public, pemOf(t, "PRIVATE KEY", private)), 0},
		"P-384":          {slices.Concat(public, pemOf(t, "PUBLIC KEY", other)), 0},
		"not DER":        {pemOf(t, "PUBLIC KEY", spki[1:]), 0},
		"no certificate": {pemOf(t, "CERTIFICATE", spki), 0},
	} {
		keys, err := ReadKeys(c.data)
		if len(keys) != c.want || (err != nil) != (c.want == 0) || err != nil && !errors.Is(err, ErrKey) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
		for _, got := range keys {
			if !got.Equal(&key.PublicKey) {
				t.Errorf("%s: another key", name)
			}
		}
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	cfg, key := config(b.TempDir()), newKey(b)
	j, _ := opened(b, cfg)
	for b.Loop() {
		checkpoint(b, j, key)
	}
}
