// Package signal names what a running command can be told. Whether an operating
// system has such a thing, and which number it has there, is known to package
// platform alone.
//
// It is kept free of imports because keepersudo links it.
package signal

// Signal is one thing that a command is told. The zero value is none. Its number
// is the one in door frames (docs/wire.md), on every system the same.
type Signal uint32

// The signals.
const (
	Hangup    Signal = 1
	Interrupt Signal = 2
	Quit      Signal = 3
	Kill      Signal = 9
	User1     Signal = 10
	User2     Signal = 12
	Alarm     Signal = 14
	Terminate Signal = 15
	Continue  Signal = 18
	Stop      Signal = 19
	Suspend   Signal = 20 // stop, as a terminal's key asks for it
	Winch     Signal = 28 // the terminal's size has changed
)

// String returns the signal's name.
func (s Signal) String() string {
	switch s {
	case 0:
		return "none"
	case Hangup:
		return "Hangup"
	case Interrupt:
		return "Interrupt"
	case Quit:
		return "Quit"
	case Kill:
		return "Kill"
	case User1:
		return "User1"
	case User2:
		return "User2"
	case Alarm:
		return "Alarm"
	case Terminate:
		return "Terminate"
	case Continue:
		return "Continue"
	case Stop:
		return "Stop"
	case Suspend:
		return "Suspend"
	case Winch:
		return "Winch"
	}
	return "unknown"
}

// Forwarded reports whether a caller may have s told to its command. Kill and
// Stop are not among them: whoever means these ends or stops the caller's own
// program, and the command learns of that.
func (s Signal) Forwarded() bool {
	return s != 0 && s != Kill && s != Stop && s.String() != "unknown"
}

// Sent is a signal that somebody sent to a caller's program and means the
// command.
type Sent struct {
	Signal Signal
	// By is the number of the process that leads the session of who sent it; 0
	// if that is not known, or nobody did, as at a key.
	By uint32
}
