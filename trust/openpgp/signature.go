package openpgp

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Bounds of a detached signature.
const (
	maxSignature  = 64 << 10 // bytes, armored or not
	maxSignatures = 8        // packets in it
)

// errUnsupported is wrapped by what may be well-formed and is not understood,
// so that nobody can tell whether it is genuine.
var errUnsupported = errors.New("it is of a kind that is not understood")

// signature is one signature packet whose shape is right. Whether it is
// genuine is another matter.
type signature struct {
	*packet.Signature
	ids          []uint64 // key ids that it names as its maker's
	fingerprints [][]byte // fingerprints that it does
}

// readSignatures reads what lies in a file of a detached signature.
func readSignatures(data []byte) ([]rawPacket, error) {
	if len(data) > maxSignature {
		return nil, fmt.Errorf("%w: a signature of %d bytes, expected at most %d", ErrMalformed, len(data), maxSignature)
	}
	if trimmed := bytes.TrimSpace(data); bytes.HasPrefix(trimmed, armorBegin) {
		decoded, rest, err := dearmor(trimmed, armorSignature)
		if err != nil {
			return nil, err
		}
		if len(rest) > 0 {
			return nil, fmt.Errorf("%w: more after the armor's end", ErrMalformed)
		}
		data = decoded
	}
	var list []rawPacket
	for len(data) > 0 {
		p, rest, err := nextPacket(data)
		switch {
		case err != nil:
			return nil, err
		case p.tag != tagSignature:
			return nil, fmt.Errorf("%w: a packet of type %d, expected signatures alone", ErrMalformed, p.tag)
		case len(list) == maxSignatures:
			return nil, fmt.Errorf("%w: more than %d signatures", ErrMalformed, maxSignatures)
		}
		list, data = append(list, p), rest
	}
	if list == nil {
		return nil, fmt.Errorf("%w: no signature", ErrMalformed)
	}
	return list, nil
}

