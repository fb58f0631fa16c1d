// Package signal names what a running command can be told. The numbers that an
// operating system has for it, and whether it has such a thing at all, are known
// to package platform; docs/wire.md has the numbers of this package, which travel
// in door frames.
//
// It is kept free of imports because keepersudo links it.
package signal

// Signal is one thing that a command is told. The zero value is none.
type Signal uint8

// The signals, by their numbers in door frames.
const (
	Hangup Signal = iota + 1
	Interrupt
	Quit
	Terminate
	Stop
	Continue
	Kill
	Winch // the terminal's size has changed
	User1
	User2
	Alarm
)

var names = [...]string{
	"none", "Hangup", "Interrupt", "Quit", "Terminate", "Stop", "Continue", "Kill", "Winch", "User1", "User2", "Alarm",
}

// All returns every signal.
func All() []Signal {
	all := make([]Signal, 0, len(names)-1)
	for s := Hangup; int(s) < len(names); s++ {
		all = append(all, s)
	}
	return all
}

// String returns the signal's name.
func (s Signal) String() string {
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Forwarded reports whether a caller may have s told to its command. Kill and
// Stop are not among them: whoever means these ends or stops the caller's own
// program, and the command learns of that.
func (s Signal) Forwarded() bool {
	return s >= Hangup && int(s) < len(names) && s != Kill && s != Stop
}
