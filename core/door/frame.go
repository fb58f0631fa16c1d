package door

import (
	"encoding/binary"
	"errors"
	"io"
)

// MaxFrame is the longest frame body in bytes: argv, names and working
// directory (128 KiB) plus the allowed environment.
const MaxFrame = 192 << 10

// headerSize is one type byte and a big-endian 32-bit body length.
const headerSize = 5

// Type says what a frame is.
type Type byte

// Frame types. Request, List, Memory, Signal and Answer travel to the service; the
// others come from it.
const (
	TypeRequest  Type = 1  // once, first; carries the descriptors
	TypeSignal   Type = 2  // forward a signal to the command
	TypeAnswer   Type = 3  // reply to Prompt
	TypePrompt   Type = 4  // ask the person
	TypeStarted  Type = 5  // the command runs
	TypeExit     Type = 6  // final: how the command ended
	TypeRefused  Type = 7  // final: why nothing ran
	TypeTerminal Type = 8  // the command is about to run; carries its terminals
	TypeList     Type = 9  // once, first, in place of Request: what may I run?
	TypeListing  Type = 10 // final: that
	TypeNotice   Type = 11 // tell the person something; there is no reply
	TypeAgain    Type = 12 // final: it is approved; send the same on a new connection
	TypeMemory   Type = 13 // once, first, in place of Request: renew or forget what is remembered
)

// ErrFrame is wrapped by every decoding error.
var ErrFrame = errors.New("door: malformed frame")

// Append adds a frame to dst.
func Append(dst []byte, t Type, body []byte) []byte {
	dst = append(dst, byte(t))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	return append(dst, body...)
}

// Read reads one frame from r. The body is freshly allocated and never longer
// than MaxFrame: a hostile length is refused before any allocation.
func Read(r io.Reader) (Type, []byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(header[1:])
	if n > MaxFrame {
		return 0, nil, ErrFrame
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return Type(header[0]), body, nil
}