// readSignature reads the body of a signature packet of version 4 (RFC 9580,
// section 5.2.3). The error wraps errUnsupported or ErrMalformed.
func readSignature(p rawPacket) (*signature, error) {
	if len(p.body) > 0 && p.body[0] != 4 {
		return nil, fmt.Errorf("%w: version %d", errUnsupported, p.body[0])
	}
	s := &signature{}
	if err := s.shape(p.body); err != nil {
		return nil, err
	}
	parsed, err := p.parse()
	var unsupported pgperrors.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return nil, fmt.Errorf("%w: %w", errUnsupported, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var ok bool
	if s.Signature, ok = parsed.(*packet.Signature); !ok {
		return nil, fmt.Errorf("%w: a packet of type %d", ErrMalformed, p.tag)
	}
	return s, nil
}

// shape checks what the library lets pass: that nothing is said twice, that
// nothing which the signature does not cover says more than who made it, and
// that its numbers are written in the one right way. Attack: changes that leave
// the signature verifiable, so that one signature becomes many.
func (s *signature) shape(body []byte) error {
	if len(body) < 6 {
		return fmt.Errorf("%w: a signature of %d bytes", ErrMalformed, len(body))
	}
	algorithm := packet.PublicKeyAlgorithm(body[2])
	hashed, rest, err := lengthPrefixed(body[4:])
	if err != nil {
		return err
	}
	unhashed, rest, err := lengthPrefixed(rest)
	if err != nil {
		return err
	}
	if err := s.subpackets(hashed, false); err != nil {
		return err
	}
	if err := s.subpackets(unhashed, true); err != nil {
		return err
	}
	if len(rest) < 2 {
		return fmt.Errorf("%w: a signature without a value", ErrMalformed)
	}
	return checkNumbers(algorithm, rest[2:])
}

func lengthPrefixed(data []byte) (part, rest []byte, err error) {
	if len(data) < 2 || int(binary.BigEndian.Uint16(data)) > len(data)-2 {
		return nil, nil, fmt.Errorf("%w: subpackets that are longer than their signature", ErrMalformed)
	}
	end := 2 + int(binary.BigEndian.Uint16(data))
	return data[2:end], data[end:], nil
}

// Subpacket types (RFC 9580, section 5.2.3.7).
const (
	subpacketIssuer             = 16
	subpacketNotation           = 20
	subpacketIssuerFingerprint  = 33
	subpacketIntendedRecipients = 35
)

func (s *signature) subpackets(area []byte, unhashed bool) error {
	var seen []byte
	for len(area) > 0 {
		length, used := bodyLength(area)
		if used == 0 || length == 0 || length > uint64(len(area)-used) {
			return fmt.Errorf("%w: a subpacket that is longer than what is there", ErrMalformed)
		}
		kind, value := area[used]&0x7f, area[used+1:used+int(length)]
		critical := area[used]&0x80 != 0
		area = area[used+int(length):]
		if unhashed && (critical || kind != subpacketIssuer && kind != subpacketIssuerFingerprint) {
			return fmt.Errorf("%w: subpacket %d, which the signature does not cover", ErrMalformed, kind)
		}
		if kind != subpacketNotation && kind != subpacketIntendedRecipients && slices.Contains(seen, kind) {
			return fmt.Errorf("%w: two subpackets %d", ErrMalformed, kind)
		}
		seen = append(seen, kind)
		switch {
		case kind == subpacketIssuer && len(value) == 8:
			s.ids = append(s.ids, binary.BigEndian.Uint64(value))
		case kind == subpacketIssuerFingerprint && len(value) == 21 && value[0] == 4:
			s.fingerprints = append(s.fingerprints, value[1:])
		case kind == subpacketIssuer, kind == subpacketIssuerFingerprint:
			return fmt.Errorf("%w: an issuer's key that cannot be one of version 4", ErrMalformed)
		}
	}
	return nil
}

// checkNumbers checks the algorithm-specific fields (RFC 9580, sections 3.2 and
// 5.2.3.1 to 5.2.3.5): how many numbers there are, and that no number begins
// with zeros.
func checkNumbers(algorithm packet.PublicKeyAlgorithm, fields []byte) error {
	var numbers int
	switch algorithm {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		numbers = 1
	case packet.PubKeyAlgoDSA, packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEdDSA:
		numbers = 2
	case packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448:
		return nil // of a fixed size, which the library checks
	default:
		return fmt.Errorf("%w: public-key algorithm %d", errUnsupported, algorithm)
	}
	for ; numbers > 0; numbers-- {
		if len(fields) < 3 {
			return fmt.Errorf("%w: a signature that ends within its value", ErrMalformed)
		}
		length := int(binary.BigEndian.Uint16(fields))
		size := (length + 7) / 8
		if size > len(fields)-2 || length != 8*(size-1)+bits.Len8(fields[2]) {
			return fmt.Errorf("%w: a number of %d bits that has not as many", ErrMalformed, length)
		}
		fields = fields[2+size:]
	}
	if len(fields) > 0 {
		return fmt.Errorf("%w: %d more bytes after a signature's value", ErrMalformed, len(fields))
	}
	return nil
}

// names reports whether every name that s gives its maker is key's, and there
// is one.
func (s *signature) names(key *packet.PublicKey) bool {
	for _, id := range s.ids {
		if id != key.KeyId {
			return false
		}
	}
	for _, fingerprint := range s.fingerprints {
		if !bytes.Equal(fingerprint, key.Fingerprint) {
			return false
		}
	}
	return len(s.ids)+len(s.fingerprints) > 0
}

// maker is how s calls its maker, in hex; a fingerprint if it has one.
func (s *signature) maker() string {
	switch {
	case len(s.fingerprints) > 0:
		return fmt.Sprintf("%x", s.fingerprints[0])
	case len(s.ids) > 0:
		return fmt.Sprintf("%016x", s.ids[0])
	}
	return ""
}

// strong reports whether nobody can find two texts with the same hash. SHA-1
// was broken so in 2017, and MD5 long before.
func strong(h crypto.Hash) bool {
	switch h {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512:
		return true
	}
	return false
}
