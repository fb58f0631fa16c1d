//go:build linux

package held

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"unsafe"
)

// Limits of a Spec.
const (
	// MaxSpec bounds the strings and groups, encoded, in bytes: argv and names
	// (128 KiB), the environment, and room to spare.
	MaxSpec = 1 << 20
	// MaxStrings bounds the entries of argv and environment together.
	MaxStrings = 33 << 10
	// MaxOpened bounds the files for arguments; it is core.MaxPathArguments,
	// but package core is more than a helper needs.
	MaxOpened = 8
)

// Errors of Encode.
var (
	ErrTooBig = errors.New("arguments and environment are too big")
	ErrNoArgv = errors.New("no argv: programs count on argv[0] (CVE-2021-4034)")
	ErrNUL    = errors.New("a NUL byte would cut a string short")
)

// Descriptors that travel with a Spec, in this order. Terminal and Control are
// sent only if the Spec has a terminal; behind them, or in their place, come the
// directory for the program's end, if the Spec has one, and the files for
// arguments.
const (
	FileExecutable = iota
	FileDir
	FileStdin
	FileStdout
	FileStderr
	FileTerminal
	FileControl
	maxFiles = FileControl + 2 + MaxOpened
)

// firstOpened is the descriptor of the first file for an argument in the program:
// above those that a helper can have.
const firstOpened = 64

// NameOfOpened is what the program finds file i for an argument by.
func NameOfOpened(i int) string { return "/proc/self/fd/" + strconv.Itoa(firstOpened+i) }

// maxDigits is the length of the greatest uid in decimal, and room to align.
const maxDigits = 12

// maxEnd is the length of a name of a process, "PID-START", and its NUL, and
// room to align.
const maxEnd = 32

// Identity is what tells one version of a file from another.
type Identity struct {
	Device, Inode         uint64
	ChangeSec, ChangeNsec int64
}

// Spec is what a helper is to become.
type Spec struct {
	UID, GID uint32
	Groups   []uint32
	// Login is the uid, in decimal, of the user whose login the program belongs
	// to (loginuid), empty for none. A kernel that does not let it be set leaves
	// the helper's.
	Login string
	// Terminal says that a controlling terminal travels along, and the
	// connection to whoever has its other side. Background begins the program in
	// the background of it.
	Terminal, Background bool
	// End, if not empty, is the name of the file that says how the program ended
	// (end.go), in the directory that travels along. The helper stays for it.
	End string
	// Opened is how many files for arguments travel along.
	Opened int
	// Script is the path to execute if the program is a script; it must still
	// name the file with Identity.
	Script   string
	Identity Identity
	Argv     []string
	Env      []string
}

// head is how a message begins; groups, then script, argv and environment, each
// string ended by NUL, follow. Both ends are one build on one machine, so
// numbers are in its own order, and the helper reads them where they lie.
type head struct {
	size      uint32 // of what follows, in bytes
	uid, gid  uint32
	groups    uint32 // how many
	argv, env uint32 // how many
	terminal  uint32 // noTerminal, foreground or background
	script    uint32 // 1 if there is one
	opened    uint32 // how many
	outlives  uint32 // 1 if there is an end
	digits    uint32 // of login
	login     [maxDigits]byte
	end       [maxEnd]byte
	identity  Identity
}

// Where on its terminal a program begins.
const (
	noTerminal = iota
	foreground
	background
)

const headSize = int(unsafe.Sizeof(head{}))

// Encode returns s as a helper reads it.
func (s *Spec) Encode() ([]byte, error) {
	body := make([]byte, 0, 4096)
	for _, gid := range s.Groups {
		body = binary.NativeEndian.AppendUint32(body, gid)
	}
	lists := [][]string{nil, s.Argv, s.Env}
	h := head{
		uid: s.UID, gid: s.GID, groups: uint32(len(s.Groups)),
		argv: uint32(len(s.Argv)), env: uint32(len(s.Env)), opened: uint32(s.Opened), identity: s.Identity,
	}
	if len(s.Login) > maxDigits {
		return nil, ErrTooBig
	}
	if len(s.End) >= maxEnd {
		return nil, ErrTooBig
	}
	if copy(h.end[:], s.End) > 0 {
		h.outlives = 1
	}
	h.digits = uint32(copy(h.login[:], s.Login))
	if s.Terminal {
		h.terminal = foreground
		if s.Background {
			h.terminal = background
		}
	}
	if s.Script != "" {
		h.script = 1
		lists[0] = []string{s.Script}
	}
	for _, list := range lists {
		for _, item := range list {
			if strings.IndexByte(item, 0) >= 0 {
				return nil, ErrNUL
			}
			body = append(append(body, item...), 0)
		}
	}
	if len(s.Argv) == 0 {
		return nil, ErrNoArgv
	}
	if len(body) > MaxSpec || len(s.Argv)+len(s.Env) > MaxStrings {
		return nil, ErrTooBig
	}
	h.size = uint32(len(body))
	return append(unsafe.Slice((*byte)(unsafe.Pointer(&h)), headSize), body...), nil
}
