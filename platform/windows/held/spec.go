package held

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// Console says what a program that writes text gets to write it in.
type Console uint32

// The consoles.
const (
	ConsoleHidden Console = iota // one without a window, for control events
	ConsoleWindow                // a new one, on the session's desktop
	ConsolePseudo                // a pseudo console of the helper's
)

// Spec is what a helper creates. Handles are the helper's own already: whoever
// sends a Spec has put them into its handle table.
type Spec struct {
	Application, CommandLine, Dir string
	// Desktop is the window station and desktop, empty for the helper's own.
	Desktop string
	Env     []string
	// Streams are the standard handles, inheritable; 0 for none.
	Streams [3]uint64
	Console Console
	// TerminalIn, TerminalOut and TerminalSize are what the pseudo console
	// reads, writes, and is told its size by, SizeSize bytes each time.
	TerminalIn, TerminalOut, TerminalSize uint64
	Rows, Columns                         uint16
	// Protected has the program's process and thread belong to administrators.
	// The helper must have their rights.
	Protected bool
}

// maxSpec bounds an encoded Spec, in bytes.
const maxSpec = 8 << 20

// errSpec is for what no service of this build sends.
var errSpec = errors.New("held: not a specification")

// fixed is the part of a Spec that has one size.
type fixed struct {
	Streams                               [3]uint64
	TerminalIn, TerminalOut, TerminalSize uint64
	Console                               Console
	Rows, Columns                         uint16
	Protected                             uint32
	Env                                   uint32 // how many
}

// Encode returns s as ReadSpec reads it: a length, the fixed part, and strings,
// each behind its own length.
func (s *Spec) Encode() []byte {
	f := fixed{
		Streams: s.Streams, TerminalIn: s.TerminalIn, TerminalOut: s.TerminalOut, TerminalSize: s.TerminalSize,
		Console: s.Console, Rows: s.Rows, Columns: s.Columns, Env: uint32(len(s.Env)),
	}
	if s.Protected {
		f.Protected = 1
	}
	b, err := binary.Append(make([]byte, 4, 4096), binary.LittleEndian, f)
	if err != nil { // of a type that has no size
		panic(err)
	}
	for _, text := range append([]string{s.Application, s.CommandLine, s.Dir, s.Desktop}, s.Env...) {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// ReadSpec reads one Spec. io.EOF means that there is none: the service has no
// use for this helper, or is gone.
func ReadSpec(r io.Reader) (Spec, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Spec{}, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > maxSpec {
		return Spec{}, errSpec
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return Spec{}, err
	}
	var f fixed
	n, err := binary.Decode(b, binary.LittleEndian, &f)
	if err != nil {
		return Spec{}, errSpec
	}
	b = b[n:]
	next := func() string {
		if len(b) < 4 {
			err = errSpec
			return ""
		}
		size := binary.LittleEndian.Uint32(b)
		if b = b[4:]; uint64(size) > uint64(len(b)) {
			err = errSpec
			return ""
		}
		text := string(b[:size])
		b = b[size:]
		return text
	}
	s := Spec{
		Streams: f.Streams, TerminalIn: f.TerminalIn, TerminalOut: f.TerminalOut, TerminalSize: f.TerminalSize,
		Console: f.Console, Rows: f.Rows, Columns: f.Columns, Protected: f.Protected == 1,
	}
	s.Application, s.CommandLine, s.Dir, s.Desktop = next(), next(), next(), next()
	for i := uint32(0); i < f.Env && err == nil; i++ {
		s.Env = append(s.Env, next())
	}
	if err != nil || len(b) > 0 || f.Protected > 1 {
		return Spec{}, errSpec
	}
	return s, nil
}

// SizeSize is the length of a size that a pseudo console is told: rows, columns.
const SizeSize = 4

// EncodeSize returns a size as the helper reads it.
func EncodeSize(rows, columns uint16) []byte {
	b := binary.LittleEndian.AppendUint16(nil, rows)
	return binary.LittleEndian.AppendUint16(b, columns)
}

// DecodeSize reads SizeSize bytes.
func DecodeSize(b []byte) (rows, columns uint16) {
	return binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
}

// extent is a size as a pseudo console takes it, 1 to 32,767 each: whoever sends one is
// not trusted with more.
func extent(rows, columns uint16) (y, x int16) {
	return int16(min(max(rows, 1), math.MaxInt16)), int16(min(max(columns, 1), math.MaxInt16))
}
