//go:build linux

package execution

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// files is how many executions can wait, each with a descriptor or two.
const files = 16 << 10

// Main is keeperexec's: it has serve answer executions for the service at descriptor 3,
// and returns how that ended. The process is to end then.
func Main(serve func(io.ReadWriteCloser, port.Executions) error) error {
	const service = 3
	if err := unix.SetNonblock(service, true); err != nil {
		return fmt.Errorf("the service is not at descriptor %d: %w", service, err)
	}
	// Where this is not permitted, fewer can wait.
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files})
	g, err := Open()
	if err != nil {
		return err
	}
	return serve(os.NewFile(service, "service"), g)
}
