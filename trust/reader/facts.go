package reader

import (
	"crypto"
	"errors"
	"fmt"
	"math"
	"os"

	"kpm/core/port"
)

// Extended attributes that signatures are in, or cover (package ima).
const (
	attributeIMA = "security.ima"
	attributeEVM = "security.evm"
)

// covered are what security.evm covers beside security.ima.
var covered = [...]string{
	"security.selinux", "security.SMACK64", "security.SMACK64EXEC", "security.SMACK64TRANSMUTE",
	"security.SMACK64MMAP", "security.apparmor", "security.capability",
}

// Bounds of facts, in bytes.
const (
	maxAttributes = 16
	maxName       = 255      // XATTR_NAME_MAX in linux/limits.h
	maxAttribute  = 64 << 10 // XATTR_SIZE_MAX
	maxVerity     = 32 << 10 // of a built-in signature; kernels take 16128
	maxBlock      = 1 << 20
	maxSalt       = 64
	maxUUID       = 16
	maxReason     = 4 << 10
)

// outcome is what came of asking the operating system.
type outcome uint8

const (
	notAsked outcome = iota // the zero value is no answer
	present
	absent      // port.ErrNoAttribute
	unsupported // errors.ErrUnsupported
	failed
	outcomes // how many there are
)

// answer is an outcome, and why if it failed.
type answer struct {
	outcome outcome
	reason  string
}

var errNotAsked = errors.New("the service did not look")

func answered(err error) answer {
	switch {
	case err == nil:
		return answer{outcome: present}
	case errors.Is(err, port.ErrNoAttribute):
		return answer{outcome: absent}
	case errors.Is(err, errors.ErrUnsupported):
		return answer{outcome: unsupported}
	}
	return answer{failed, clean(err.Error())}
}

func (a answer) err() error {
	switch a.outcome {
	case present:
		return nil
	case absent:
		return port.ErrNoAttribute
	case unsupported:
		return errors.ErrUnsupported
	case failed:
		return errors.New(a.reason)
	}
	return errNotAsked
}

// Facts are what the operating system has said of a file beyond its bytes, in
// the service, which alone can ask. They answer in its place.
type Facts struct {
	attributes []attribute
	verity     port.Verity
	node       port.Node
	verityIs   answer
	nodeIs     answer
}

type attribute struct {
	name  string
	value []byte
	is    answer
}

// Gather asks system about f. An error means that it cannot be known whether f
// carries a signature. Whether anything else could be asked matters only to who
// needs it.
func Gather(system port.SystemSignatures, f *os.File) (Facts, error) {
	var facts Facts
	var signed outcome // security.evm is there
	for _, name := range []string{attributeIMA, attributeEVM} {
		var err error
		if signed, err = facts.attribute(system, f, name); signed == failed {
			return Facts{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	var err error
	facts.verity, err = system.Verity(f)
	if facts.verityIs = answered(err); facts.verityIs.outcome == failed {
		return Facts{}, fmt.Errorf("fs-verity: %w", err)
	}
	if signed != present {
		return facts, nil
	}
	for _, name := range covered {
		facts.attribute(system, f, name)
	}
	facts.node, err = system.Node(f)
	facts.nodeIs = answered(err)
	return facts, nil
}

func (f *Facts) attribute(system port.SystemSignatures, file *os.File, name string) (outcome, error) {
	value, err := system.Attribute(file, name)
	is := answered(err)
	f.attributes = append(f.attributes, attribute{name, value, is})
	return is.outcome, err
}

// Empty reports whether the file carries nothing beyond its bytes.
func (f *Facts) Empty() bool {
	for _, a := range f.attributes {
		if a.is.outcome == present {
			return false
		}
	}
	return f.verityIs.outcome != present
}

// Attribute, Verity and Node are those of port.SystemSignatures.
func (f *Facts) Attribute(_ *os.File, name string) ([]byte, error) {
	for _, a := range f.attributes {
		if a.name == name {
			return a.value, a.is.err()
		}
	}
	return nil, errNotAsked
}

// Verity is that of port.SystemSignatures.
func (f *Facts) Verity(*os.File) (port.Verity, error) { return f.verity, f.verityIs.err() }

// Node is that of port.SystemSignatures.
func (f *Facts) Node(*os.File) (port.Node, error) { return f.node, f.nodeIs.err() }

func (f *Facts) encode(e *encoder) {
	e.number(uint64(len(f.attributes)))
	for _, a := range f.attributes {
		e.text(a.name)
		e.bytes(a.value)
		a.is.encode(e)
	}
	f.verityIs.encode(e)
	e.number(uint64(f.verity.Hash))
	e.bytes(f.verity.Digest)
	e.number(uint64(f.verity.BlockSize))
	e.bytes(f.verity.Salt)
	optional(e, f.verity.Signature)
	f.nodeIs.encode(e)
	for _, n := range []uint64{f.node.Inode, uint64(f.node.Generation), uint64(f.node.UID), uint64(f.node.GID), uint64(f.node.Mode)} {
		e.number(n)
	}
	optional(e, f.node.UUID)
}

func decodeFacts(d *decoder) (f Facts) {
	for range d.count(maxAttributes) {
		f.attributes = append(f.attributes, attribute{d.text(maxName), d.bytes(maxAttribute), decodeAnswer(d)})
	}
	f.verityIs = decodeAnswer(d)
	f.verity = port.Verity{
		Hash: crypto.Hash(d.number(math.MaxUint8)), Digest: d.bytes(maxSalt),
		BlockSize: int(d.number(maxBlock)), Salt: d.bytes(maxSalt), Signature: decodeOptional(d, maxVerity),
	}
	f.nodeIs = decodeAnswer(d)
	f.node = port.Node{
		Inode: d.number(math.MaxUint64), Generation: uint32(d.number(math.MaxUint32)),
		UID: uint32(d.number(math.MaxUint32)), GID: uint32(d.number(math.MaxUint32)), Mode: uint16(d.number(math.MaxUint16)),
		UUID: decodeOptional(d, maxUUID),
	}
	return f
}

func (a answer) encode(e *encoder) {
	e.number(uint64(a.outcome))
	e.text(a.reason)
}

func decodeAnswer(d *decoder) answer {
	return answer{outcome(d.number(uint64(outcomes - 1))), d.text(maxReason)}
}

// optional tells nil from no bytes.
func optional(e *encoder, p []byte) {
	if p == nil {
		e.number(0)
		return
	}
	e.number(1)
	e.bytes(p)
}

func decodeOptional(d *decoder, limit int) []byte {
	if d.number(1) == 0 {
		return nil
	}
	return d.bytes(limit)
}
