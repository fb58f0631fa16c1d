// Package ima judges what Linux stores beside a file: the signatures in the
// attributes security.ima and security.evm, and those over the fs-verity
// digest. The formats are the kernel's; the code is portable, and what it needs
// to know of a file it asks through System.
//
// It trusts certificates that were configured and nothing else. The kernel's
// own keyrings (.ima, .evm, .fs-verity) are no source of keys: an asymmetric
// key tells user space its id and not its public key (Documentation/crypto/
// asymmetric-keys.rst), and with most distributions root may add to them. So
// what is said here is not what this kernel would say; it may know other keys,
// and it enforces only what its policy names.
package ima

import (
	"context"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// System is what the operating system knows about an open file. It answers
// port.ErrNoAttribute for what a file does not carry, and
// errors.ErrUnsupported for what there is not.
type System interface {
	Attribute(f *os.File, name string) ([]byte, error)
	Verity(f *os.File) (port.Verity, error)
	Node(f *os.File) (port.Node, error)
}

// File is what is judged.
type File struct {
	// Content are the bytes that count, Size of them.
	Content io.ReaderAt
	Size    int64
	// Digest hashes Content.
	Digest func(context.Context, crypto.Hash) ([]byte, error)
	// Handle is what carries the attributes: the file that Content is of or
	// was copied from. Nothing is read from it.
	Handle *os.File
	System System
}

// Names of the attributes (include/uapi/linux/xattr.h).
const (
	nameIMA = "security.ima"
	nameEVM = "security.evm"
)

// revocation is the same for every signature of this package.
var revocation = core.Check{Name: "revocation", Outcome: core.NotChecked,
	Detail: "certificates of file signers are trusted one by one: one that is not configured any more is revoked"}

// Evidence judges every signature that f carries. An error means that the
// bytes or an attribute could not be read.
func Evidence(ctx context.Context, f File, keys *Keys) ([]core.Evidence, error) {
	j := judge{File: f, ctx: ctx, keys: keys}
	label, labelled, err := j.attribute(nameIMA)
	if err != nil {
		return nil, err
	}
	measured, enabled, err := j.verity()
	if err != nil {
		return nil, err
	}
	var found []core.Evidence
	var content *core.Evidence
	if labelled {
		e, err := j.ima(label, measured, enabled)
		if err != nil {
			return nil, err
		}
		found = append(found, e)
		content = &e
	}
	seal, sealed, err := j.attribute(nameEVM)
	if err != nil {
		return nil, err
	}
	if sealed {
		e, err := j.evm(seal, label, content)
		if err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	if enabled && measured.Signature != nil {
		e, err := j.builtin(measured)
		if err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, nil
}

// judge is one file before the keys.
type judge struct {
	File
	ctx  context.Context
	keys *Keys
}

// attribute reports false if the file carries none of that name. Any other
// failure is an error: a signature that cannot be read may be a broken one.
func (j *judge) attribute(name string) ([]byte, bool, error) {
	value, err := j.System.Attribute(j.Handle, name)
	switch {
	case err == nil:
		return value, true, nil
	case absent(err):
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("ima: %s: %w", name, err)
}

func (j *judge) verity() (port.Verity, bool, error) {
	measured, err := j.System.Verity(j.Handle)
	switch {
	case err == nil:
		return measured, true, nil
	case absent(err):
		return port.Verity{}, false, nil
	}
	return port.Verity{}, false, fmt.Errorf("ima: fs-verity: %w", err)
}

func absent(err error) bool {
	return errors.Is(err, port.ErrNoAttribute) || errors.Is(err, errors.ErrUnsupported)
}

// ima judges security.ima (xattr_verify in the kernel's
// security/integrity/ima/ima_appraise.c).
func (j *judge) ima(value []byte, measured port.Verity, enabled bool) (core.Evidence, error) {
	e := core.Evidence{Kind: core.KindIMA, Rank: core.RankSigned}
	a, err := parseAttribute(value)
	switch {
	case err != nil:
		return broken(e, "security.ima is malformed: "+err.Error()), nil
	case a.kind == kindSignature:
		return j.imaSignature(e, a)
	case a.kind == kindVerity:
		e.Kind = core.KindVerity
		return j.veritySignature(e, a, measured, enabled)
	case a.kind == kindDigest || a.kind == kindDigestNG:
		return j.imaDigest(e, a)
	}
	return broken(e, "security.ima is malformed: it is of a kind that belongs elsewhere"), nil
}

// imaDigest judges a digest that nobody has signed. It is worth nothing by
// itself: whoever can write to the file can write it. But it must match, for
// security.evm may have signed it.
func (j *judge) imaDigest(e core.Evidence, a attribute) (core.Evidence, error) {
	e.Digest = a.algorithm.name
	if a.algorithm.hash == 0 {
		return untrusted(e, "security.ima holds a "+a.algorithm.name+" digest, not a signature"), nil
	}
	sum, err := j.Digest(j.ctx, a.algorithm.hash)
	if err != nil {
		return e, err
	}
	if string(sum) != string(a.digest) {
		e.Checks = append(e.Checks, core.Check{Name: "file digest", Outcome: core.Failed})
		return broken(e, "the file was changed after its digest was recorded in security.ima"), nil
	}
	e.Checks = append(e.Checks, core.Check{Name: "file digest", Outcome: core.Passed})
	return untrusted(e, "security.ima holds a "+a.algorithm.name+" digest, which nobody has signed"), nil
}

func (j *judge) imaSignature(e core.Evidence, a attribute) (core.Evidence, error) {
	e.Digest, e.KeyID = a.algorithm.name, a.id()
	if reason := a.uncheckable(); reason != "" {
		return untrusted(e, reason), nil
	}
	candidates := j.keys.named(a.keyID)
	if len(candidates) == 0 {
		return untrusted(e, "the key that made the signature is not one that is trusted"), nil
	}
	sum, err := j.Digest(j.ctx, a.algorithm.hash)
	if err != nil {
		return e, err
	}
	return j.keys.judge(e, candidates, a.algorithm, a.signed(sum), a.signature, "the file was changed after it was signed"), nil
}

// signed is what the signature is over, hashed: a digest itself up to version
// 2, since version 3 also what it is a digest of (struct ima_file_id in the
// kernel's security/integrity/integrity.h), so that a signature of one kind is
// none of another.
func (a *attribute) signed(digest []byte) []byte {
	if a.version < version3 {
		return digest
	}
	h := a.algorithm.hash.New()
	h.Write([]byte{a.kind, a.number})
	h.Write(digest)
	return h.Sum(nil)
}

// id is the key's id as evmctl and the kernel print it.
func (a *attribute) id() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, a.keyID))
}

func broken(e core.Evidence, reason string) core.Evidence {
	e.Standing, e.Reason = core.Broken, reason
	return e
}

func untrusted(e core.Evidence, reason string) core.Evidence {
	e.Standing, e.Reason = core.Untrusted, reason
	return e
}
