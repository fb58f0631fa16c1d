package caller

import "golang.org/x/sys/unix"

// settle makes this process what keepersudo has to be.
func settle() {
	// Attack: another process of the same user attaches to this one and takes
	// the master side of a root command's terminal.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	ignoreAgain()
}

// random fills p from the kernel. Package crypto/rand is more than keepersudo
// needs.
func random(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Getrandom(p, 0)
		if err != nil && err != unix.EINTR {
			return err
		}
		p = p[max(0, n):]
	}
	return nil
}
