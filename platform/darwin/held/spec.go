package held

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// Limits of a Spec.
const (
	// MaxSpec bounds an encoded Spec, in bytes: argv and names (128 KiB), the
	// environment, and room to spare.
	MaxSpec = 1 << 20
	// MaxStrings bounds the entries of argv and environment together.
	MaxStrings = 33 << 10
)

// Errors of Encode and ReadSpec.
var (
	ErrTooBig = errors.New("arguments and environment are too big")
	ErrNoArgv = errors.New("no argv: programs count on argv[0] (CVE-2021-4034)")
	ErrNUL    = errors.New("a NUL byte would cut a string short")
	errSpec   = errors.New("held: not a specification")
)

// Descriptors that travel with a Spec, in this order; behind them come the files
// for arguments.
const (
	FileDir = iota
	FileStdin
	FileStdout
	FileStderr
	FileOpened
)

// Identity is what tells one version of a file from another.
type Identity struct{ Device, Inode, ChangeSec, ChangeNsec uint64 }

// Spec is what a child is to become.
type Spec struct {
	UID, GID uint32
	User     string // the account's name: its groups are looked up by it
	// Path is what is executed. It must still name the file with Identity.
	Path     string
	Identity Identity
	Opened   uint32 // how many files for arguments travel along
	Argv     []string
	Env      []string
}

// head is the part of a Spec that has one size.
type head struct {
	Size, UID, GID, Opened, Argv, Env uint32
	Identity                          Identity
}

// HeadSize is the length of an encoded Spec's beginning, in bytes, which says in
// its first four how long the rest is.
const HeadSize = 6*4 + 4*8

// Encode returns s as ReadSpec reads it: the head, and strings, each ended by NUL.
func (s *Spec) Encode() ([]byte, error) {
	if len(s.Argv) == 0 {
		return nil, ErrNoArgv
	}
	if len(s.Argv)+len(s.Env) > MaxStrings || s.Opened > MaxOpened {
		return nil, ErrTooBig
	}
	body := make([]byte, 0, 4096)
	for _, list := range [][]string{{s.User, s.Path}, s.Argv, s.Env} {
		for _, text := range list {
			if strings.IndexByte(text, 0) >= 0 {
				return nil, ErrNUL
			}
			body = append(append(body, text...), 0)
		}
	}
	if len(body) > MaxSpec {
		return nil, ErrTooBig
	}
	h := head{uint32(len(body)), s.UID, s.GID, s.Opened, uint32(len(s.Argv)), uint32(len(s.Env)), s.Identity}
	b, err := binary.Append(make([]byte, 0, HeadSize+len(body)), binary.LittleEndian, h)
	return append(b, body...), err
}

// ReadSpec reads one Spec. io.EOF means that there is none: the service has no
// use for this child, or is gone.
func ReadSpec(r io.Reader) (Spec, error) {
	var raw [HeadSize]byte
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return Spec{}, err
	}
	var h head
	if _, err := binary.Decode(raw[:], binary.LittleEndian, &h); err != nil {
		return Spec{}, err
	}
	if h.Size > MaxSpec || h.Argv == 0 || uint64(h.Argv)+uint64(h.Env) > MaxStrings || h.Opened > MaxOpened {
		return Spec{}, errSpec
	}
	body := make([]byte, h.Size)
	if _, err := io.ReadFull(r, body); err != nil {
		return Spec{}, err
	}
	texts := strings.Split(string(body), "\x00")
	if len(texts) != int(2+h.Argv+h.Env+1) || texts[len(texts)-1] != "" {
		return Spec{}, errSpec
	}
	s := Spec{UID: h.UID, GID: h.GID, Opened: h.Opened, Identity: h.Identity, User: texts[0], Path: texts[1]}
	s.Argv, texts = texts[2:2+h.Argv], texts[2+h.Argv:]
	if h.Env > 0 {
		s.Env = texts[:h.Env]
	}
	return s, nil
}
