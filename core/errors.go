package core

import "errors"

// ErrorKind says what sort of failure an error reports. Packages declare it where
// they declare the error; whoever answers a caller (the API, the local door, a
// command-line tool) has one table from kinds to its own codes.
type ErrorKind uint8

// The kinds of error. Internal is the zero value: a fault that nobody has
// classified is the service's own, and its text is for the log, not the caller.
const (
	Internal     ErrorKind = iota
	Invalid                // what was asked, or given, is malformed or unsuitable
	NotFound               // what was named does not exist
	NotPermitted           // not for this caller, or not safe to do
	Conflict               // not in the present state
	TooMany                // a limit on how many or how often is reached
	TooLarge               // a limit on size is exceeded
	Unavailable            // not at this time; it may work later
	Unsupported            // not on this operating system or in this version
)

var errorKindNames = [...]string{
	"internal", "invalid", "not found", "not permitted", "conflict", "too many", "too large", "unavailable", "unsupported",
}

// String names the kind for logs.
func (k ErrorKind) String() string { return errorKindNames[k] }

// Errors that ports report and every package understands.
var (
	ErrNotProtected = NewError(NotPermitted, "not protected: someone other than an administrator can change it")
	ErrNotRegular   = NewError(Invalid, "not a regular file")
	ErrTooLarge     = NewError(TooLarge, "the file is too large") // for whoever reads it
	ErrNoAccount    = NewError(NotFound, "no such account")
	ErrNoGroup      = NewError(NotFound, "no such group on this machine")
	ErrUndecided    = NewError(Unavailable, "nobody decides at this moment")
	ErrNoAnswer     = NewError(Unavailable, "the machine's user database does not answer")
	ErrMayNotRun    = NewError(NotPermitted, "it may not be executed by whom it is to run as")
	ErrMayNotRead   = NewError(NotPermitted, "it may be executed and not read by whom it is to run as")
	ErrSwitchedOff  = NewError(Unavailable, "an administrator has switched it off")
	ErrForeign      = NewError(Invalid, "the caller lives in another namespace")
	ErrGone         = NewError(Unavailable, "the other end has closed and has sent nothing")
	ErrCancelled    = NewError(NotPermitted, "cancelled") // the person who was asked declined
)

// kindError is a sentinel: like that of errors.New, it equals itself only.
type kindError struct {
	kind ErrorKind
	text string
}

// NewError returns a new error of a kind, to be compared with errors.Is.
func NewError(kind ErrorKind, text string) error { return &kindError{kind, text} }

// Error implements error.
func (e *kindError) Error() string { return e.text }

// ErrorKind implements what KindOf looks for.
func (e *kindError) ErrorKind() ErrorKind { return e.kind }

// worded is an error that says in its own words what another one means.
type worded struct {
	text  string
	means error
}

// Worded returns an error that says text and nothing else, and is means to
// errors.Is: for a text that says more exactly what the general words of means
// would only repeat.
func Worded(means error, text string) error { return &worded{text, means} }

// Error implements error.
func (e *worded) Error() string { return e.text }

// Unwrap returns what the error means.
func (e *worded) Unwrap() error { return e.means }

// reclassified gives an error another kind.
type reclassified struct {
	error
	kind ErrorKind
}

// WithKind returns err with its text, and everything that errors.Is finds in
// it, as one of kind. A package does this to what failed deep inside of it: a file
// that it could not find there is not what its caller asked for.
func WithKind(kind ErrorKind, err error) error { return &reclassified{err, kind} }

// Unwrap returns the error as it was.
func (e *reclassified) Unwrap() error { return e.error }

// ErrorKind implements what KindOf looks for.
func (e *reclassified) ErrorKind() ErrorKind { return e.kind }

// KindOf returns the kind of the first error in err's tree that has one: those
// of NewError and WithKind, and types with a method ErrorKind. errors.ErrUnsupported is
// Unsupported; everything else, and nil, is Internal. A missing file is
// Internal too: what the service cannot find on its disk is not what a caller
// named.
func KindOf(err error) ErrorKind {
	var classified interface{ ErrorKind() ErrorKind }
	switch {
	case errors.As(err, &classified):
		return classified.ErrorKind()
	case errors.Is(err, errors.ErrUnsupported):
		return Unsupported
	}
	return Internal
}
