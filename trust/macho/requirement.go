package macho

import (
	"encoding/binary"
	"time"
)

// Opcodes of the requirement language (requirement.h, ExprOp).
const (
	opFalse uint32 = iota
	opTrue
	opIdentifier
	opAppleAnchor
	opAnchorHash
	opInfoKeyValue
	opAnd
	opOr
	opCDHash
	opNot
	opInfoKeyField
	opCertField
	opTrustedCert
	opTrustedCerts
	opCertGeneric
	opAppleGenericAnchor
	opEntitlementField
	opCertPolicy
	opNamedAnchor
	opNamedCode
	opPlatform
	opNotarized
	opCertFieldDate
	opLegacyDevID

	opMask         = 0x00ffffff
	opGenericFalse = 0x80000000 // an unknown opcode says its size, and counts as false
	opGenericSkip  = 0x40000000 // an unknown opcode says its size, and the one after it counts
)

// What a field must be (requirement.h, MatchOperation).
const (
	matchExists uint32 = iota
	matchEqual
	matchContains
	matchBeginsWith
	matchEndsWith
	matchLessThan
	matchGreaterThan
	matchLessEqual
	matchGreaterEqual
	matchOn
	matchBefore
	matchAfter
	matchOnOrBefore
	matchOnOrAfter
	matchAbsent
)

const (
	requirementForm     = 1       // the only kind of requirement: an expression in prefix form
	maxRequirement      = 1 << 16 // bytes
	maxRequirementDepth = 1000    // the stack limit of Apple's interpreter
	maxRequirementTerms = 1000    // each may compare a certificate's fields with kilobytes
)

// Requirement is a compiled code requirement: what a program must be, in the
// language that `codesign -r` and csreq compile.
type Requirement struct {
	root *expression
	// unknown is an opcode whose operands cannot even be skipped. The
	// requirement is met by nothing then, as with Apple's interpreter.
	unknown *uint32
}

// expression is a node of a requirement. Which fields count depends on op.
type expression struct {
	op          uint32
	left, right *expression
	slot        int32  // of a certificate: 0 is the leaf, -1 the anchor; or a platform
	key         string // the name of a field, or what the whole is compared with
	match       match
}

// match is what a field must be.
type match struct {
	op    uint32
	value string
	when  time.Time
}

// appleEpoch is what timestamps count seconds from (CFAbsoluteTime).
func appleEpoch() time.Time { return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) }

// ParseRequirement reads a requirement blob (magic 0xfade0c00), at most 64 KiB
// with its header, such as csreq writes. It fails on what is malformed, not on
// opcodes that are not known: those are met by nothing.
func ParseRequirement(der []byte) (*Requirement, error) {
	be := binary.BigEndian
	if len(der) < blobHeaderSize+4 || len(der) > maxRequirement || be.Uint32(der) != magicRequirement || uint64(be.Uint32(der[4:])) != uint64(len(der)) {
		return nil, malformed("a requirement does not begin as one")
	}
	if be.Uint32(der[8:]) != requirementForm {
		return nil, malformed("a requirement is of an unknown kind")
	}
	p := &requirementParser{in: der[12:]}
	r := &Requirement{root: p.expression(0)}
	r.unknown = p.unknown
	if p.err != nil {
		return nil, p.err
	}
	if len(p.in) > 0 && p.unknown == nil {
		return nil, malformed("a requirement goes on after its end")
	}
	return r, nil
}

// requirementParser reads operands until the first error or unknown opcode.
type requirementParser struct {
	in      []byte
	terms   int
	unknown *uint32
	err     error
}

func (p *requirementParser) done() bool { return p.err != nil || p.unknown != nil }

func (p *requirementParser) take(n uint64) []byte {
	if p.done() {
		return make([]byte, 8)
	}
	if n > uint64(len(p.in)) {
		p.err = malformed("a requirement is cut short")
		return make([]byte, 8)
	}
	out := p.in[:n]
	p.in = p.in[n:]
	return out
}

