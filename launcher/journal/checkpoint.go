package journal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strconv"
	"time"

	"kpm/core"
)

// ErrKey is wrapped when a key cannot sign checkpoints, or a file has none that
// could have.
var ErrKey = core.NewError(core.Invalid, "not an ECDSA key on P-256")

// Signed is what a checkpoint says: that this key has signed a record, and with
// it every record before, which the record's hash binds. Records may have been
// added between that one and the checkpoint.
type Signed struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"` // of the record's line, as in Prev
	// First is the first record that was kept then; 0 in checkpoints of services
	// that did not sign it.
	First     uint64    `json:"first,omitempty"`
	Time      time.Time `json:"time"`      // when it was signed, by this machine's clock
	Key       string    `json:"key"`       // SHA-256 of the public key's SubjectPublicKeyInfo, hex
	Signature []byte    `json:"signature"` // ECDSA over digest, ASN.1
}

// checkpointDomain keeps a signature of a checkpoint from being one of anything
// else that the machine key signs, and the other way round.
const (
	checkpointDomain       = "kpm journal checkpoint v2"
	checkpointWithoutFirst = "kpm journal checkpoint v1"
)

// digest is what is signed: SHA-256 over each part, as text, after its length
// in four bytes, so that no two checkpoints are the same bytes.
func (s *Signed) digest() []byte {
	h := sha256.New()
	parts := []string{checkpointDomain, strconv.FormatUint(s.Seq, 10), s.Hash, s.Time.UTC().Format(time.RFC3339Nano), s.Key, strconv.FormatUint(s.First, 10)}
	if s.First == 0 {
		parts[0], parts = checkpointWithoutFirst, parts[:5]
	}
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

func (s *Signed) verify(key *ecdsa.PublicKey) bool {
	return ecdsa.VerifyASN1(key, s.digest(), s.Signature)
}

// Checkpoint signs the last record and appends a record that says so. The
// signer is ECDSA on P-256 and may take its time: the journal goes on meanwhile.
// The checkpoint is made durable like any other record. An error wraps
// ErrUnavailable, ErrKey, or what the signer says; nothing is appended then, and
// the next call may work.
func (j *Journal) Checkpoint(ctx context.Context, signer crypto.Signer) error {
	public, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return fmt.Errorf("journal: checkpoint: %w: %T", ErrKey, signer.Public())
	}
	id, err := keyID(public)
	if err != nil {
		return fmt.Errorf("journal: checkpoint: %w", err)
	}
	j.mu.Lock()
	at, first, broken := j.at, j.kept[0], j.broken
	j.mu.Unlock()
	if broken != nil {
		return fmt.Errorf("journal: checkpoint: %w: %w", ErrUnavailable, broken)
	}
	signed := &Signed{Seq: at.Seq, Hash: at.Hash, First: first, Time: j.now(), Key: id}
	if signed.Signature, err = signer.Sign(rand.Reader, signed.digest(), crypto.SHA256); err != nil {
		return fmt.Errorf("journal: checkpoint: sign record %d: %w", at.Seq, err)
	}
	// What would not verify must not get into the journal: it would look like
	// tampering for as long as it is there.
	if !signed.verify(public) {
		return fmt.Errorf("journal: checkpoint: sign record %d: the signature does not verify", at.Seq)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("journal: checkpoint: %w", err)
	}
	if behind := j.last() - at.Seq; behind > maxBehind/2 {
		return fmt.Errorf("journal: checkpoint: %d records were added while record %d was signed", behind, at.Seq)
	}
	if err := j.Append(Record{Type: Checkpoint, Signed: signed}); err != nil {
		return err
	}
	j.stats.signed.Store(signed)
	return nil
}

func (j *Journal) last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.at.Seq
}

// keyID names a key as checkpoints do.
func keyID(key *ecdsa.PublicKey) (string, error) {
	if key.Curve != elliptic.P256() {
		return "", ErrKey
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:]), nil
}

// ReadKeys reads the public keys of PEM blocks, at least one: of type PUBLIC
// KEY, or CERTIFICATE, of which nothing but the key counts. The error wraps
// ErrKey.
func ReadKeys(data []byte) ([]*ecdsa.PublicKey, error) {
	var keys []*ecdsa.PublicKey
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		var found any
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			found, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "CERTIFICATE":
			var certificate *x509.Certificate
			if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
				found = certificate.PublicKey
			}
		default:
			err = fmt.Errorf("a PEM block of type %q, expected PUBLIC KEY or CERTIFICATE", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		key, ok := found.(*ecdsa.PublicKey)
		if !ok || key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("%w: %T", ErrKey, found)
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, fmt.Errorf("%w: no PEM block of type PUBLIC KEY or CERTIFICATE", ErrKey)
	}
	return keys, nil
}
