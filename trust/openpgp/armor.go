package openpgp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped when octets are not what OpenPGP says they should be.
var ErrMalformed = errors.New("not well-formed OpenPGP")

const (
	armorSignature = "PGP SIGNATURE"
	armorPublicKey = "PGP PUBLIC KEY BLOCK"
	armorSecretKey = "PGP PRIVATE KEY BLOCK"
)

var armorBegin = []byte("-----BEGIN ")

// dearmor decodes the ASCII armor at the start of text (RFC 9580, section 6.2)
// and returns what follows it. The armor's headers and checksum are not looked
// at: they are not part of what is signed, and section 6.1 forbids refusing
// data for its checksum.
func dearmor(text []byte, kind string) (data, rest []byte, err error) {
	line, rest := cutLine(text)
	if string(line) != "-----BEGIN "+kind+"-----" {
		return nil, nil, fmt.Errorf("%w: armor begins with %.60q, expected %s", ErrMalformed, line, kind)
	}
	for len(rest) > 0 { // headers, up to an empty line
		if line, rest = cutLine(rest); len(line) == 0 {
			break
		}
		if !bytes.Contains(line, []byte(":")) {
			return nil, nil, fmt.Errorf("%w: armor without an empty line before its data", ErrMalformed)
		}
	}
	var encoded []byte
	for ended := false; len(rest) > 0; {
		line, rest = cutLine(rest)
		switch {
		case string(line) == "-----END "+kind+"-----":
			data, err = base64.StdEncoding.Strict().AppendDecode(nil, encoded)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: armor: %w", ErrMalformed, err)
			}
			return data, rest, nil
		case ended:
			return nil, nil, fmt.Errorf("%w: armor goes on after its checksum", ErrMalformed)
		case len(line) == 5 && line[0] == '=':
			ended = true
		default:
			encoded = append(encoded, line...)
		}
	}
	return nil, nil, fmt.Errorf("%w: armor without an end", ErrMalformed)
}

// cutLine returns the first line of text without white space at its end.
func cutLine(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, []byte("\n"))
	return bytes.TrimRight(line, " \t\r"), rest
}
