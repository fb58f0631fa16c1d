// Package held is what is said between the service, a held child of a launch and
// whoever has the program's terminal, on macOS (decision 32). It makes no call; what
// keeperlaunch does is package helper's, and what the service does is package
// darwin's.
//
// There are two processes for each launch, both keeperlaunch and both root. The
// helper waits ahead of need, leads the session, and stays as the program's parent.
// The child, which it starts when it is told to, waits to become the program. Each
// has a socket of its own to the service:
//
//	orders: a Spec with descriptors, then one byte that releases the child. It
//	        closes when the program is there; before that, a Report says why not.
//	watch:  Orders to the helper, and Notices from it.
//
// The program is suspended when orders closes. The service looks at it, and then
// orders its first signal, SIGCONT.
package held

// Name is argv[0] of both, and how process lists show them; Hold and Become are
// argv[1].
const (
	Name   = "keeperlaunch"
	Hold   = "hold"
	Become = "become"
)

// Descriptors that the helper starts with.
const (
	OrdersFd = 3
	WatchFd  = 4
)

// Environ is their environment, which no program ever sees.
func Environ() []string { return []string{"GOMAXPROCS=1", "GOGC=off", "GOTRACEBACK=crash"} }

// What the helper is asked over the connection that travels with the terminal. It
// answers with the number of the signal that has stopped the program.
const (
	AskForeground = 'f' // go on, with the terminal
	AskBackground = 'b' // go on, without it
	AskSuspend    = 'z' // stop, as the terminal's key asks for it
)

// NameOfOpened is what the program finds file i for an argument by, and
// FirstOpened the descriptor of the first.
func NameOfOpened(i int) string {
	return "/dev/fd/" + string([]byte{byte('0' + (FirstOpened+i)/10), byte('0' + (FirstOpened+i)%10)})
}

// FirstOpened is above the descriptors that a child has by then.
const FirstOpened = 64

// MaxOpened bounds the files for arguments; it is core.MaxPathArguments.
const MaxOpened = 8
