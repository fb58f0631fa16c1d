package port

import "kpm/core"

// Facts are what is so on one operating system and needs no call, for whoever
// must decide something portably. How a person makes a file safe is part of
// Protection's errors, which know what is wrong with it.
type Facts struct {
	// Platform also knows the secure path, and how paths are spelled and
	// compared.
	Platform core.Platform
	// BaseEnvironment is what every process that the service starts is given
	// first, as NAME=value. PATH is always there.
	BaseEnvironment []string
	// Administrator is the account that a request means which names no target.
	Administrator core.UserID
	// AdministratorGroups are the groups whose members can become the administrator,
	// as Membership calls them; those that there are not do not matter.
	AdministratorGroups []string
	// SystemAccount reports whether an account is one of the system's own, and no
	// person's; nil: none is.
	SystemAccount func(core.Account) bool
	// ServiceAccount is the account that plugins and job tasks run as.
	ServiceAccount core.UserID
	// Resumes says that commands outlive the service, and that the next one is
	// told how they end (Launcher.Resume).
	Resumes bool
	// Notes say, one sentence each, what this machine lacks that an administrator
	// can give it. They are for the log.
	Notes []string
	// PortTaken reports whether an error of listening means that somebody else
	// has the port.
	PortTaken func(err error) bool
}
