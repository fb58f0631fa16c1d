// Package launcher turns a request that policy has allowed into a process, once,
// and knows every process that the service has launched. It is the audited
// nucleus: the other rooms hand it facts, and it alone moves a request, through
// launcher/request, and records it, through launcher/journal.
//
// One elevation, in the order of the files: knock.go is what arrives, seal.go
// fixes what would run, elevate.go asks and waits, answer.go takes what policy
// and jobs say, launch.go starts it, attend.go stays with it to its end,
// recover.go deals with what an earlier service left behind.
//
// It decides nothing that policy decides, speaks no wire, and makes no system
// call: the ports of package core do.
package launcher
