// Package launcher turns a request that policy has allowed into a process, once.
// It is the audited nucleus: the other packages hand it facts, and it alone moves a
// request, through launcher/request, and records it, through launcher/journal.
//
// One elevation, in the order in which it passes: submission.go is what arrives,
// package launcher/seal fixes what would run, elevate.go asks and waits,
// answer.go takes what policy and jobs say, package launcher/control satisfies
// what policy asks for, launch.go starts the program, attend.go stays with it to
// its end, recover.go deals with what an earlier service left behind. Package
// launcher/start starts plugins and tasks, and knows every process that the
// service has launched.
//
// It decides nothing that policy decides, speaks no wire, and makes no system
// call: the ports of package core/port do.
package launcher
