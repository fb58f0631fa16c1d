//go:build linux

package held

// role is what is done on a stack of the helper's own.
type role uintptr

const (
	seed     role = iota // hear requests and fork (seed.go)
	asked                // be a helper that was just forked
	watching             // stay beside the program (watch.go)
	parted               // become the program
)

// split makes a child or a thread, which begins in begin, on the stack that ends at
// stack, and returns its id, or an errno, which is greater than maxPid. local is its
// thread-local memory if flags have CLONE_SETTLS.
//
// With CLONE_VM the child shares this process's memory until its exec: to copy
// the memory, as fork does, would take longer than everything else that a helper
// does; to give it up would come before the exec.
//
// Attack: the child takes the target's ids, and while it waits for a directory on
// a file system of the target user's own (FUSE), that user writes into the memory
// of what is still root. Memory that is not dumpable cannot be reached, and this
// is not (settle); where it would become so, it is not shared (part).
//
//go:noescape
func split(flags, stack, local uintptr, h *helper, r role) (pid uintptr)

// stackRoom is what split and what it calls are given above the stack's end.
const stackRoom = 64

// maxPid is more than any pid; what the kernel returns beyond is an errno.
const maxPid = 1 << 30

// onward begins anew on the stack that it is called on. The linker takes that for the
// smallest of the runtime's, and adds up what is called there; it sees no call here.
//
//go:noescape
func onward(h *helper, r role)

var _ = begin // split and onward call it

// begin does not return.
//
//go:nosplit
//go:norace
func begin(h *helper, r role) {
	switch r {
	case seed:
		h.serve()
	case asked:
		h.main()
	case watching:
		h.stay()
	case parted:
		h.command()
	}
	exit()
}
