package sudo

import (
	"os"

	"kpm/core/door"
	"kpm/core/port/caller"
)

// remembered has the service renew or forget what it remembers of the caller. What
// the service then asks is asked as for a request; a signal during the question
// cancels it, and any other ends keepersudo.
func remembered(opts *options, host caller.Host) (int, *failure) {
	root := agentRoot(opts.root, host.DefaultRoot, host.Administrator, os.Getenv)
	if err := connect(host, root); err != nil {
		return 0, err
	}
	s := &session{host: host, root: root, nonInteractive: opts.nonInteractive, alone: true}
	s.mu.Lock()
	host.Signals.Watch(s.signalled)
	_ = s.send(door.TypeMemory, door.Memory{Do: opts.memory, NonInteractive: opts.nonInteractive}.Encode()) // as with requests
	s.mu.Unlock()
	return s.attend()
}
