package libsystem

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// Bound returns the functions, bound once. An error means that this is a version
// of macOS which lacks one that cannot be done without: nothing works then, and
// every port says so.
var Bound = sync.OnceValues(bind)

func bind() (*Calls, error) {
	library, err := purego.Dlopen(Path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("libsystem: %w", err)
	}
	calls := &Calls{}
	for _, f := range calls.Functions() {
		symbol, err := purego.Dlsym(library, f.Name())
		switch {
		case err == nil:
			purego.RegisterFunc(f.Field, symbol)
		case !f.Optional:
			return nil, fmt.Errorf("libsystem: this macOS has no %s: %w", f.Name(), err)
		}
	}
	return calls, nil
}

// checked calls a function that answers less than 0 for an error, and returns what
// it answered. errno is the thread's, so that nothing else may run on it between
// the two calls.
func (c *Calls) checked(what string, call func() int32) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n := call()
	if n < 0 {
		return 0, fmt.Errorf("%s: %w", what, unix.Errno(*c.Errno()))
	}
	return int(n), nil
}
