package authenticode

import (
	"bytes"
	"context"
	"crypto"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"kpm/core"
)

const formatScript = "script"

// maxScript bounds a script, which is held in memory.
const maxScript = 16 << 20

// scriptTail is how much of a larger file is looked at for a signature block.
const scriptTail = 64 << 10

// script is a script with a signature block.
type script struct {
	text
	block
}

// readScript looks for a signature block in a text. There is no name to tell
// the language by, so the block does. A file without one is no script here,
// whatever language it is in.
func readScript(r io.ReaderAt, size int64) (*subject, error) {
	read := func(at, n int64) ([]byte, error) {
		b := make([]byte, n)
		if m, err := r.ReadAt(b, at); m < len(b) {
			return nil, short(err)
		}
		return b, nil
	}
	head, err := read(0, min(size, headSize))
	if err != nil || binaryFile(head) {
		return nil, err
	}
	if size > maxScript {
		return readLargeScript(newText(head).encoding, size, read)
	}
	whole, err := read(0, size)
	if err != nil {
		return nil, err
	}
	t := newText(whole)
	line, claim, ok := t.claimed()
	if !ok {
		return nil, nil
	}
	s := &subject{format: formatScript, dataType: oidSipInfo, sip: claim.sip}
	b, err := t.block(line, claim)
	if err == nil {
		err = t.checkEncoding(b)
	}
	if err != nil {
		s.malformed = err
		return s, nil
	}
	p := &script{t, b}
	s.signatures, s.digest, s.checks = [][]byte{b.signature}, p.digest, p.checks
	return s, nil
}

// readLargeScript refuses a signed script that is too large. It sees the block
// only where it has to be.
func readLargeScript(e encoding, size int64, read func(at, n int64) ([]byte, error)) (*subject, error) {
	b, err := read(size-scriptTail, scriptTail)
	if err != nil {
		return nil, err
	}
	if size%int64(e.unit()) != 0 {
		b = b[1:]
	}
	if _, _, ok := (text{encoding: e, body: b}).claimed(); !ok {
		return nil, nil
	}
	return &subject{format: formatScript, malformed: malformed("the script is signed and larger than %d MiB", maxScript>>20)}, nil
}

// checkEncoding makes sure that there is one way to read the text as
// characters, which are what is signed. A decoder that puts the same character
// for everything it cannot read would let anyone exchange it.
func (t text) checkEncoding(b block) error {
	switch {
	case t.encoding == wideBE:
		return malformed("the script is signed in an encoding that nothing signs")
	case t.encoding == wideLE && len(t.body)%2 != 0, bytes.Equal(t.bom, bomUTF8) && !utf8.Valid(t.body):
		return malformed("the script's text is damaged")
	}
	return nil
}

// digest hashes the text without the block, in UTF-16LE (osslsigncode's
// script.c; relic's and jsign's PowerShell). PowerShell counts a byte order
// mark as a character. Windows Script Host does not, and appends the block's
// place in code units (jsign, WSHScript); so a block cannot be moved.
func (p *script) digest(ctx context.Context, hashes []crypto.Hash) (map[crypto.Hash][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	running := start(hashes)
	var written int
	write := func(b []byte) {
		running.write(b)
		written += len(b)
	}
	legacy := p.windows1252()
	if len(p.bom) > 0 && !p.host {
		write(bomWideLE)
	}
	p.utf16(p.body[:p.from], legacy, write)
	place := binary.LittleEndian.AppendUint32(nil, uint32(written/2))
	p.utf16(p.body[p.to:], legacy, write)
	if p.host {
		running.write(place)
	}
	return running.sums(), nil
}

// windows1252 reports whether 8-bit text is in Windows' code page for Western
// Europe. Windows takes the code page of the machine that it runs on, which no
// file says; what was signed with another one does not verify here, as it
// would not on a machine with another one.
func (p *script) windows1252() bool {
	return p.encoding == narrow && p.bom == nil && (p.legacy || !utf8.Valid(p.body))
}

// checks says what the script was signed as: a signature does not keep anyone
// from giving it to another interpreter.
func (p *script) checks() []core.Check {
	return []core.Check{{Name: "script language", Outcome: core.NotChecked,
		Detail: fmt.Sprintf("signed as %s; which interpreter it is given to is not known here", p.name)}}
}
