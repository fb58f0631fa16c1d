package macho

import (
	"bytes"
	"encoding/binary"
)

// Images (mach-o/loader.h).
const (
	header32Size = 28
	header64Size = 32 // a reserved field follows

	lcSegment       = 0x1
	lcSegment64     = 0x19
	lcCodeSignature = 0x1d

	segment32Size = 56
	segment64Size = 72
	section32Size = 68
	section64Size = 80

	// maxCommands is the most load commands that are read, in bytes. They lie
	// before the first page of code, so they are small.
	maxCommands = 1 << 20
)

// extent is a range of bytes of a slice.
type extent struct{ offset, size uint64 }

func (e extent) end() uint64 { return e.offset + e.size } // both are far below 2^63 once checked

// image is what of an image's load commands the signature is about.
type image struct {
	cpu       cpu
	signature *extent // LC_CODE_SIGNATURE; nil: not signed
	linkedit  *extent // segment __LINKEDIT in the file
	infoPlist *extent // section __TEXT,__info_plist: the Info.plist of a program without a bundle
}

// layout is what differs between 32 and 64 bits and the byte orders.
type layout struct {
	binary.ByteOrder
	wide bool
}

func layoutOf(magic uint32) (layout, bool) {
	switch magic {
	case magic32:
		return layout{binary.BigEndian, false}, true
	case magic64:
		return layout{binary.BigEndian, true}, true
	case magic32Swap:
		return layout{binary.LittleEndian, false}, true
	case magic64Swap:
		return layout{binary.LittleEndian, true}, true
	}
	return layout{}, false
}

// readImage reads the load commands of a slice. A nil image is no Mach-O at
// all: fat files may hold archives too.
func (f *file) readImage(s slice) (*image, error) {
	var head [header64Size]byte
	p := head[:min(s.size, header64Size)]
	if err := readFull(f.r, p, s.offset); err != nil {
		return nil, err
	}
	if len(p) < 4 {
		return nil, nil
	}
	l, ok := layoutOf(binary.BigEndian.Uint32(p))
	if !ok {
		return nil, nil
	}
	size := header32Size
	if l.wide {
		size = header64Size
	}
	if len(p) < size {
		return nil, malformed("the image's header is cut short")
	}
	im := &image{cpu: cpu{l.Uint32(p[4:]), l.Uint32(p[8:])}}
	if s.fat && (im.cpu.kind != s.cpu.kind || (im.cpu.subkind^s.cpu.subkind)&^capabilities != 0) {
		return nil, malformed("the fat header calls the %s slice %s", im.cpu, s.cpu)
	}
	count, total := l.Uint32(p[16:]), l.Uint32(p[20:])
	if total > maxCommands || int64(size)+int64(total) > s.size {
		return nil, malformed("the load commands reach past the end of the image")
	}
	commands := make([]byte, total)
	if err := readFull(f.r, commands, s.offset+int64(size)); err != nil {
		return nil, err
	}
	if err := im.readCommands(commands, count, l); err != nil {
		return nil, err
	}
	return im, im.checkSignature(uint64(s.size))
}

func (im *image) readCommands(p []byte, count uint32, l layout) error {
	for range count {
		if len(p) < 8 {
			return malformed("the load commands are cut short")
		}
		size := l.Uint32(p[4:])
		if size < 8 || uint64(size) > uint64(len(p)) {
			return malformed("a load command reaches past the others")
		}
		command := p[:size]
		p = p[size:]
		var err error
		switch kind := l.Uint32(command); kind {
		case lcSegment, lcSegment64:
			err = im.readSegment(command, layout{l.ByteOrder, kind == lcSegment64})
		case lcCodeSignature:
			if im.signature != nil {
				return malformed("the image has two signatures")
			}
			if len(command) != 16 {
				return malformed("the load command of the signature has a wrong size")
			}
			im.signature = &extent{uint64(l.Uint32(command[8:])), uint64(l.Uint32(command[12:]))}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (im *image) readSegment(command []byte, l layout) error {
	size, sectionSize := segment32Size, section32Size
	if l.wide {
		size, sectionSize = segment64Size, section64Size
	}
	if len(command) < size {
		return malformed("a segment command is cut short")
	}
	in, sections := extent{}, uint32(0)
	if l.wide {
		in = extent{l.Uint64(command[40:]), l.Uint64(command[48:])}
		sections = l.Uint32(command[64:])
	} else {
		in = extent{uint64(l.Uint32(command[32:])), uint64(l.Uint32(command[36:]))}
		sections = l.Uint32(command[48:])
	}
	if name(command[8:24]) == "__LINKEDIT" {
		if im.linkedit != nil {
			return malformed("the image has two __LINKEDIT segments")
		}
		im.linkedit = &in
	}
	if uint64(sections)*uint64(sectionSize) > uint64(len(command)-size) {
		return malformed("a segment command lists more sections than it holds")
	}
	for i := range int(sections) {
		section := command[size+i*sectionSize:][:sectionSize]
		if name(section[:16]) != "__info_plist" || name(section[16:32]) != "__TEXT" || im.infoPlist != nil {
			continue
		}
		if l.wide {
			im.infoPlist = &extent{uint64(l.Uint32(section[48:])), l.Uint64(section[40:])}
		} else {
			im.infoPlist = &extent{uint64(l.Uint32(section[40:])), uint64(l.Uint32(section[36:]))}
		}
	}
	return nil
}

func name(fixed []byte) string {
	before, _, _ := bytes.Cut(fixed, []byte{0})
	return string(before)
}

// checkSignature makes sure that the signature is the end of __LINKEDIT, and
// that of the image: what comes after it would be covered by nothing.
func (im *image) checkSignature(size uint64) error {
	switch sig := im.signature; {
	case sig == nil:
		return nil
	case sig.end() > size:
		return malformed("the signature reaches past the end of the file")
	case sig.end() < size:
		return malformed("data was appended after the signature")
	case im.linkedit == nil || im.linkedit.offset > sig.offset || im.linkedit.size > size || im.linkedit.end() != sig.end():
		return malformed("the signature is not the end of the __LINKEDIT segment")
	}
	return nil
}
