// Package reserve sets aside, while there is plenty, what a process cannot go
// on without when the machine has run out. It frees nothing for anybody else.
package reserve

import (
	"runtime"
	"sync"
)

// Threads makes sure that the runtime has n threads besides this one, which it
// keeps for the life of the process.
//
// Attack: a user starts processes until the machine, or the service's own
// control group, takes no more. The runtime ends the whole process if it needs
// a thread then and cannot have it, as it does whenever a system call takes its
// time.
func Threads(n int) {
	var made, done sync.WaitGroup
	made.Add(n)
	for range n {
		done.Go(func() {
			// Whoever has a thread of their own and waits has the runtime make
			// another one for the next. A thread that is given back is kept.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			made.Done()
			made.Wait()
		})
	}
	done.Wait()
}
