package runas

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
)

// shellLink is what is wanted of a .lnk file ([MS-SHLLINK], version 8.0).
type shellLink struct {
	target, dir, arguments string
}

// ErrLink is wrapped by errors about a file that is no link, or none that names a
// file.
var ErrLink = errors.New("it cannot be read as a link")

// Flags of a link ([MS-SHLLINK], section 2.1.1).
const (
	hasTargetList   = 1 << 0
	hasLinkInfo     = 1 << 1
	hasName         = 1 << 2
	hasRelativePath = 1 << 3
	hasWorkingDir   = 1 << 4
	hasArguments    = 1 << 5
	hasIcon         = 1 << 6
	isUnicode       = 1 << 7
	ignoresLinkInfo = 1 << 8
	hasEnvironment  = 1 << 9
)

// headerSize and classID begin every link.
const headerSize = 0x4c

var classID = []byte{0x01, 0x14, 0x02, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46}

// environmentBlock is the signature of the block that names the target with
// variables (section 2.5.4).
const environmentBlock = 0xa0000001

// reader takes parts from the front of b; once one is missing it is broken.
type reader struct {
	b      []byte
	broken bool
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)) {
		r.broken, r.b = true, nil
		return nil
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

func (r *reader) uint16() uint32 {
	if part := r.take(2); part != nil {
		return uint32(binary.LittleEndian.Uint16(part))
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if part := r.take(4); part != nil {
		return binary.LittleEndian.Uint32(part)
	}
	return 0
}

// text is one of the strings after the header (section 2.4): its length in
// characters comes first. Wine, for one, counts a NUL at the end.
func (r *reader) text(wide bool) string {
	count, text := r.uint16(), ""
	if wide {
		text = fromWide(r.take(2 * count))
	} else {
		text = fromANSI(r.take(count))
	}
	text, _, _ = strings.Cut(text, "\x00")
	return text
}

// parseLink reads a link. The target is what Explorer would start: the path with
// variables if there is one, else the one that was stored when the link was made.
func parseLink(data []byte) (shellLink, error) {
	r := &reader{b: data}
	if r.uint32() != headerSize || !bytes.Equal(r.take(16), classID) {
		return shellLink{}, ErrLink
	}
	flags := r.uint32()
	r.take(headerSize - 24)
	if flags&hasTargetList != 0 {
		r.take(r.uint16())
	}
	var link shellLink
	if flags&hasLinkInfo != 0 {
		info := r.linkInfo()
		if flags&ignoresLinkInfo == 0 {
			link.target = info
		}
	}
	for _, part := range []struct {
		flag uint32
		into *string
	}{{hasName, nil}, {hasRelativePath, nil}, {hasWorkingDir, &link.dir}, {hasArguments, &link.arguments}, {hasIcon, nil}} {
		if flags&part.flag == 0 {
			continue
		}
		text := r.text(flags&isUnicode != 0)
		if part.into != nil {
			*part.into = text
		}
	}
	if r.broken {
		return shellLink{}, errors.Join(ErrLink, errors.New("it ends early"))
	}
	if flags&hasEnvironment != 0 {
		if target := r.environment(); target != "" {
			link.target = target
		}
	}
	if link.target == "" {
		return shellLink{}, errors.Join(ErrLink, errors.New("it leads to something that is no file, such as an app of the Store or a folder of the control panel"))
	}
	return link, nil
}

// linkInfo returns the local path of a LinkInfo (section 2.3), empty if it has none.
func (r *reader) linkInfo() string {
	size := r.uint32()
	if size < 0x1c {
		r.broken = true
		return ""
	}
	rest := r.take(size - 4)
	if rest == nil {
		return ""
	}
	info := append(make([]byte, 4), rest...) // offsets count from its beginning
	at := func(offset int) uint32 { return binary.LittleEndian.Uint32(info[offset:]) }
	const local = 1 // VolumeIDAndLocalBasePath
	if at(8)&local == 0 {
		return ""
	}
	if at(4) >= 0x24 && len(info) >= 0x24 {
		if base := wideAt(info, at(0x1c)); base != "" {
			return base + wideAt(info, at(0x20))
		}
	}
	return ansiAt(info, at(0x10)) + ansiAt(info, at(0x18))
}

// environment returns the path with variables among the blocks at the end.
func (r *reader) environment() string {
	const sizes = 8
	for {
		size := r.uint32()
		if r.broken || size < sizes {
			return ""
		}
		signature := r.uint32()
		block := r.take(size - sizes)
		const ansi, wide = 260, 520
		if signature == environmentBlock && len(block) >= ansi+wide {
			if target := wideAt(block, ansi); target != "" {
				return target
			}
			return ansiAt(block, 0)
		}
		if r.broken {
			return ""
		}
	}
}

// wideAt reads UTF-16 up to its NUL, at offset; empty where that is outside.
func wideAt(b []byte, offset uint32) string {
	if uint64(offset) >= uint64(len(b)) {
		return ""
	}
	b = b[offset:]
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return fromWide(b[:i])
		}
	}
	return ""
}

func fromWide(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

func ansiAt(b []byte, offset uint32) string {
	if uint64(offset) >= uint64(len(b)) {
		return ""
	}
	if text, _, ok := bytes.Cut(b[offset:], []byte{0}); ok {
		return fromANSI(text)
	}
	return ""
}

// fromANSI is for links of programs that write no UTF-16. What is outside of ASCII
// depends on the machine that wrote it: such a path is not guessed at.
func fromANSI(b []byte) string {
	for _, c := range b {
		if c >= 0x80 {
			return ""
		}
	}
	return string(b)
}
