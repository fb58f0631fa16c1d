// Package store keeps what the agent is told about its plugins and has to
// remember: the settings that somebody has put (unified storage), and the Last
// Known Good of plugin, job and policy files.
//
// It is one SQLite database, State/settings.db, which the service alone can read.
// Every change is a transaction that is on the disk before it is acknowledged: after
// kill -9 at any moment, or a power loss, what was acknowledged is there, and
// nothing half.
//
// What a setting means is the affair of its plugin; who may put one is the
// API's.
package store
