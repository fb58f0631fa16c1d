//go:build linux

package held

import "encoding/binary"

// MaxSpec bounds an encoded Spec in bytes: argv and names (128 KiB), the
// environment, and room to spare.
const MaxSpec = 1 << 20

// Descriptors that travel with a Spec, in this order. Terminal is sent only if
// the Spec says so.
const (
	FileExecutable = iota
	FileDir
	FileStdin
	FileStdout
	FileStderr
	FileTerminal
	maxFiles
)

// Identity is what tells one version of a file from another.
type Identity struct {
	Device, Inode         uint64
	ChangeSec, ChangeNsec int64
}

// Spec is what a helper is to become.
type Spec struct {
	UID, GID uint32
	Groups   []uint32
	// Terminal says that a controlling terminal travels along.
	Terminal bool
	// Script is the path to execute if the program is a script; it must still
	// name the file with Identity.
	Script   string
	Identity Identity
	Argv     []string
	Env      []string
}

// Encode returns s behind its length, ready to send.
func (s *Spec) Encode() []byte {
	size := 4 + 1 + 8 + 4 + 4*len(s.Groups) + 4 + len(s.Script) + 32 + 8
	for _, list := range [][]string{s.Argv, s.Env} {
		for _, item := range list {
			size += 4 + len(item)
		}
	}
	b := make([]byte, 4, size)
	binary.BigEndian.PutUint32(b, uint32(size-4))
	var terminal byte
	if s.Terminal {
		terminal = 1
	}
	b = append(b, terminal)
	b = binary.BigEndian.AppendUint32(b, s.UID)
	b = binary.BigEndian.AppendUint32(b, s.GID)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Groups)))
	for _, gid := range s.Groups {
		b = binary.BigEndian.AppendUint32(b, gid)
	}
	b = appendString(b, s.Script)
	b = binary.BigEndian.AppendUint64(b, s.Identity.Device)
	b = binary.BigEndian.AppendUint64(b, s.Identity.Inode)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Identity.ChangeSec))
	b = binary.BigEndian.AppendUint64(b, uint64(s.Identity.ChangeNsec))
	for _, list := range [][]string{s.Argv, s.Env} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
		for _, item := range list {
			b = appendString(b, item)
		}
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// Decode reads what Encode wrote, without the length in front. ok is false if
// b is anything else.
func Decode(b []byte) (s Spec, ok bool) {
	r := reader{rest: b}
	s.Terminal = r.bool()
	s.UID, s.GID = r.uint32(), r.uint32()
	for range r.count(4) {
		s.Groups = append(s.Groups, r.uint32())
	}
	s.Script = r.string()
	s.Identity = Identity{
		Device: r.uint64(), Inode: r.uint64(),
		ChangeSec: int64(r.uint64()), ChangeNsec: int64(r.uint64()),
	}
	s.Argv = r.strings()
	s.Env = r.strings()
	return s, !r.failed && len(r.rest) == 0 && len(s.Argv) > 0
}

// reader takes fields until one does not fit; then all that follow are zero.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n uint32) []byte {
	if r.failed || uint64(n) > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	part := r.rest[:n]
	r.rest = r.rest[n:]
	return part
}

func (r *reader) bool() bool {
	b := r.take(1)
	r.failed = r.failed || b[0] > 1
	return !r.failed && b[0] == 1
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// count reads a count of items of at least size bytes each, so that a small
// message cannot ask for a large table.
func (r *reader) count(size uint64) uint32 {
	n := r.uint32()
	if uint64(n)*size > uint64(len(r.rest)) {
		r.failed = true
		return 0
	}
	return n
}

func (r *reader) string() string { return string(r.take(r.uint32())) }

func (r *reader) strings() []string {
	n := r.count(4)
	list := make([]string, 0, n)
	for range n {
		list = append(list, r.string())
	}
	return list
}