func (p *requirementParser) number() uint32 { return binary.BigEndian.Uint32(p.take(4)) }

// data reads a counted operand and the zeros that fill it up to four bytes.
func (p *requirementParser) data() string {
	n := uint64(p.number())
	if p.done() {
		return ""
	}
	out := p.take(n)
	if padding := p.take(-n & 3); !p.done() && !zero(padding) {
		p.err = malformed("a requirement hides data in its padding")
	}
	if p.done() {
		return ""
	}
	return string(out)
}

func (p *requirementParser) expression(depth int) *expression {
	if depth++; depth > maxRequirementDepth && !p.done() {
		p.err = malformed("a requirement is nested too deeply")
	}
	if p.terms++; p.terms > maxRequirementTerms && !p.done() {
		p.err = malformed("a requirement has more than %d terms", maxRequirementTerms)
	}
	op := p.number()
	if p.done() {
		return nil
	}
	e := &expression{op: op & opMask}
	switch e.op {
	case opFalse, opTrue, opAppleAnchor, opAppleGenericAnchor, opTrustedCerts, opNotarized, opLegacyDevID:
	case opIdentifier, opCDHash, opNamedAnchor, opNamedCode:
		e.key = p.data()
	case opInfoKeyValue: // superseded by opInfoKeyField with matchEqual
		e.key = p.data()
		e.match = match{op: matchEqual, value: p.data()}
	case opInfoKeyField, opEntitlementField:
		e.key = p.data()
		e.match = p.match()
	case opAnchorHash:
		e.slot = int32(p.number())
		e.key = p.data()
	case opCertField, opCertGeneric, opCertPolicy, opCertFieldDate:
		e.slot = int32(p.number())
		e.key = p.data()
		e.match = p.match()
	case opTrustedCert, opPlatform:
		e.slot = int32(p.number())
	case opNot:
		e.left = p.expression(depth)
	case opAnd, opOr:
		e.left = p.expression(depth)
		e.right = p.expression(depth)
	default:
		p.generic(e, op, depth)
	}
	return e
}

// generic gets past an opcode that nobody here knows, if it says how.
func (p *requirementParser) generic(e *expression, op uint32, depth int) {
	if op&(opGenericFalse|opGenericSkip) == 0 {
		p.unknown = &op
		return
	}
	p.take(uint64(p.number()))
	if op&opGenericFalse == 0 {
		e.left = p.expression(depth) // what counts in its place
	}
}

func (p *requirementParser) match() match {
	m := match{op: p.number()}
	switch m.op {
	case matchExists, matchAbsent:
	case matchOn, matchBefore, matchAfter, matchOnOrBefore, matchOnOrAfter:
		seconds := int64(binary.BigEndian.Uint64(p.take(8)))
		m.when = time.Unix(appleEpoch().Unix()+seconds, 0).UTC()
	default: // an unknown one has a value too, and never matches
		m.value = p.data()
	}
	return m
}

// Requirement types of a set (requirement.h, SecRequirementType).
const (
	requirementHost       = 1
	requirementGuest      = 2
	requirementDesignated = 3
	requirementLibrary    = 4
	requirementPlugin     = 5
)

// parseRequirements reads a set of requirements by type.
func parseRequirements(data []byte) (map[uint32]*Requirement, error) {
	blobs, rest, err := parseSuperBlob(data, magicRequirements)
	if err == nil && !zero(rest) {
		err = malformed("data is hidden behind the requirements")
	}
	if err != nil {
		return nil, err
	}
	set := map[uint32]*Requirement{}
	for _, b := range blobs {
		if b.slot < requirementHost || b.slot > requirementPlugin {
			return nil, malformed("a requirement is for an unknown purpose")
		}
		if set[b.slot], err = ParseRequirement(b.data); err != nil {
			return nil, err
		}
	}
	return set, nil
}
