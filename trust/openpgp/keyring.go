package openpgp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxKeyring bounds a keyring file, in bytes: distributions' whole keyrings
// have less than 2 MiB.
const maxKeyring = 16 << 20

// Keyring holds the keys whose signatures this machine believes. A nil Keyring
// holds none. It does not change once it is read.
type Keyring struct {
	certificates map[string]*certificate // by fingerprint of the primary key
	left         []string
}

// ReadKeyring reads public keys (RFC 9580, section 10.1), binary or as one or
// more armored blocks with any text around them, at most 16 MiB. The error
// wraps ErrMalformed if r is not a keyring, or has a secret key, which belongs
// elsewhere. Keys of a kind that is not understood are left out (LeftOut).
func ReadKeyring(r io.Reader) (*Keyring, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeyring+1))
	if err != nil {
		return nil, fmt.Errorf("openpgp: keyring: %w", err)
	}
	k := &Keyring{certificates: map[string]*certificate{}}
	if err := k.read(data); err != nil {
		return nil, fmt.Errorf("openpgp: keyring: %w", err)
	}
	return k, nil
}

// With returns a Keyring with the keys of both. A key that is in both has what
// either says of it, revocations before all.
func (k *Keyring) With(other *Keyring) *Keyring {
	if k == nil {
		return other
	}
	if other == nil {
		return k
	}
	joined := &Keyring{certificates: maps.Clone(k.certificates), left: slices.Concat(k.left, other.left)}
	for fingerprint, c := range other.certificates {
		if mine, ok := joined.certificates[fingerprint]; ok {
			c = mine.with(c)
		}
		joined.certificates[fingerprint] = c
	}
	return joined
}

// LeftOut says, a sentence each, which keys the keyring has that cannot be used.
func (k *Keyring) LeftOut() []string {
	if k == nil {
		return nil
	}
	return k.left
}

func (k *Keyring) read(data []byte) error {
	switch {
	case len(data) > maxKeyring:
		return fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxKeyring)
	case len(data) >= 12 && string(data[8:12]) == "KBXf":
		return fmt.Errorf("%w: a GnuPG keybox; use what gpg --export writes", ErrMalformed)
	case len(data) > 0 && data[0]&0x80 != 0:
		return k.readPackets(data)
	}
	blocks := 0
	for {
		// Attack: an armored block within a line of a comment that people read
		// as text. Blocks begin at the beginning of a line.
		at := bytes.Index(data, armorBegin)
		if at < 0 {
			break
		}
		if at > 0 && data[at-1] != '\n' {
			data = data[at+len(armorBegin):]
			continue
		}
		if bytes.HasPrefix(data[at+len(armorBegin):], []byte(armorSecretKey)) {
			return errSecret
		}
		decoded, rest, err := dearmor(data[at:], armorPublicKey)
		if err != nil {
			return err
		}
		if err := k.readPackets(decoded); err != nil {
			return err
		}
		data, blocks = rest, blocks+1
	}
	if blocks == 0 {
		return fmt.Errorf("%w: no public key", ErrMalformed)
	}
	return nil
}

var errSecret = fmt.Errorf("%w: a secret key; only public keys belong here", ErrMalformed)

// readPackets reads transferable public keys one after the other.
func (k *Keyring) readPackets(data []byte) error {
	if len(data) == 0 {
		return fmt.Errorf("%w: no public key", ErrMalformed)
	}
	var c *reader // nil while what belongs to a key that is left out goes by
	for first := true; len(data) > 0; first = false {
		p, rest, err := nextPacket(data)
		if err != nil {
			return err
		}
		data = rest
		switch {
		case p.tag == tagSecretKey, p.tag == tagSecretSubkey:
			return errSecret
		case p.tag == tagPublicKey:
			if c, err = k.begin(p); err != nil {
				return err
			}
		case p.tag == tagMarker, p.tag == tagTrust, p.tag == tagPadding, p.tag >= tagPrivate:
			// GnuPG writes trust packets; none of these says anything of a key.
		case first:
			return fmt.Errorf("%w: a packet of type %d before any key", ErrMalformed, p.tag)
		case c != nil:
			if err := c.add(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin finds or makes the certificate whose primary key p is.
func (k *Keyring) begin(p rawPacket) (*reader, error) {
	key, err := readKey(p)
	if errors.Is(err, errUnsupported) {
		k.left = append(k.left, fmt.Sprintf("a key in the keyring cannot be used: %v", err))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, ok := k.certificates[string(key.Fingerprint)]
	if !ok {
		c = &certificate{primary: key, userIDs: map[string]*userID{}, subkeys: map[string]*subkey{}}
		k.certificates[string(key.Fingerprint)] = c
	}
	return &reader{certificate: c}, nil
}

// readKey reads a public key or subkey of version 4. The error wraps
// errUnsupported or ErrMalformed.
func readKey(p rawPacket) (*packet.PublicKey, error) {
	if len(p.body) > 0 && p.body[0] != 4 {
		return nil, fmt.Errorf("%w: version %d", errUnsupported, p.body[0])
	}
	parsed, err := p.parse()
	var unsupported pgperrors.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return nil, fmt.Errorf("%w: %w", errUnsupported, err)
	case err != nil:
		return nil, fmt.Errorf("%w: a key: %w", ErrMalformed, err)
	}
	key, ok := parsed.(*packet.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: a packet of type %d, expected a key", ErrMalformed, p.tag)
	}
	return key, nil
}

// candidate is a key that may have made a signature.
type candidate struct {
	*certificate
	sub *subkey // nil: the primary key
}

func (c candidate) key() *packet.PublicKey {
	if c.sub != nil {
		return c.sub.key
	}
	return c.primary
}

// makers finds the keys that s names as its maker's. Key ids of 64 bits can be
// made to collide, so there may be several.
func (k *Keyring) makers(s *signature) []candidate {
	if k == nil {
		return nil
	}
	var found []candidate
	for _, c := range k.certificates {
		if s.names(c.primary) {
			found = append(found, candidate{c, nil})
		}
		for _, sub := range c.subkeys {
			if s.names(sub.key) {
				found = append(found, candidate{c, sub})
			}
		}
	}
	return found
}
