package cms

import "errors"

// maxBER is the size of the largest signature in BER, in bytes: conversion
// copies each level once.
const maxBER = 1 << 20

// normalise takes one element off in and returns it in DER. Signers other than
// Apple's write DER, which is returned as it is; codesign writes indefinite
// lengths. Converted here and not by the library, whose conversion recurses
// without bound and lets an element reach past the end of the one around it,
// so that it and we could read two different things in the same bytes.
func normalise(in []byte) (der, rest []byte, err error) {
	e, rest, err := next(in)
	if err == nil {
		all := MaxSize
		err = walk(e.full, 0, &all)
	}
	if !errors.Is(err, errNotDER) {
		return e.full, rest, err
	}
	if len(in) > maxBER {
		return nil, nil, errors.New("too large for BER")
	}
	c := converter{elements: maxElements}
	return c.convert(in, 0)
}

// converter turns BER into DER: definite minimal lengths, octet strings in one
// piece. The order of sets stays as it is.
type converter struct{ elements int }

func (c *converter) convert(in []byte, depth int) (out, rest []byte, err error) {
	if c.elements--; c.elements < 0 || depth > maxDepth {
		return nil, nil, errors.New("too many elements, or nested too deeply")
	}
	id, length, size, _, err := header(in)
	if err != nil {
		return nil, nil, err
	}
	if length > len(in)-size || length < 0 && id&constructed == 0 {
		return nil, nil, errors.New("length beyond the data")
	}
	if id&constructed == 0 {
		return encode(id, in[size:size+length]), in[size+length:], nil
	}
	body, after := in[size:], []byte(nil)
	if length >= 0 {
		body, after = in[size:size+length], in[size+length:]
	}
	var content []byte
	for {
		if length < 0 && len(body) >= 2 && body[0] == 0 && body[1] == 0 { // end-of-contents octets
			after = body[2:]
			break
		}
		if length >= 0 && len(body) == 0 {
			break
		}
		var child []byte
		if child, body, err = c.convert(body, depth+1); err != nil {
			return nil, nil, err
		}
		if id == constructedString {
			piece, _, err := next(child)
			if err != nil || piece.id != tagOctetString {
				return nil, nil, errors.New("octet string in pieces that are none")
			}
			child = piece.body
		}
		content = append(content, child...)
	}
	if id == constructedString {
		id = tagOctetString
	}
	return encode(id, content), after, nil
}
